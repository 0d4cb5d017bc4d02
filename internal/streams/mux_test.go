package streams

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// pair is two ends that are joined by pipes, as a process is; opened is for the second one.
func pair(t *testing.T, opened func(s *Stream, where string)) (*Mux, *Mux) {
	t.Helper()
	r1, w1 := io.Pipe()
	r2, w2 := io.Pipe()
	a := New(Options{First: true, Out: w1})
	b := New(Options{Out: w2, Opened: opened, Most: 8})
	var copied sync.WaitGroup
	copied.Go(func() { _, err := io.Copy(b, r1); b.End(err) })
	copied.Go(func() { _, err := io.Copy(a, r2); a.End(err) })
	t.Cleanup(func() {
		_ = w1.Close() // a pipe's never fails
		_ = w2.Close()
		_ = r1.Close()
		_ = r2.Close()
		copied.Wait()
		if n := a.Streams() + b.Streams(); n > 0 {
			t.Errorf("%d streams are left", n)
		}
	})
	return a, b
}

func open(t *testing.T, m *Mux) *Stream {
	t.Helper()
	s, err := m.Open(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// echo answers with what it gets, and ends when that does.
func echo(s *Stream, _ string) {
	s.Accept()
	_, _ = io.Copy(s, s) // the other end sees how it ends
	_ = s.Close()
}

func TestEcho(t *testing.T) {
	t.Parallel()
	a, _ := pair(t, echo)
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s, err := a.Open(t.Context(), "x")
			if err != nil {
				t.Error(err)
				return
			}
			want := bytes.Repeat([]byte{byte(i), 1, 2, 3, 4, 5, 6}, 300_000)
			go func() {
				_, _ = s.Write(want) // what arrives is compared
				_ = s.CloseWrite()
			}()
			got, err := io.ReadAll(s)
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes of %d, %v", len(got), len(want), err)
			}
			_ = s.Close()
		})
	}
	all.Wait()
}

