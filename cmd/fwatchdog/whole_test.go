package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestReadWhole(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 511, 512, 513, 100_000} {
		for _, most := range []int{size - 1, size, size + 1, 1 << 20} {
			if most < 0 {
				continue
			}
			for _, wrap := range []func(io.Reader) io.Reader{iotest.HalfReader, iotest.DataErrReader, func(r io.Reader) io.Reader { return r }} {
				want := append([]byte("before"), counting(size)...)
				got, err := readWhole([]byte("before"), wrap(bytes.NewReader(counting(size))), most)
				if size > most {
					if !errors.Is(err, errTooLong) {
						t.Errorf("%d bytes, at most %d: %v", size, most, err)
					}
				} else if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%d bytes, at most %d: %d came, %v", size, most, len(got), err)
				}
			}
		}
	}
	if _, err := readWhole(nil, iotest.ErrReader(io.ErrUnexpectedEOF), 10); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %v", err)
	}
}

// TestBuffersAreBounded sends bodies, and has processes answer with some, that are too long to be held whole.
func TestBuffersAreBounded(t *testing.T) {
	ours(t)
	const most, huge = 1 << 20, 150 << 20
	limit := fmt.Sprint("body_buffer_size=", most)
	buffering := launch(t, fn(t, "server", "buffer_http=true", limit)...).serving()
	for _, tt := range []struct {
		size   int64
		status int
	}{{most, 200}, {most + 1, 413}, {huge, 413}, {most, 200}} {
		for _, chunked := range []bool{false, true} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, buffering.url+"/count", io.LimitReader(zeros{}, tt.size))
			if err != nil {
				t.Fatal(err)
			}
			if !chunked {
				r.ContentLength = tt.size
			}
			answer, err := plainClient().Do(r)
			if err != nil {
				t.Errorf("%d bytes, chunked: %v: %v", tt.size, chunked, err)
				continue
			}
			text, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close() // it was read
			if answer.StatusCode != tt.status || tt.status == 200 && string(text) != fmt.Sprint(tt.size, " <nil>") {
				t.Errorf("%d bytes, chunked: %v: status %d, %q", tt.size, chunked, answer.StatusCode, text)
			}
			if tt.status == 413 && !answer.Close {
				t.Error("the connection is said to go on after a body that was not read")
			}
		}
	}
	if !buffering.logged(" - 413 Request Entity Too Large") || !buffering.logged("longer than body_buffer_size") {
		t.Errorf("the log does not say it: %s", buffering.errs.String())
	}
	dogs := map[string]*dog{"buffer_http": buffering}
	for _, tt := range []struct {
		size, status int
	}{{most, 200}, {most + 1, 500}, {huge, 500}} {
		name := fmt.Sprintf("serializing %d bytes", tt.size)
		d := launch(t, fmt.Sprintf("fprocess=head -c %d /dev/zero", tt.size), "mode=serializing", limit).serving()
		r := d.get("/")
		if r.StatusCode != tt.status || tt.status == 200 && len(r.body) != tt.size || tt.status == 500 && !d.logged("the answer is longer than body_buffer_size") {
			t.Errorf("%s: status %d, %d bytes; log %s", name, r.StatusCode, len(r.body), d.errs.String())
		}
		dogs[name] = d
	}
	if raceEnabled {
		return // the race detector has memory of its own
	}
	for name, d := range dogs {
		if rss := residentKiB(t, d.cmd.Process.Pid, "VmHWM"); rss > 24<<10 {
			t.Errorf("%s: it used up to %d KiB", name, rss)
		}
	}
}

// TestLambdaBuffersAreBounded has a function answer with more than is held whole.
func TestLambdaBuffersAreBounded(t *testing.T) {
	ours(t)
	for name, variables := range map[string][]string{
		"http": fn(t, "server"), "streaming": {"fprocess=head -c 50000000 /dev/zero", "mode=streaming"}, "serializing": {"fprocess=head -c 50000000 /dev/zero", "mode=serializing"},
	} {
		a := newRuntimeAPI(t)
		d := onLambda(t, a, append(variables, "body_buffer_size=1048576")...)
		o := a.invoke(t, functionURL("GET", "/big/50000000", "", ""), 5*time.Second)
		if name == "serializing" {
			if o.path != "response" || !strings.Contains(string(o.body), `"statusCode":500`) {
				t.Errorf("%s: %s %.200s", name, o.path, o.body)
			}
		} else if o.path != "error" || !strings.Contains(string(o.body), "ResponseSizeTooLarge") {
			t.Errorf("%s: %s %.200s", name, o.path, o.body)
		}
		if rss := residentKiB(t, d.cmd.Process.Pid, "VmHWM"); !raceEnabled && rss > 24<<10 {
			t.Errorf("%s: it used up to %d KiB", name, rss)
		}
	}
}

// TestRefusedRequestsDoNotWaitForTheirBodies sends heads whose bodies never come to whatever answers without them.
func TestRefusedRequestsDoNotWaitForTheirBodies(t *testing.T) {
	ours(t)
	g := newGateway(t)
	g.rotate(t, "k1")
	busy := launch(t, fn(t, "server", "max_inflight=1", "read_timeout=10s")...).serving()
	go busy.status("/slow/9000")
	if !eventually(3*time.Second, func() bool { return busy.status("/_/ready") == http.StatusTooManyRequests }) {
		t.Fatal("the only place is not taken")
	}
	for _, tt := range []struct {
		name, path string
		d          *dog
		status     int
	}{
		{"no place", "/", busy, 429},
		{"no token", "/", withToken(t, g, "read_timeout=10s"), 401},
		{"readiness", "/_/ready", busy, 429},
		{"health", "/_/health", busy, 405},
		{"a long body that is to be buffered", "/", launch(t, fn(t, "server", "buffer_http=1", "read_timeout=10s")...).serving(), 413},
		{"a file", "/", launch(t, "mode=static", "static_path="+t.TempDir(), "read_timeout=10s").serving(), 200},
	} {
		for _, framing := range []string{"Content-Length: 100000000", "Transfer-Encoding: chunked", "Content-Length: 100000000\r\nExpect: 100-continue"} {
			if tt.status == 413 && strings.HasPrefix(framing, "Transfer") {
				continue // nobody knows yet how long it will be
			}
			conn, begun := tt.d.dial(), time.Now()
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n5", tt.path, framing)
			_ = conn.SetReadDeadline(time.Now().Add(8 * time.Second)) // it is open
			got, err := io.ReadAll(conn)
			if took := time.Since(begun); err != nil || took > 2*time.Second {
				t.Errorf("%s, %s: it ended after %v, %v", tt.name, framing, took, err)
			}
			if !strings.HasPrefix(string(got), fmt.Sprintf("HTTP/1.1 %d ", tt.status)) || !strings.Contains(string(got), "Connection: close\r\n") {
				t.Errorf("%s, %s: got\n%s", tt.name, framing, got)
			}
		}
	}
}
