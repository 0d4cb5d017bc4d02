package streams

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// joined is a stream that leads to a TCP connection, whose other end is returned.
func joined(t *testing.T) (*Stream, *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	a, _ := pair(t, func(s *Stream, _ string) {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			s.Refuse(ReasonOf(err))
			return
		}
		s.Accept()
		Join(s, conn)
	})
	s := open(t, a)
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return s, conn.(*net.TCPConn)
}

// A direction that ends leaves the other one open.
func TestJoinHalfClose(t *testing.T) {
	t.Parallel()
	s, conn := joined(t)
	if _, err := io.WriteString(s, "question"); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != "question" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if _, err := io.WriteString(conn, "answer"); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
	if got, err := io.ReadAll(s); string(got) != "answer" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	_ = s.Close()
	if _, err := s.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Error(err)
	}
}

func TestJoinReset(t *testing.T) {
	t.Parallel()
	t.Run("of the connection", func(t *testing.T) {
		t.Parallel()
		s, conn := joined(t)
		Abort(conn)
		if _, err := io.ReadAll(s); !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
		_ = s.Close()
	})
	t.Run("of the stream", func(t *testing.T) {
		t.Parallel()
		s, conn := joined(t)
		s.Reset()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // a test that fails says so
		if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
			t.Error(err)
		}
	})
	t.Run("of one that closed with something unread", func(t *testing.T) {
		t.Parallel()
		s, conn := joined(t)
		if _, err := io.WriteString(conn, "nobody reads this"); err != nil {
			t.Fatal(err)
		}
		s.mu.Lock()
		for len(s.in.bytes) == 0 {
			s.changed.Wait()
		}
		s.mu.Unlock()
		_ = s.Close()
		_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // as above
		if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) && err != nil {
			t.Error(err)
		}
	})
}

// A connection that cannot end one direction ends both.
func TestJoinPipe(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	a, _ := pair(t, func(s *Stream, _ string) {
		s.Accept()
		Join(s, near)
	})
	s := open(t, a)
	go func() { _, _ = io.WriteString(far, "hi") }() // it is compared
	b := make([]byte, 2)
	if _, err := io.ReadFull(s, b); string(b) != "hi" || err != nil {
		t.Errorf("%q %v", b, err)
	}
	_ = s.CloseWrite()
	if _, err := far.Read(b); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if got, err := io.ReadAll(s); len(got) > 0 || err != nil {
		t.Errorf("%q %v", got, err)
	}
	_ = s.Close()
}
