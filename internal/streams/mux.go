package streams

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
)

// Options say what a [Mux] does.
type Options struct {
	// First is true at one of the two ends.
	First bool
	// Out takes what is for the other end.
	Out io.Writer
	// Opened is called when the other end opens a stream, in a goroutine of its own. It
	// calls [Stream.Accept] or [Stream.Refuse].
	Opened func(s *Stream, where string)
	// Said is called with what the other end says; it must not wait.
	Said func(text string)
	// Most is how many streams the other end may have open at a time.
	Most int
	// Full is called once, in a goroutine of its own, with where the first stream was to lead that
	// was one too many; nil is nobody.
	Full func(where string)
}

const (
	// fullOut is how much may wait to be sent before more bytes of streams have to.
	fullOut = 64 << 10
	// mostOut is how much may wait at all: answers to another end that does not read.
	mostOut = 1 << 20
)

// A Mux is one end of what carries streams. It is safe for concurrent use.
type Mux struct {
	o    Options
	gone chan struct{} // closed when it has ended

	taking sync.Mutex // what comes is taken by one
	parser parser

	mu      sync.Mutex
	changed *sync.Cond // what waits to be sent
	out     []byte
	streams map[uint32]*Stream
	theirs  int    // streams that the other end has opened
	next    uint32 // id of the next stream
	last    uint32 // id of the other end's last one
	err     error
}

// ErrEnded is why a stream breaks whose [Mux] has ended in an orderly way.
var ErrEnded = errors.New("the other end has gone")

// New makes a Mux. [Mux.End] has to be called.
func New(o Options) *Mux {
	m := &Mux{o: o, gone: make(chan struct{}), streams: map[uint32]*Stream{}, next: 2}
	if o.First {
		m.next = 1
	}
	m.changed = sync.NewCond(&m.mu)
	go m.sendAll()
	return m
}

// Open opens a stream to where the other end knows, and returns when it leads there. A
// [Reason] says that it does not.
func (m *Mux) Open(ctx context.Context, where string) (*Stream, error) {
	s, err := m.OpenNow(where)
	if err != nil {
		return nil, err
	}
	select {
	case <-s.settled:
		if err := s.broken(); err != nil {
			return nil, err
		}
		return s, nil
	case <-ctx.Done():
		s.Reset()
		return nil, ctx.Err()
	}
}

// OpenNow opens a stream that can be written to before the other end has answered; if it
// refuses, the stream breaks with a [Reason].
func (m *Mux) OpenNow(where string) (*Stream, error) {
	if len(where) > MostText {
		return nil, fmt.Errorf("opening a stream: %d bytes say where to, and %d are possible", len(where), MostText)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return nil, m.err
	}
	if m.next > 1<<31 {
		return nil, errors.New("opening a stream: there were too many")
	}
	s := newStream(m, m.next, false)
	m.next += 2
	m.streams[s.id] = s
	return s, m.queue(frame{opens, s.id, uint32(len(where))}, []byte(where))
}

// Say tells the other end something.
func (m *Mux) Say(text string) error {
	return m.send(frame{says, 0, uint32(min(len(text), MostText))}, []byte(text[:min(len(text), MostText)]), false)
}

// Done is closed when the Mux has ended.
func (m *Mux) Done() <-chan struct{} { return m.gone }

// Err is why it has ended.
func (m *Mux) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// Streams is how many have not come to their end in both directions.
func (m *Mux) Streams() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.streams)
}

// End breaks all streams; nil says that it is an orderly end. Only the first call counts.
func (m *Mux) End(err error) {
	if err == nil {
		err = ErrEnded
	}
	m.mu.Lock()
	if m.err != nil {
		m.mu.Unlock()
		return
	}
	m.err = err
	open := m.streams
	m.streams, m.theirs, m.out = map[uint32]*Stream{}, 0, nil
	m.changed.Broadcast()
	m.mu.Unlock()
	close(m.gone)
	for _, s := range open {
		s.breaks(err)
	}
}

// sendAll writes what waits, all that there is at once.
func (m *Mux) sendAll() {
	var buf []byte
	for {
		m.mu.Lock()
		for len(m.out) == 0 && m.err == nil {
			m.changed.Wait()
		}
		if m.err != nil {
			m.mu.Unlock()
			return
		}
		buf, m.out = m.out, buf[:0]
		m.changed.Broadcast()
		m.mu.Unlock()
		if _, err := m.o.Out.Write(buf); err != nil {
			m.End(err)
			return
		}
		if cap(buf) > 4*fullOut {
			buf = nil
		}
	}
}

// send sends a frame. With wait it is held up by what waits already.
func (m *Mux) send(f frame, b []byte, wait bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for wait && len(m.out) >= fullOut && m.err == nil {
		m.changed.Wait()
	}
	return m.queue(f, b)
}

// queue is send to someone who holds the lock.
func (m *Mux) queue(f frame, b []byte) error {
	if m.err != nil {
		return m.err
	}
	if len(m.out) > mostOut {
		go m.End(errors.New("the other end asks, and does not read the answers"))
		return ErrEnded
	}
	m.out = append(f.appendTo(m.out), b...)
	m.changed.Broadcast()
	return nil
}

// Write takes what the other end has sent; it never waits for a stream. Its error has ended
// the Mux.
func (m *Mux) Write(p []byte) (int, error) {
	m.taking.Lock()
	defer m.taking.Unlock()
	err := m.parser.feed(p, m.take)
	if err != nil {
		m.End(err)
		return 0, err
	}
	return len(p), nil
}

// take does what a frame says.
func (m *Mux) take(f frame, b []byte) error {
	switch f.kind {
	case says:
		if m.o.Said != nil {
			m.o.Said(string(b))
		}
		return nil
	case opens:
		return m.takeOpen(f.stream, string(b))
	}
	m.mu.Lock()
	s, err := m.streams[f.stream], m.err
	known := f.stream < m.next
	if f.stream%2 != m.next%2 {
		known = f.stream <= m.last
	}
	m.mu.Unlock()
	switch {
	case err != nil:
		return err
	case !known:
		return fmt.Errorf("%w: there is no stream %d", errFrame, f.stream)
	case s == nil: // it has come to its end, and the other one did not know
		return nil
	}
	return s.take(f, b)
}

func (m *Mux) takeOpen(id uint32, where string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	if id%2 == m.next%2 || id <= m.last {
		return fmt.Errorf("%w: stream %d cannot be opened", errFrame, id)
	}
	m.last = id
	if m.theirs >= m.o.Most || m.o.Opened == nil {
		if full := m.o.Full; full != nil {
			m.o.Full = nil
			go full(where)
		}
		return m.queue(frame{refused, id, 1}, []byte{byte(Full)})
	}
	s := newStream(m, id, true)
	m.theirs++
	m.streams[id] = s
	go m.o.Opened(s, where)
	return nil
}

// forget says that a stream has come to its end.
func (m *Mux) forget(s *Stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.streams[s.id] == s {
		delete(m.streams, s.id)
		if s.theirs {
			m.theirs--
		}
	}
}
