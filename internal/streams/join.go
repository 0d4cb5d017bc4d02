package streams

import (
	"errors"
	"io"
	"net"
	"sync"
)

// Join passes on what comes at a stream and at a connection to the other one, until both
// directions have ended. An end of one direction arrives as such if the connection has a
// CloseWrite, else it ends both; a reset arrives as a reset.
func Join(s *Stream, conn net.Conn) {
	var both sync.WaitGroup
	both.Go(func() {
		_, err := s.WriteTo(conn)
		switch {
		case err == nil:
			if c, ok := conn.(interface{ CloseWrite() error }); ok {
				_ = c.CloseWrite() // if it is gone, the other direction says so
			} else {
				_ = conn.Close() // as above
			}
		case s.broken() != nil:
			Abort(conn)
		default: // it is the connection that takes no more
			s.Reset()
		}
	})
	both.Go(func() {
		_, err := io.CopyBuffer(onlyWriter{s}, onlyReader{conn}, make([]byte, mostData))
		switch {
		case err == nil:
			_ = s.CloseWrite() // if it is broken, the other direction knows
		case s.broken() != nil, errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
			Abort(conn)
		default:
			s.Reset()
		}
	})
	both.Wait()
	_ = conn.Close() // all that was written to it is on its way
	_ = s.Close()    // the same
}

// The two have no other method, for a copy to find.
type (
	onlyWriter struct{ io.Writer }
	onlyReader struct{ io.Reader }
)

// Abort closes a connection so that its other end sees a reset, as far as it can be told.
func Abort(conn net.Conn) {
	if c, ok := conn.(*net.TCPConn); ok {
		_ = c.SetLinger(0) // if it is closed, it is too late
	}
	if s, ok := conn.(*Stream); ok {
		s.Reset()
	}
	_ = conn.Close() // nobody waits for anything of it
}
