package streams

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// A Stream is a connection; its two directions end one by one.
type Stream struct {
	m       *Mux
	id      uint32
	theirs  bool          // the other end has opened it
	settled chan struct{} // closed when the other end has answered

	writing sync.Mutex // the bytes of a Write stay together

	mu       sync.Mutex
	changed  *sync.Cond
	answered bool
	in       incoming
	out      outgoing
	closed   bool  // by its user
	err      error // why it is broken
}

// An incoming is the direction to the stream's user.
type incoming struct {
	bytes    []byte // what nobody has read
	owed     int    // bytes that were read, and that the other end may not yet send again
	ended    bool
	deadline deadline
}

// An outgoing is the other direction.
type outgoing struct {
	credit   int // bytes that may be sent
	ended    bool
	deadline deadline
}

func newStream(m *Mux, id uint32, theirs bool) *Stream {
	s := &Stream{m: m, id: id, theirs: theirs, settled: make(chan struct{}), out: outgoing{credit: Window}}
	s.changed = sync.NewCond(&s.mu)
	return s
}

// Accept says that a stream of the other end leads to where it wanted.
func (s *Stream) Accept() {
	_ = s.m.send(frame{opened, s.id, 0}, nil, false) // if it has ended, the stream is broken
}

// Refuse says that it does not.
func (s *Stream) Refuse(why Reason) {
	if s.breaks(net.ErrClosed) {
		_ = s.m.send(frame{refused, s.id, 1}, []byte{byte(why)}, false) // as for Accept
	}
	s.m.forget(s)
}

// take does what a frame for the stream says.
func (s *Stream) take(f frame, b []byte) error {
	switch f.kind {
	case opened:
		s.settle()
	case refused:
		why := Failed
		if len(b) > 0 {
			why = Reason(b[0])
		}
		s.breaks(why)
		s.m.forget(s)
	case reset:
		s.breaks(syscall.ECONNRESET)
		s.m.forget(s)
	case window:
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.out.credit += int(f.size); s.out.credit > Window {
			return errors.New("more was read of a stream than was sent")
		}
		s.changed.Broadcast()
	case ended:
		s.mu.Lock()
		s.in.ended = true
		over := s.out.ended
		s.changed.Broadcast()
		s.mu.Unlock()
		if over {
			s.m.forget(s)
		}
	case data:
		return s.takeData(b)
	}
	return nil
}

func (s *Stream) takeData(b []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.err != nil:
		return nil
	case s.in.ended || len(s.in.bytes)+s.in.owed+len(b) > Window:
		return errors.New("more was sent to a stream than it may take")
	case s.closed:
		s.err = net.ErrClosed
		s.m.forget(s)
		return s.m.send(frame{reset, s.id, 0}, nil, false)
	}
	s.in.bytes = append(s.in.bytes, b...)
	s.changed.Broadcast()
	return nil
}

// settle says that the other end has answered.
func (s *Stream) settle() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.answered {
		s.answered = true
		close(s.settled)
	}
}

// breaks says that nothing more can be sent or comes; false if that is known.
func (s *Stream) breaks(err error) bool {
	defer s.settle()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return false
	}
	s.err = err
	s.changed.Broadcast()
	return true
}

func (s *Stream) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Read implements [net.Conn].
func (s *Stream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.awaitBytes(); err != nil {
		return 0, err
	}
	n := copy(p, s.in.bytes)
	if s.in.bytes = s.in.bytes[n:]; len(s.in.bytes) == 0 {
		s.in.bytes = nil
	}
	s.grant(n)
	return n, nil
}

// WriteTo implements [io.WriterTo]: what has come is passed on as it is.
func (s *Stream) WriteTo(w io.Writer) (int64, error) {
	var total int64
	var taken []byte
	for {
		s.mu.Lock()
		err := s.awaitBytes()
		if err == nil {
			taken, s.in.bytes = s.in.bytes, taken[:0]
			s.in.owed += len(taken) // nothing of it is granted before it was written
		}
		s.mu.Unlock()
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
		n, err := w.Write(taken)
		total += int64(n)
		if err != nil {
			return total, err
		}
		s.mu.Lock()
		s.in.owed -= len(taken)
		s.grant(len(taken))
		s.mu.Unlock()
		if cap(taken) > 2*mostData {
			taken = nil
		}
	}
}

// awaitBytes waits until there is something to read; the lock is held.
func (s *Stream) awaitBytes() error {
	for {
		switch {
		case s.closed:
			return net.ErrClosed
		case s.in.deadline.passed:
			return os.ErrDeadlineExceeded
		case len(s.in.bytes) > 0:
			return nil
		case s.in.ended:
			return io.EOF
		case s.err != nil:
			return s.err
		}
		s.changed.Wait()
	}
}

