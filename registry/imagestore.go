package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/plain"
	"fnb/schema"
)

// An ImageStore is an OCI image layout with one entry a reference. Whoever adds
// an image first writes its blobs to blobs/sha256 in the store's folder, as
// containerd's local content store does, and then calls [ImageStore.Put]; index.json
// is written by the store alone.
type ImageStore struct {
	dir string
}

// An Entry is one reference of an image store.
type Entry struct {
	Reference  string
	Descriptor v1.Descriptor
}

// OpenImageStore opens the image store in dir, which it makes when it is not
// there. A store that was left in the middle of a change is whole.
func OpenImageStore(dir string) (*ImageStore, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the image store: %w", err)
	}
	s := &ImageStore{dir: dir}
	if err := os.MkdirAll(filepath.Join(dir, "blobs", "sha256"), 0o700); err != nil {
		return nil, fmt.Errorf("opening the image store: %w", err)
	}
	layout := filepath.Join(dir, layoutFile)
	if _, err := os.Stat(layout); errors.Is(err, fs.ErrNotExist) {
		err = replaceFile(layout, []byte(layoutText), 0o600)
		if err != nil {
			return nil, fmt.Errorf("opening the image store: %w", err)
		}
	} else if err != nil {
		return nil, fmt.Errorf("opening the image store: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, indexFile)); errors.Is(err, fs.ErrNotExist) {
		err = s.changeIndex(context.Background(), func(*v1.IndexManifest) error { return nil })
		if err != nil {
			return nil, err
		}
	}
	if _, err := s.readIndex(); err != nil {
		return nil, err
	}
	return s, nil
}

// Dir returns the store's folder.
func (s *ImageStore) Dir() string { return s.dir }

// Put makes ref name the image or multi-platform image that desc describes,
// replacing what ref named before. Every manifest and configuration must be in
// the store with the right content, and every layer with the right size;
// otherwise the error is a [*DamagedError] and nothing changes. A digest in ref
// must be desc's.
func (s *ImageStore) Put(ctx context.Context, ref string, desc v1.Descriptor) error {
	r, err := parseReference(ref)
	if err != nil {
		return err
	}
	if r.digest != "" && r.digest != desc.Digest.String() {
		return &ReferenceError{Reference: plain.Short(ref), Reason: "its digest is not the image's, " + desc.Digest.String()}
	}
	return s.changeIndex(ctx, func(index *v1.IndexManifest) error {
		if _, err := s.walk(ctx, desc); err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
		key := r.key()
		desc.Annotations = maps.Clone(desc.Annotations)
		if desc.Annotations == nil {
			desc.Annotations = map[string]string{}
		}
		desc.Annotations[refName] = key
		index.Manifests = slices.DeleteFunc(index.Manifests, named(key))
		index.Manifests = append(index.Manifests, desc)
		slices.SortStableFunc(index.Manifests, func(a, b v1.Descriptor) int {
			return strings.Compare(a.Annotations[refName], b.Annotations[refName])
		})
		return nil
	})
}

// key is how the index names r: by tag where it has one.
func (r reference) key() string {
	if r.tag != "" {
		r.digest = ""
	}
	return r.String()
}

func named(key string) func(v1.Descriptor) bool {
	return func(d v1.Descriptor) bool { return d.Annotations[refName] == key }
}

// Resolve returns what ref names. If the store does not have it, Resolve returns
// a [*NotFoundError] with the references that resemble it. With a digest, any
// reference of the same repository that has the digest will do.
func (s *ImageStore) Resolve(ref string) (v1.Descriptor, error) {
	r, err := parseReference(ref)
	if err != nil {
		return v1.Descriptor{}, err
	}
	entries, err := s.List()
	if err != nil {
		return v1.Descriptor{}, err
	}
	for _, e := range entries {
		if r.matches(e) {
			return e.Descriptor, nil
		}
	}
	return v1.Descriptor{}, &NotFoundError{Reference: r.String(), Near: r.near(entries)}
}

// near returns the references that r was perhaps meant to be: those of the same
// repository, or else those spelt alike.
func (r reference) near(entries []Entry) []string {
	var same, all []string
	for _, e := range entries {
		all = append(all, e.Reference)
		have, err := parseReference(e.Reference)
		if err == nil && have.repo.Name() == r.repo.Name() {
			same = append(same, e.Reference)
		}
	}
	if len(same) > 0 {
		return same[:min(len(same), 3)]
	}
	return schema.Near(r.String(), all)
}

func (r reference) matches(e Entry) bool {
	if r.digest == "" {
		return e.Reference == r.String()
	}
	if e.Descriptor.Digest.String() != r.digest {
		return false
	}
	have, err := parseReference(e.Reference)
	return err == nil && have.repo.Name() == r.repo.Name()
}

// List returns all references, sorted.
func (s *ImageStore) List() ([]Entry, error) {
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, d := range index.Manifests {
		if ref := d.Annotations[refName]; ref != "" {
			entries = append(entries, Entry{Reference: ref, Descriptor: d})
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Reference, b.Reference) })
	return entries, nil
}

// Remove forgets ref; [ImageStore.Prune] then deletes the blobs that nothing
// else needs. If the store does not have ref, Remove returns a [*NotFoundError].
func (s *ImageStore) Remove(ctx context.Context, ref string) error {
	r, err := parseReference(ref)
	if err != nil {
		return err
	}
	return s.changeIndex(ctx, func(index *v1.IndexManifest) error {
		had := len(index.Manifests)
		index.Manifests = slices.DeleteFunc(index.Manifests, named(r.key()))
		if len(index.Manifests) == had {
			return &NotFoundError{Reference: r.String()}
		}
		return nil
	})
}