// One that does not read holds up nobody else, and who sends to it is bounded.
func TestStalledReader(t *testing.T) {
	t.Parallel()
	stalled := make(chan *Stream, 1)
	a, _ := pair(t, func(s *Stream, where string) {
		if where == "stalled" {
			s.Accept()
			stalled <- s
			return
		}
		echo(s, where)
	})
	s, err := a.Open(t.Context(), "stalled")
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan int)
	go func() {
		n, _ := s.Write(make([]byte, 2*Window)) // it is reset in the end
		sent <- n
	}()
	for range 20 {
		other := open(t, a)
		if _, err := other.Write(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		_ = other.CloseWrite()
		if got, err := io.ReadAll(other); len(got) != 100 || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		_ = other.Close()
	}
	(<-stalled).Reset()
	if n := <-sent; n > Window {
		t.Errorf("%d bytes were sent to one that read none", n)
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%v", err)
	}
	_ = s.Close()
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	a, _ := pair(t, func(s *Stream, where string) { s.Refuse(Reason(where[0])) })
	for _, tt := range []struct {
		err  error
		want Reason
		is   error
	}{
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}, Refused, syscall.ECONNREFUSED},
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.ENETUNREACH)}, Unreachable, syscall.EHOSTUNREACH},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, Unresolved, nil},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, TimedOut, syscall.ETIMEDOUT},
		{context.DeadlineExceeded, TimedOut, os.ErrDeadlineExceeded},
		{errors.New("anything"), Failed, nil},
	} {
		if got := ReasonOf(tt.err); got != tt.want {
			t.Errorf("%v: %v", tt.err, got)
		}
		_, err := a.Open(t.Context(), string([]byte{byte(tt.want)}))
		if !errors.Is(err, tt.want) || tt.is != nil && !errors.Is(err, tt.is) || err.Error() == "" {
			t.Errorf("%v: %v", tt.want, err)
		}
	}
	s, err := a.OpenNow(string([]byte{byte(Unreachable)}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(s); !errors.Is(err, Unreachable) {
		t.Error(err)
	}
}

// More than the other end allows are refused, and there is room again when one has ended.
func TestFull(t *testing.T) {
	t.Parallel()
	a, _ := pair(t, echo)
	var all []*Stream
	for range 8 {
		all = append(all, open(t, a))
	}
	if _, err := a.Open(t.Context(), "x"); !errors.Is(err, Full) {
		t.Errorf("the ninth: %v", err)
	}
	_ = all[0].CloseWrite()
	if _, err := io.ReadAll(all[0]); err != nil {
		t.Fatal(err)
	}
	all[0] = open(t, a)
	for _, s := range all {
		s.Reset()
	}
}

// What was written before a close arrives, and what the other end then sends is answered with a reset.
func TestClose(t *testing.T) {
	t.Parallel()
	got, result := make(chan string, 1), make(chan error, 1)
	a, _ := pair(t, func(s *Stream, _ string) {
		s.Accept()
		b, _ := io.ReadAll(s) // what came is compared
		got <- string(b)
		var err error
		for err == nil {
			_, err = s.Write(make([]byte, 100))
		}
		result <- err
		_ = s.Close()
	})
	s := open(t, a)
	if _, err := s.Write([]byte("last words")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if text := <-got; text != "last words" {
		t.Errorf("%q", text)
	}
	if err := <-result; !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
	if _, err := s.Write(nil); err != nil {
		t.Errorf("writing nothing: %v", err)
	}
	if _, err := s.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
	if err := s.Close(); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestDeadlines(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	a, _ := pair(t, func(s *Stream, _ string) {
		s.Accept()
		<-done
		s.Reset()
	})
	defer close(done)
	s := open(t, a)
	if err := s.SetDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if n, err := s.Write(make([]byte, Window+1)); n > Window || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%d %v", n, err)
	}
	if err := s.SetDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if err := s.broken(); err != nil {
		t.Error(err)
	}
	s.Reset()
}

// The end of one end breaks what is open at the other, and nothing can be opened any more.
func TestEnd(t *testing.T) {
	t.Parallel()
	a, b := pair(t, echo)
	s := open(t, a)
	b.End(errors.New("why"))
	a.End(nil)
	if _, err := s.Read(make([]byte, 1)); !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
	if _, err := a.Open(t.Context(), "x"); !errors.Is(err, ErrEnded) {
		t.Error(err)
	}
	<-a.Done()
	<-b.Done()
	if err := b.Err(); err == nil || err.Error() != "why" {
		t.Error(err)
	}
}

func TestSay(t *testing.T) {
	t.Parallel()
	heard := make(chan string, 2)
	var out bytes.Buffer
	var mu sync.Mutex
	a := New(Options{First: true, Out: writer(func(p []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return out.Write(p) })})
	defer a.End(nil)
	b := New(Options{Out: io.Discard, Said: func(text string) { heard <- text }})
	defer b.End(nil)
	long := strings.Repeat("x", 2*MostText)
	if err := errors.Join(a.Say("hello"), a.Say(long)); err != nil {
		t.Fatal(err)
	}
	for sent := 0; len(heard) < 2; { // byte by byte
		mu.Lock()
		part := out.Bytes()[sent:]
		sent += len(part)
		for i := range part {
			if _, err := b.Write(part[i : i+1]); err != nil {
				t.Error(err)
			}
		}
		mu.Unlock()
	}
	if one, two := <-heard, <-heard; one != "hello" || two != long[:MostText] {
		t.Errorf("%q %q", one, two)
	}
	if _, err := a.OpenNow(long); err == nil {
		t.Error("a long way was taken")
	}
}

type writer func([]byte) (int, error)

func (w writer) Write(p []byte) (int, error) { return w(p) }

// Whoever breaks the rules is told nothing more.
func TestBrokenRules(t *testing.T) {
	t.Parallel()
	text := func(f frame, b string) string { return string(append(f.appendTo(nil), b...)) }
	for name, bytes := range map[string]string{
		"no kind":               text(frame{0, 1, 0}, ""),
		"an unknown kind":       text(frame{kinds, 1, 0}, ""),
		"too much text":         text(frame{says, 0, MostText + 1}, ""),
		"a text of a stream":    text(frame{says, 1, 0}, ""),
		"data of none":          text(frame{data, 0, 1}, "x"),
		"too much data":         text(frame{data, 1, mostData + 1}, ""),
		"bytes of an end":       text(frame{ended, 1, 1}, "x"),
		"an unknown stream":     text(frame{data, 7, 1}, "x"),
		"an unknown own stream": text(frame{data, 2, 1}, "x"),
		"its number":            text(frame{opens, 2, 0}, ""),
		"a number twice":        text(frame{opens, 1, 0}, "") + text(frame{opens, 1, 0}, ""),
		"a window too large":    text(frame{opens, 1, 0}, "") + text(frame{window, 1, 1}, ""),
		"more than the window": text(frame{opens, 1, 0}, "") +
			strings.Repeat(text(frame{data, 1, mostData}, strings.Repeat("x", mostData)), Window/mostData+1),
		"more after the end": text(frame{opens, 1, 0}, "") + text(frame{ended, 1, 0}, "") + text(frame{data, 1, 1}, "x"),
	} {
		m := New(Options{Out: io.Discard, Opened: func(*Stream, string) {}, Most: 2})
		if _, err := m.Write([]byte(bytes)); err == nil {
			t.Errorf("%s: it was taken", name)
		}
		<-m.Done()
	}
}

// Another end that asks and never reads costs a bounded amount of memory.
func TestAnswersAreBounded(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe() // nobody reads
	defer r.Close()
	m := New(Options{Out: w})
	var err error
	for id := uint32(1); err == nil && id < 1_000_000; id += 2 {
		_, err = m.Write(frame{opens, id, 0}.appendTo(nil))
	}
	if err == nil {
		t.Error("it goes on for ever")
	}
	<-m.Done()
}

// FuzzWrite looks for what another end can do.
func FuzzWrite(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x01\x00\x00\x00\x01x\x04\x00\x00\x00\x01\x00\x00\x00\x02hi\x06\x00\x00\x00\x01\x00\x00\x00\x00"))
	f.Add(frame{window, 2, 5}.appendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var streams sync.WaitGroup
		m := New(Options{Out: io.Discard, Most: 4, Said: func(string) {}, Opened: func(s *Stream, _ string) {
			streams.Add(1)
			defer streams.Done()
			s.Accept()
			_, _ = io.Copy(s, s) // how it ends is nobody's
			_ = s.Close()
		}})
		own, err := m.OpenNow("x")
		if err != nil {
			t.Fatal(err)
		}
		for half := range 2 {
			piece := b[half*len(b)/2 : (half+1)*len(b)/2]
			if n, err := m.Write(piece); n != len(piece) && err == nil {
				t.Errorf("%d of %d bytes", n, len(piece))
			}
		}
		m.End(nil)
		if _, err := io.ReadAll(own); err == nil && !own.in.ended {
			t.Error("it reads on")
		}
		if n := m.Streams(); n > 0 {
			t.Errorf("%d streams are left", n)
		}
	})
}
