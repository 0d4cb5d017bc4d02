package main

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"
)

// writes keeps what is written, each write by itself.
type writes struct{ all []string }

func (w *writes) Write(p []byte) (int, error) {
	w.all = append(w.all, string(p))
	return len(p), nil
}

// Lines of requests that end together are written together, and nothing overtakes them.
func TestGather(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", pipeful) + "\n"
	for _, tt := range []struct {
		name string
		do   func(s *lineSink, request func(string))
		want []string
	}{
		{"a request now and then", func(_ *lineSink, request func(string)) {
			request("a\n")
			time.Sleep(2 * time.Millisecond)
			request("b\n")
		}, []string{"a\n", "b\n"}},
		{"requests in a burst", func(_ *lineSink, request func(string)) {
			for range 3 {
				request("a\n")
			}
			time.Sleep(2 * time.Millisecond)
			synctest.Wait()
			request("b\n")
			time.Sleep(2 * time.Millisecond)
		}, []string{"a\n", "a\na\n", "b\n"}},
		{"a line of the process among them", func(s *lineSink, request func(string)) {
			request("a\n")
			request("b\n")
			s.write([]byte("process\n"))
			request("c\n")
			time.Sleep(2 * time.Millisecond)
		}, []string{"a\n", "b\n", "process\n", "c\n"}},
		{"more than a pipe takes whole", func(_ *lineSink, request func(string)) {
			request("a\n")
			request(long[2:])
			request("b\n")
			request(long)
			time.Sleep(2 * time.Millisecond)
		}, []string{"a\n", long[2:], "b\n", long}},
		{"the end", func(_ *lineSink, request func(string)) {
			request("a\n")
			request("b\n")
		}, []string{"a\n", "b\n"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var w writes
				s := &lineSink{w: &w, gathers: 2 * time.Millisecond}
				tt.do(s, func(line string) { s.gather([]byte(line), time.Now()) })
				s.flush()
				if !slices.Equal(w.all, tt.want) {
					t.Errorf("%q", w.all)
				}
			})
		})
	}
}

// Nothing waits in a process that may be stopped between two requests.
func TestGatherNothing(t *testing.T) {
	t.Parallel()
	var w writes
	s := &lineSink{w: &w}
	for range 2 {
		s.gather([]byte("a\n"), time.Now())
	}
	if want := []string{"a\n", "a\n"}; !slices.Equal(w.all, want) {
		t.Errorf("%q", w.all)
	}
}

func TestPump(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, in, want string
		longest        int
	}{
		{"lines", "a\nb\n", "a\nb\n", 10},
		{"a last line without an end", "a\nb", "a\nb\n", 10},
		{"empty lines", "\n\na\n", "\n\na\n", 10},
		{"nothing", "", "", 10},
		{"a line as long as allowed", "0123456789\nx\n", "0123456789\nx\n", 10},
		{"a longer line in pieces", "0123456789abcdefghijXY\nz\n", "0123456789\nabcdefghij\nXY\nz\n", 10},
		{"a long last line", strings.Repeat("a", 25), "aaaaaaaaaa\naaaaaaaaaa\naaaaa\n", 10},
		{"no limit", strings.Repeat("a", 100000) + "\nb\n", strings.Repeat("a", 100000) + "\nb\n", -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, wrap := range []func(io.Reader) io.Reader{
				func(r io.Reader) io.Reader { return r }, iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader,
			} {
				var out bytes.Buffer
				l := newLogs(&config{logConfig: logConfig{logFormat: "text", logBufferSize: tt.longest}}, &out, io.Discard)
				l.pump("stdout", wrap(strings.NewReader(tt.in)))
				if got := out.String(); got != tt.want {
					t.Errorf("got %.200q, want %.200q", got, tt.want)
				}
			}
		})
	}
}

func FuzzPump(f *testing.F) {
	f.Add("a\nb\n", 3)
	f.Add(strings.Repeat("x", 9000)+"\n\n", 4096)
	f.Fuzz(func(t *testing.T, in string, longest int) {
		if longest < 1 || longest > 1<<16 {
			longest = -1
		}
		var out bytes.Buffer
		l := newLogs(&config{logConfig: logConfig{logFormat: "text", logBufferSize: longest}}, &out, io.Discard)
		l.pump("stdout", strings.NewReader(in))
		if got, want := strings.ReplaceAll(out.String(), "\n", ""), strings.ReplaceAll(in, "\n", ""); got != want {
			t.Errorf("what was written is lost: %q became %q", in, out.String())
		}
		for line := range strings.Lines(out.String()) {
			if longest > 0 && len(line) > longest+1 {
				t.Errorf("a line of %d bytes, over %d", len(line), longest)
			}
		}
	})
}

func TestAppendText(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "", "/plain?q=%0a": "/plain?q=%0a", "with spaces and é 世 \\n": "with spaces and é 世 \\n",
		"a\nb\rc\td": `a\nb\rc\td`, "\x1b[2J\a\x00\x7f": `\x1b[2J\a\x00\x7f`, "\u009b31m\u202e\u2028": `\u009b31m\u202e\u2028`,
		"\xe9\xff": `\xe9\xff`, "\ufffd": "\ufffd",
	} {
		if got := string(appendText([]byte("> "), text)); got != "> "+want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
	for _, unit := range []string{"a", "é", "\n", "\xff", "\u2028"} {
		got := plainText(strings.Repeat(unit, 1<<20))
		if len(got) > longestText || len(got) < longestText-20 || !strings.HasSuffix(got, "…") {
			t.Errorf("a megabyte of %q became %d bytes, ending in %q", unit, len(got), got[len(got)-10:])
		}
	}
}

func TestServerMessages(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := newLogs(&config{logConfig: logConfig{logFormat: "text"}}, io.Discard, &out)
	l.printf("one %s", "a\n2026/11/28 20:15:03 POST /admin - 200 OK")
	_, _ = l.Write([]byte("http: panic serving: x\nPOST /admin - 200 OK\n\tmain.go:7\x1b[2J\n")) // it cannot fail
	var got []string
	for line := range strings.Lines(out.String()) {
		got = append(got, line[len("2006/01/02 15:04:05 "):])
	}
	want := []string{
		`one a\n2026/11/28 20:15:03 POST /admin - 200 OK` + "\n",
		"http: panic serving: x\n", "  POST /admin - 200 OK\n", `    main.go:7\x1b[2J` + "\n",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTraceID(t *testing.T) {
	t.Parallel()
	for parent, want := range map[string]string{
		"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01": "4bf92f3577b34da6a3ce929d0e0e4736",
		"": "", "00-": "", "garbage": "",
	} {
		if got := traceID(parent); got != want {
			t.Errorf("traceID(%q) = %q, want %q", parent, got, want)
		}
	}
}
