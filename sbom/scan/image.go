package scan

import (
	"context"
	"fmt"
	"path"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Image finds what is installed in an image of one platform, by its layers.
func Image(ctx context.Context, img v1.Image) (Found, error) { return new(Cache).Image(ctx, img) }

// Image is the function [Image], and does not read the layers that are known.
func (c *Cache) Image(ctx context.Context, img v1.Image) (Found, error) {
	all, err := img.Layers()
	if err != nil {
		return Found{}, fmt.Errorf("reading the image's layers: %w", err)
	}
	s := stack{hidden: map[mark]bool{}}
	for i := len(all) - 1; i >= 0; i-- {
		l, err := c.layer(ctx, all[i])
		if err != nil {
			return Found{}, fmt.Errorf("layer %d: %w", i+1, err)
		}
		if err := s.under(l); err != nil {
			return Found{}, err
		}
	}
	return s.all.result()
}

// A stack puts layers together, the uppermost first: what a layer has hides what is below it.
type stack struct {
	all    finder
	hidden map[mark]bool // what layers above have, or have removed
	bytes  int64         // of all layers
}

// under adds the layer below those that were added.
func (s *stack) under(l *layer) error {
	s.all.entries += l.Entries
	if s.bytes += l.Bytes; s.bytes > maxBytes {
		return &TooLargeError{fmt.Sprintf("more than %d GB in its layers", maxBytes>>30)}
	}
	if s.all.entries > maxEntries {
		return &TooLargeError{fmt.Sprintf("more than %d files", maxEntries)}
	}
	for i := range l.Files {
		if f := &l.Files[i]; !s.isHidden(f.Name) {
			s.all.merge(f)
		}
	}
	for _, name := range l.Libraries {
		if !s.isHidden(name) {
			s.all.found.Libraries = append(s.all.found.Libraries, path.Base(name))
		}
	}
	for m := range l.marks() {
		s.hidden[m] = true
	}
	return nil
}

// isHidden reports whether a layer above has the path, or has removed it or a folder above it.
func (s *stack) isHidden(name string) bool {
	for at := name; ; at = at[:max(0, strings.LastIndexByte(at, '/'))] {
		if s.hidden[markOf(isThere, at)] || at != name && s.hidden[markOf(isHollow, at)] {
			return true
		}
		if at == "" {
			return false
		}
	}
}

// merge takes over what a file says.
func (f *finder) merge(g *file) {
	for _, d := range g.Python {
		d.At += len(f.found.Packages)
		f.python = append(f.python, d)
	}
	f.found.Packages = append(f.found.Packages, g.Packages...)
	f.found.Unread = append(f.found.Unread, g.Unread...)
	if s := g.System; s.ID != "" && (f.found.System.ID == "" || g.Etc) {
		f.found.System = s
	}
	f.etc = f.etc || g.Etc
}