// grant lets the other end send as much as was read; the lock is held.
func (s *Stream) grant(n int) {
	if s.in.owed += n; s.in.owed < Window/4 || s.in.ended || s.err != nil || s.closed {
		return
	}
	_ = s.m.send(frame{window, s.id, uint32(s.in.owed)}, nil, false) // if it has ended, the stream is broken
	s.in.owed = 0
}

// Write implements [net.Conn].
func (s *Stream) Write(p []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	total := 0
	for len(p) > 0 {
		n, err := s.awaitCredit(min(len(p), mostData))
		if err != nil {
			return total, err
		}
		if err := s.m.send(frame{data, s.id, uint32(n)}, p[:n], true); err != nil {
			return total, err
		}
		total, p = total+n, p[n:]
	}
	return total, nil
}

// awaitCredit waits until up to n bytes may be sent.
func (s *Stream) awaitCredit(n int) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.closed:
			return 0, net.ErrClosed
		case s.out.ended:
			return 0, syscall.EPIPE
		case s.err != nil:
			return 0, s.err
		case s.out.deadline.passed:
			return 0, os.ErrDeadlineExceeded
		case s.out.credit > 0:
			n = min(n, s.out.credit)
			s.out.credit -= n
			return n, nil
		}
		s.changed.Wait()
	}
}

// CloseWrite says that no more is written.
func (s *Stream) CloseWrite() error {
	s.mu.Lock()
	if s.out.ended || s.err != nil || s.closed {
		err := s.err
		s.mu.Unlock()
		return err
	}
	s.out.ended = true
	s.changed.Broadcast()
	s.mu.Unlock()
	s.endOut()
	return nil
}

// endOut tells the other end, after all that was written.
func (s *Stream) endOut() {
	s.writing.Lock()
	_ = s.m.send(frame{ended, s.id, 0}, nil, false) // if it has ended, the stream is broken
	s.writing.Unlock()
	s.mu.Lock()
	over := s.in.ended
	s.mu.Unlock()
	if over {
		s.m.forget(s)
	}
}

// Close implements [net.Conn]. What was written arrives; what the other end sends from now
// on is answered with a reset.
func (s *Stream) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return net.ErrClosed
	}
	ending := !s.out.ended && s.err == nil
	unread := len(s.in.bytes) > 0 && s.err == nil && !s.in.ended
	s.closed, s.out.ended, s.in.bytes = true, true, nil
	s.in.deadline.stop()
	s.out.deadline.stop()
	s.changed.Broadcast()
	s.mu.Unlock()
	if ending {
		s.endOut()
	}
	if unread {
		s.Reset()
	}
	return nil
}

// Reset breaks the stream, also for the other end.
func (s *Stream) Reset() {
	if s.breaks(net.ErrClosed) {
		_ = s.m.send(frame{reset, s.id, 0}, nil, false) // if it has ended, so has the stream
	}
	s.m.forget(s)
}

// A deadline is that of a direction.
type deadline struct {
	timer  *time.Timer
	passed bool
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}

// set sets it; the lock is held.
func (s *Stream) set(d *deadline, t time.Time) {
	d.stop()
	d.passed = !t.IsZero() && !t.After(time.Now())
	if !t.IsZero() && !d.passed {
		var timer *time.Timer
		timer = time.AfterFunc(time.Until(t), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if d.timer == timer {
				d.passed = true
				s.changed.Broadcast()
			}
		})
		d.timer = timer
	}
	s.changed.Broadcast()
}

// SetDeadline implements [net.Conn].
func (s *Stream) SetDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(&s.in.deadline, t)
	s.set(&s.out.deadline, t)
	return nil
}

// SetReadDeadline implements [net.Conn].
func (s *Stream) SetReadDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(&s.in.deadline, t)
	return nil
}

// SetWriteDeadline implements [net.Conn].
func (s *Stream) SetWriteDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.set(&s.out.deadline, t)
	return nil
}

// LocalAddr implements [net.Conn].
func (s *Stream) LocalAddr() net.Addr { return address{} }

// RemoteAddr implements [net.Conn].
func (s *Stream) RemoteAddr() net.Addr { return address{} }

// An address is that of a stream, which has none.
type address struct{}

// Network implements [net.Addr].
func (address) Network() string { return "stream" }

// String implements [net.Addr].
func (address) String() string { return "stream" }
