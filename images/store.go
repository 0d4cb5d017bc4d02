package images

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
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/disk"
	"fnb/internal/plain"
	"fnb/internal/spelling"
	"fnb/schema"
	"fnb/schema/words"
)

// An Store is an OCI image layout with one entry a reference. Whoever adds
// an image first writes its blobs to blobs/sha256 in the store's folder, as
// containerd's local content store does, and then calls [Store.Put]; index.json
// is written by the store alone.
type Store struct {
	dir   string
	stack string // for which images are put; "" where that is not known
}

// An Entry is one reference of an image store.
type Entry struct {
	Reference  string // in full
	Descriptor v1.Descriptor
	Stored     time.Time // when it was put last
	Stacks     []string  // absolute paths of the stack files for which it was put, the last one last
}

// What the index says of an image in annotations of its own.
const (
	annotationStored = "fnb.stored"
	annotationStacks = "fnb.stacks" // a line each
)

// maxStacks is how many stack files are remembered of an image.
const maxStacks = 16

// Open opens the image store in dir, which it makes when it is not
// there. A store that was left in the middle of a change is whole.
func Open(dir string) (*Store, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("opening the image store: %w", err)
	}
	s := &Store{dir: dir}
	if err := s.makeFolders(); err != nil {
		return nil, fmt.Errorf("opening the image store: %w", err)
	}
	layout := filepath.Join(dir, layoutFile)
	if _, err := os.Stat(layout); errors.Is(err, fs.ErrNotExist) {
		err = disk.ReplaceFile(layout, []byte(layoutText), 0o600)
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

// makeFolders makes the folders of blobs. A link is none: it could lead out of the store, which may come from somebody else.
func (s *Store) makeFolders() error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	dir := s.dir
	for _, name := range []string{"blobs", "sha256"} {
		dir = filepath.Join(dir, name)
		if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
			return errors.Join(err, fmt.Errorf("%s is a link or a file, and must be a folder", dir))
		}
	}
	return nil
}

// Dir returns the store's folder.
func (s *Store) Dir() string { return s.dir }

// For returns the store for the work on a stack: the images that are put belong to the
// stack file at an absolute path, until that is gone.
func (s *Store) For(stack string) *Store { return &Store{dir: s.dir, stack: stack} }

// Put makes ref name the image or multi-platform image that desc describes,
// replacing what ref named before. Every manifest and configuration must be in
// the store with the right content, and every layer with the right size;
// otherwise the error is a [*DamagedError] and nothing changes. A digest in ref
// must be desc's.
func (s *Store) Put(ctx context.Context, ref string, desc v1.Descriptor) error {
	r, err := ParseReference(ref)
	if err != nil {
		return err
	}
	if r.Digest != "" && r.Digest != desc.Digest.String() {
		return BadReference(ref, "its digest is not the image's, "+desc.Digest.String())
	}
	return s.changeIndex(ctx, func(index *v1.IndexManifest) error {
		if _, err := s.Walk(ctx, desc); err != nil {
			return fmt.Errorf("%s: %w", r, err)
		}
		key := key(r)
		desc.Annotations = s.annotated(desc.Annotations, index, key)
		index.Manifests = slices.DeleteFunc(index.Manifests, named(key))
		index.Manifests = append(index.Manifests, desc)
		slices.SortStableFunc(index.Manifests, func(a, b v1.Descriptor) int {
			return strings.Compare(a.Annotations[refName], b.Annotations[refName])
		})
		return nil
	})
}

// annotated returns the annotations of an entry, and with them what the index notes of one
// that is put now.
func (s *Store) annotated(annotations map[string]string, index *v1.IndexManifest, key string) map[string]string {
	out := map[string]string{}
	maps.Copy(out, annotations)
	out[refName], out[annotationStored] = key, time.Now().UTC().Format(time.RFC3339)
	var stacks []string
	if i := slices.IndexFunc(index.Manifests, named(key)); i >= 0 {
		stacks = stacksOf(index.Manifests[i])
	}
	delete(out, annotationStacks)
	if s.stack != "" && !strings.Contains(s.stack, "\n") {
		stacks = append(slices.DeleteFunc(stacks, func(f string) bool { return f == s.stack }), s.stack)
	}
	if len(stacks) > 0 {
		out[annotationStacks] = strings.Join(stacks[max(0, len(stacks)-maxStacks):], "\n")
	}
	return out
}

func stacksOf(d v1.Descriptor) []string {
	if text := d.Annotations[annotationStacks]; text != "" {
		return strings.Split(text, "\n")
	}
	return nil
}

