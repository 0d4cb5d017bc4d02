package terminal

import (
	"errors"
	"io"
	"sync"
)

// An Input is a file that several programs read from, one after another: a read that one of
// them has begun and nobody waits for any more would take what is meant for the next.
type Input struct {
	file  io.Reader
	ended func()
	once  sync.Once
	read  chan piece
	mu    sync.Mutex
	rest  piece // what a reader has taken and not handed out
}

// A piece is what one read has brought.
type piece struct {
	data []byte
	err  error
}

// NewInput reads from a file once somebody asks, and goes on until the file ends, when it
// calls ended.
func NewInput(file io.Reader, ended func()) *Input {
	return &Input{file: file, ended: ended, read: make(chan piece)}
}

var errTakenBack = errors.New("the input was taken back")

// Reader reads from the input until its Close, which may come while it waits.
func (i *Input) Reader() io.ReadCloser {
	i.once.Do(func() { go i.pump() })
	return &inputReader{input: i, closed: make(chan struct{})}
}

// pump ends with the file, which may be that of the process.
func (i *Input) pump() {
	for {
		p := make([]byte, 32<<10)
		n, err := i.file.Read(p)
		if err != nil {
			i.ended()
		}
		i.read <- piece{p[:n], err}
		if err != nil {
			close(i.read)
			return
		}
	}
}

type inputReader struct {
	input  *Input
	once   sync.Once
	closed chan struct{}
}

// Read implements [io.Reader].
func (r *inputReader) Read(p []byte) (int, error) {
	i := r.input
	i.mu.Lock()
	defer i.mu.Unlock()
	select {
	case <-r.closed:
		return 0, errTakenBack
	default:
	}
	for len(i.rest.data) == 0 {
		if i.rest.err != nil {
			return 0, i.rest.err
		}
		select {
		case got, ok := <-i.read:
			if i.rest = got; !ok {
				i.rest.err = io.EOF
			}
		case <-r.closed:
			return 0, errTakenBack
		}
	}
	n := copy(p, i.rest.data)
	i.rest.data = i.rest.data[n:]
	return n, nil
}

// Close implements [io.Closer].
func (r *inputReader) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}
