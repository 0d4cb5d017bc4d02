package contents

import (
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"fnb/audit"
	"fnb/images"
	"fnb/internal/plain"
	"fnb/sbom/locks"
	"fnb/schema"
	"fnb/store"
)

// atOnce is how many images are looked into at the same time.
const atOnce = 4

// Functions are the subjects of an audit that functions of a stack are: their images as they
// are in the image store or in their registries and, of a function that has none there, its
// package lists alone, which a note says.
func (f *Finder) Functions(ctx context.Context, stack *schema.Stack, fns []schema.Function) ([]audit.Subject, []string, error) {
	out, notes := make([]audit.Subject, len(fns)), make([][]string, len(fns))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, fn := range fns {
		group.Go(func() (err error) {
			out[i], notes[i], err = f.function(ctx, stack, fn)
			return err
		})
	}
	err := group.Wait()
	return out, flat(notes), err
}

func flat(notes [][]string) (out []string) {
	for _, n := range notes {
		out = append(out, n...)
	}
	return out
}

func (f *Finder) function(ctx context.Context, stack *schema.Stack, fn schema.Function) (audit.Subject, []string, error) {
	s := audit.Subject{Name: fn.Name, Image: fn.Image}
	list, files := Lists(filepath.Join(filepath.Dir(stack.File), filepath.FromSlash(fn.Handler)))
	for _, name := range files {
		s.Lists = append(s.Lists, path.Join(path.Clean(filepath.ToSlash(fn.Handler)), name))
	}
	var notes []string
	img, err := f.Image(ctx, fn.Image)
	switch {
	case ctx.Err() != nil:
		return s, nil, ctx.Err()
	case err != nil && absent(err):
		s.Document.Packages = list.Packages
		notes = append(notes, fn.Name+": its image is not in the image store"+f.elsewhere(err)+": its package lists alone are looked at; fnb build "+fn.Name+" makes the image")
	case err != nil:
		return s, nil, fmt.Errorf("%s: %w", fn.Name, err)
	default:
		s.Document = img.Document
		s.Document.Packages = locks.Join(img.Packages, list, "home/app")
		notes = append(append(notes, img.Notes...), unread(fn.Name, img.Unread)...)
	}
	return s, append(notes, unread(fn.Name, list.Unread)...), nil
}

// absent reports whether an image is not there, as far as can be found out: a damaged one is.
func absent(err error) bool {
	_, damaged := errors.AsType[*images.DamagedError](err)
	return !damaged
}

// elsewhere says why an image is not had from its registry either.
func (f *Finder) elsewhere(err error) string {
	if f.Registry == nil {
		return ""
	}
	return ", and not to be had from its registry (" + plain.Short(err.Error()) + ")"
}

func unread(name string, files []string) []string {
	switch {
	case len(files) == 0:
		return nil
	case len(files) == 1:
		return []string{name + ": it is not known what is in " + plain.Short(files[0])}
	}
	return []string{fmt.Sprintf("%s: it is not known what is in %d files, such as %s", name, len(files), plain.Short(files[0]))}
}

// Refs are the subjects of an audit that images are.
func (f *Finder) Refs(ctx context.Context, refs []string) ([]audit.Subject, []string, error) {
	out, notes := make([]audit.Subject, len(refs)), make([][]string, len(refs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, ref := range refs {
		group.Go(func() error {
			img, err := f.Image(ctx, ref)
			if err != nil {
				return err
			}
			out[i], notes[i] = audit.Subject{Name: ref, Image: ref, Document: img.Document}, append(img.Notes, unread(ref, img.Unread)...)
			return nil
		})
	}
	err := group.Wait()
	return out, flat(notes), err
}

// Stored are the references of the images of a store's functions, each of its newest version.
func Stored(ctx context.Context, s *store.Finder, name string) (refs, notes []string, err error) {
	c, err := s.Store(name)
	if err != nil {
		return nil, nil, err
	}
	all, notes, err := s.Functions(ctx, store.Query{})
	if err != nil {
		return nil, notes, err
	}
	for _, m := range all {
		if m.Store != c.Name && m.Store != c.URL {
			continue
		}
		fn, more, err := s.Function(ctx, m.Name, store.Scope{})
		notes = append(notes, more...)
		if err != nil {
			return nil, notes, err
		}
		if img := fn.Record.Image; img != nil {
			ref := img.Ref
			if img.Digest != "" {
				ref += "@" + img.Digest
			}
			refs = append(refs, ref)
		}
	}
	return refs, notes, nil
}
