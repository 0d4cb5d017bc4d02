package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"fnb/schema"
	"fnb/store/records"
	"fnb/templates"
	filetree "fnb/templates/tree"
)

// Keep puts a template that is not from a repository into the cache, so that
// [Finder.Pinned] finds it when the program or the folder has another one.
func (s *Finder) Keep(ctx context.Context, t *templates.Template) error {
	if s.cache.Has(t.Checksum) {
		return nil
	}
	dir, err := s.cache.Unfinished()
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // nothing depends on what is left of it
	files := filepath.Join(dir, "files")
	if err := os.Mkdir(files, 0o700); err != nil {
		return fmt.Errorf("using the cache: %w", err)
	}
	root, err := os.OpenRoot(files)
	if err != nil {
		return fmt.Errorf("using the cache: %w", err)
	}
	_, err = filetree.Write(ctx, t.FS, root)
	_ = root.Close() // what was written is checked when it is read
	if err != nil {
		return fmt.Errorf("using the cache: %w", err)
	}
	_, err = s.cache.Add(files)
	return err
}

// Pinned returns the template of where's lock for ref, as it was when it was pinned:
// from the cache, or from where the lock says. Where it cannot be had any more, the
// error is that of [Finder.Resolve], or a [*MismatchError].
func (s *Finder) Pinned(ctx context.Context, ref string, scope Scope) (*templates.Template, error) {
	pin, ok := scope.Lock.Templates[ref]
	if !ok {
		return nil, &MismatchError{Reference: ref, Problem: "fnb.lock does not have it"}
	}
	parsed, err := schema.ParseTemplateRef(ref)
	if err != nil {
		return nil, err
	}
	if t, ok := s.cache.Open(pin.Checksum); ok {
		if t.Source = pin.Store; parsed.Name != "" {
			t.Name = parsed.Name
		}
		return t, nil
	}
	scope.Frozen = true
	t, _, _, err := s.Resolve(ctx, ref, scope)
	return t, err
}

// Later returns the newest stable version that a store has of the template that ref
// names, where that is later than version, which its range may not allow; "" where
// there is none.
func (s *Finder) Later(ctx context.Context, ref, version string) (string, error) {
	parsed, err := schema.ParseTemplateRef(ref)
	if err != nil || parsed.Range == "" || schema.ValidateVersion(version) != nil {
		return "", err
	}
	versions, err := s.Versions(ctx, ref)
	if err != nil {
		return "", err
	}
	for _, v := range versions {
		if v.Yanked == "" && records.IsStable(v.Version) {
			if records.CompareVersions(v.Version, version) > 0 {
				return v.Version, nil
			}
			break
		}
	}
	return "", nil
}
