package images

import (
	"errors"
	"io/fs"
	"os"
	"slices"

	"fnb/schema"
)

// Stacks knows what the stack files of this machine say. The zero value has read none.
type Stacks struct {
	read map[string][]schema.ImageRef
	keep map[string]bool // files that are there and do not say which images they name
}

// Name reports whether a stack file for which an image was put still names it. A stack
// that cannot be read, or whose images depend on variables that are not set, names
// whatever was put for it.
func (s *Stacks) Name(e Entry) bool {
	ref, err := schema.ParseImageRef(e.Reference)
	if err != nil {
		return false
	}
	return slices.ContainsFunc(e.Stacks, func(file string) bool {
		s.open(file)
		return s.keep[file] || slices.ContainsFunc(s.read[file], ref.Same)
	})
}

// open reads a stack file once.
func (s *Stacks) open(file string) {
	if _, known := s.read[file]; known {
		return
	}
	if s.read == nil {
		s.read, s.keep = map[string][]schema.ImageRef{}, map[string]bool{}
	}
	s.read[file] = nil
	stack, err := schema.ReadStack(file, os.LookupEnv)
	if err != nil {
		s.keep[file] = !errors.Is(err, fs.ErrNotExist)
		return
	}
	s.keep[file] = stack.Needs(stack.Functions, []string{"image"}) != nil
	for _, fn := range stack.Functions {
		if ref, err := schema.ParseImageRef(fn.Image); err == nil {
			s.read[file] = append(s.read[file], ref)
		}
	}
}
