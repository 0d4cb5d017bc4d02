package main

import (
	"errors"
	"io"
	"slices"
)

// errTooLong says that a body is longer than may be held whole.
var errTooLong = errors.New("longer than body_buffer_size")

// readWhole reads all of from onto b, which grows with what has arrived. More than most bytes are an error.
func readWhole(b []byte, from io.Reader, most int) ([]byte, error) {
	const first = 512
	for limit := len(b) + most; ; {
		if len(b) == cap(b) {
			b = slices.Grow(b, max(first, min(len(b), limit+1-len(b))))
		}
		n, err := from.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case len(b) > limit:
			return b, errTooLong
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return b, err
		}
	}
}