// ParseReference reads a reference in full. The error is a [*schema.ImageError].
func ParseReference(s string) (schema.ImageRef, error) {
	ref, err := schema.ParseImageRef(s)
	if wrong, ok := errors.AsType[*schema.ImageError](err); ok {
		return ref, &schema.ImageError{Image: plain.Short(wrong.Image), Problem: plain.Short(wrong.Problem), Slashed: wrong.Slashed}
	}
	if ref.Digest != "" && !strings.HasPrefix(ref.Digest, "sha256:") {
		return schema.ImageRef{}, BadReference(s, "only SHA-256 digests are understood")
	}
	if err != nil {
		return schema.ImageRef{}, err
	}
	// A host in capitals is none to what speaks to registries.
	if _, err := name.NewRepository(ref.Name()); err != nil {
		return schema.ImageRef{}, BadReference(s, plain.Short(err.Error()))
	}
	return ref.Full(), nil
}

// BadReference says what is wrong with a reference that is one.
func BadReference(s, problem string) error {
	return &schema.ImageError{Image: plain.Short(s), Problem: problem}
}

// key is how the index names a reference: by tag where it has one.
func key(r schema.ImageRef) string {
	if r.Tag != "" {
		r.Digest = ""
	}
	return r.String()
}

func named(key string) func(v1.Descriptor) bool {
	return func(d v1.Descriptor) bool { return d.Annotations[refName] == key }
}

// Resolve returns what ref names. If the store does not have it, Resolve returns
// a [*NotFoundError] with the references that resemble it. With a digest, any
// reference of the same repository that has the digest will do.
func (s *Store) Resolve(ref string) (v1.Descriptor, error) {
	e, err := s.Find(ref)
	return e.Descriptor, err
}

// Find is [Store.Resolve] for whoever wants to know what the index says of the image.
func (s *Store) Find(ref string) (Entry, error) {
	entries, err := s.List()
	if err != nil {
		return Entry{}, err
	}
	return find(ref, entries)
}

func find(ref string, entries []Entry) (Entry, error) {
	r, err := ParseReference(ref)
	if err != nil {
		return Entry{}, err
	}
	for _, e := range entries {
		if matches(r, e) {
			return e, nil
		}
	}
	return Entry{}, &NotFoundError{Reference: r.String(), Near: near(r, entries)}
}

// near returns the references that r was perhaps meant to be: those of the same
// repository, or else those spelt alike.
func near(r schema.ImageRef, entries []Entry) []string {
	var same, all []string
	for _, e := range entries {
		all = append(all, e.Reference)
		have, err := schema.ParseImageRef(e.Reference)
		if err == nil && have.Name() == r.Name() {
			same = append(same, e.Reference)
		}
	}
	if len(same) > 0 {
		return same[:min(len(same), 3)]
	}
	return spelling.Near(r.String(), all)
}

func matches(r schema.ImageRef, e Entry) bool {
	if r.Digest == "" {
		return e.Reference == r.String()
	}
	if e.Descriptor.Digest.String() != r.Digest {
		return false
	}
	have, err := schema.ParseImageRef(e.Reference)
	return err == nil && have.Name() == r.Name()
}

// List returns all references, sorted.
func (s *Store) List() ([]Entry, error) {
	index, err := s.readIndex()
	if err != nil {
		return nil, err
	}
	return s.entries(index), nil
}

func (s *Store) entries(index *v1.IndexManifest) []Entry {
	var entries []Entry
	for _, d := range index.Manifests {
		if ref := d.Annotations[refName]; ref != "" {
			entries = append(entries, Entry{Reference: ref, Descriptor: d, Stored: s.stored(d), Stacks: stacksOf(d)})
		}
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Reference, b.Reference) })
	return entries
}

// stored is when an image was put; of one that the index does not say it of, when its
// manifest was written.
func (s *Store) stored(d v1.Descriptor) time.Time {
	if at, err := time.Parse(time.RFC3339, d.Annotations[annotationStored]); err == nil {
		return at
	}
	path, err := s.blobPath(d.Digest)
	if err != nil {
		return time.Time{}
	}
	info, err := os.Stat(path)
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// Made returns the references of images that were made with an input digest and
// are whole: manifests are right, layers have the right sizes.
func (s *Store) Made(ctx context.Context, input string) ([]Entry, error) {
	entries, err := s.List()
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, e := range entries {
		if e.Descriptor.Annotations[words.LabelInput] != input {
			continue
		}
		if _, err := s.Walk(ctx, e.Descriptor); err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			continue // what is damaged is made anew
		}
		out = append(out, e)
	}
	return out, nil
}
