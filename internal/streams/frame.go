package streams

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A kind is what a frame says.
type kind byte

const (
	opens   kind = 1 + iota // a stream, to where its text says
	opened                  // the stream leads there
	refused                 // it does not, for the reason that is its text
	data                    // bytes
	window                  // so many more bytes may be sent; there is no text
	ended                   // no more bytes come; there is no text
	reset                   // nobody reads or writes the stream any more; there is no text
	says                    // a text that belongs to no stream
	kinds                   // how many there are
)

const (
	// headSize is the size of what is before each frame's bytes: its kind, stream and size.
	headSize = 1 + 4 + 4
	// mostData is how many bytes a frame may have: with its head it is what BuildKit passes
	// on in one piece.
	mostData = 32<<10 - headSize
	// MostText is how long a text may be.
	MostText = 1 << 10
	// Window is how many bytes may be on their way in one direction of a stream.
	Window = 256 << 10
)

// A frame is one without its bytes.
type frame struct {
	kind   kind
	stream uint32
	size   uint32
}

var errFrame = errors.New("what comes is not a frame")

// NoFrame is what ends a Mux that takes it. An end that has broken tells the other one so, which
// would wait for answers.
func NoFrame() []byte {
	return frame{kind: kinds, stream: ^uint32(0), size: ^uint32(0)}.appendTo(nil)
}

func (f frame) check() error {
	most := uint32(0)
	switch f.kind {
	case opens, says:
		most = MostText
	case refused:
		most = 1
	case data:
		most = mostData
	case window:
		most = Window
	case opened, ended, reset:
	default:
		return fmt.Errorf("%w: its kind is %d", errFrame, f.kind)
	}
	if f.size > most || (f.stream == 0) != (f.kind == says) {
		return fmt.Errorf("%w: kind %d, stream %d, size %d", errFrame, f.kind, f.stream, f.size)
	}
	return nil
}

// bytes is how many follow the frame's head.
func (f frame) bytes() int {
	if f.kind == window {
		return 0
	}
	return int(f.size)
}

func (f frame) appendTo(b []byte) []byte {
	b = append(b, byte(f.kind))
	b = binary.BigEndian.AppendUint32(b, f.stream)
	return binary.BigEndian.AppendUint32(b, f.size)
}

// A parser takes frames out of pieces of any size.
type parser struct {
	head [headSize]byte
	have int // of the head
	f    frame
	left int    // of the frame's bytes
	text []byte // of a frame that is taken as a whole
}

// feed hands over the frames in p: one of data in pieces, any other as a whole.
func (ps *parser) feed(p []byte, take func(f frame, b []byte) error) error {
	for len(p) > 0 {
		if ps.have < headSize {
			n := copy(ps.head[ps.have:], p)
			ps.have, p = ps.have+n, p[n:]
			if ps.have < headSize {
				return nil
			}
			ps.f = frame{kind(ps.head[0]), binary.BigEndian.Uint32(ps.head[1:]), binary.BigEndian.Uint32(ps.head[5:])}
			if err := ps.f.check(); err != nil {
				return err
			}
			ps.left, ps.text = ps.f.bytes(), ps.text[:0]
		}
		n := min(ps.left, len(p))
		piece := p[:n]
		ps.left, p = ps.left-n, p[n:]
		if ps.f.kind != data {
			ps.text = append(ps.text, piece...)
			piece = ps.text
		}
		if ps.left == 0 {
			ps.have = 0
		} else if ps.f.kind != data {
			return nil
		}
		if err := take(ps.f, piece); err != nil {
			return err
		}
	}
	return nil
}
