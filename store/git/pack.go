package git

import (
	"context"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"

	"fnb/internal/plain"
)

// checkPack reads a pack without keeping anything of it and returns a
// [*LimitError] when unpacking it would take more than the limits allow: a few
// kilobytes can stand for gigabytes, by compression or by deltas.
func checkPack(ctx context.Context, pack io.Reader, source string, limits Limits) error {
	damaged := func(err error) error {
		return &UnreachableError{URL: source, Err: fmt.Errorf("what it sent is damaged: %w", plain.Error(err))}
	}
	s := packfile.NewScanner(pack)
	_, count, err := s.Header()
	if err != nil {
		return damaged(err)
	}
	if int64(count) > limits.Objects {
		return &LimitError{Source: source, What: fmt.Sprintf("the repository has %d objects to fetch, more", count), Limit: limits.Objects}
	}
	var sum int64
	for range count {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		h, err := s.NextObjectHeader()
		if err != nil {
			return damaged(err)
		}
		size := h.Length
		if size > limits.File {
			return &LimitError{Source: source, What: fmt.Sprintf("an object of the repository has %d bytes, more", size), Limit: limits.File}
		}
		start := &beginning{}
		if _, _, err := s.NextObject(start); err != nil {
			return damaged(err)
		}
		if h.Type == plumbing.OFSDeltaObject || h.Type == plumbing.REFDeltaObject {
			size = start.target()
		}
		if size < 0 || size > limits.File {
			return &LimitError{Source: source, What: fmt.Sprintf("an object of the repository has %d bytes, more", size), Limit: limits.File}
		}
		if sum += size; sum > limits.Unpacked {
			return &LimitError{Source: source, What: "the objects of the repository have more bytes", Limit: limits.Unpacked}
		}
	}
	return nil
}

// beginning keeps the first bytes written to it: a delta's two sizes.
type beginning struct {
	kept [20]byte
	n    int
}

func (b *beginning) Write(p []byte) (int, error) {
	b.n += copy(b.kept[b.n:], p)
	return len(p), nil
}

// target returns the size of what a delta makes, -1 where that makes no sense.
func (b *beginning) target() int64 {
	at := 0
	var size int64
	for range 2 { // first the size of what it starts from
		size = 0
		for shift := 0; ; shift += 7 {
			if at >= b.n || shift > 56 {
				return -1
			}
			c := b.kept[at]
			at++
			size |= int64(c&0x7f) << shift
			if c&0x80 == 0 {
				break
			}
		}
	}
	return size
}
