package images

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/disk"
	"fnb/internal/lazyregexp"
	"fnb/internal/plain"
)

const (
	// MaxManifest bounds manifests and configurations; registries refuse
	// manifests of more than 4 MiB.
	MaxManifest = 8 << 20
	// MaxNesting bounds indexes inside indexes.
	MaxNesting = 4
	// maxManifests bounds the manifests of one image.
	maxManifests = 1000
)

var hexDigest = lazyregexp.New(`^[0-9a-f]{64}$`)

// A Tree is an image with everything below it. Blobs and Manifests have each
// digest once; manifests come after what they name, so the image's own is last.
type Tree struct {
	Blobs     []v1.Descriptor
	Manifests []v1.Descriptor
	Raw       map[v1.Hash][]byte // of the manifests
}

// Walk reads the image that desc describes. Manifests and configurations are
// read and compared with their digests, layers only have their sizes looked at.
func (s *Store) Walk(ctx context.Context, desc v1.Descriptor) (*Tree, error) {
	return Walk(ctx, desc, s.readSmall, func(d v1.Descriptor, config bool) error {
		if !config {
			return s.checkSize(d)
		}
		_, err := s.readSmall(d)
		return err
	})
}

// Walk reads an image, wherever it is: read returns the manifest that a descriptor describes, and has
// compared it with its digest. check, if not nil, is called with each other blob, and whether that is a
// configuration. What is no image, is nested too deep, or names too much is a [*DamagedError].
func Walk(ctx context.Context, desc v1.Descriptor, read func(v1.Descriptor) ([]byte, error), check func(d v1.Descriptor, config bool) error) (*Tree, error) {
	w := &walker{tree: &Tree{Raw: map[v1.Hash][]byte{}}, seen: map[v1.Hash]bool{}, read: read, check: check}
	if err := w.manifest(ctx, desc, 0); err != nil {
		return nil, err
	}
	return w.tree, nil
}

// A walker goes through what is below an image.
type walker struct {
	tree  *Tree
	seen  map[v1.Hash]bool
	read  func(v1.Descriptor) ([]byte, error)
	check func(d v1.Descriptor, config bool) error
}

func (w *walker) manifest(ctx context.Context, desc v1.Descriptor, depth int) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if w.seen[desc.Digest] {
		return nil
	}
	w.seen[desc.Digest] = true
	if depth > MaxNesting {
		return &DamagedError{Digest: desc.Digest.String(), Reason: fmt.Sprintf("indexes are nested more than %d deep", MaxNesting)}
	}
	if len(w.tree.Manifests) >= maxManifests {
		return &DamagedError{Digest: desc.Digest.String(), Reason: fmt.Sprintf("it has more than %d manifests", maxManifests)}
	}
	raw, err := w.read(desc)
	if err != nil {
		return err
	}
	var m struct {
		Config    *v1.Descriptor  `json:"config"`
		Layers    []v1.Descriptor `json:"layers"`
		Manifests []v1.Descriptor `json:"manifests"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return &DamagedError{Digest: desc.Digest.String(), Reason: "is not a manifest: " + err.Error()}
	}
	switch {
	case desc.MediaType.IsIndex():
		for _, child := range m.Manifests {
			if err := w.manifest(ctx, child, depth+1); err != nil {
				return err
			}
		}
	case desc.MediaType.IsImage() && m.Config != nil:
		for i, d := range append([]v1.Descriptor{*m.Config}, m.Layers...) {
			if err := w.blob(d, i == 0); err != nil {
				return err
			}
		}
	default:
		return &DamagedError{Digest: desc.Digest.String(), Reason: fmt.Sprintf("is neither an image nor an index but %q", plain.Short(string(desc.MediaType)))}
	}
	w.tree.Raw[desc.Digest] = raw
	w.tree.Manifests = append(w.tree.Manifests, desc)
	return nil
}

func (w *walker) blob(d v1.Descriptor, config bool) error {
	if w.seen[d.Digest] {
		return nil
	}
	w.seen[d.Digest] = true
	if w.check != nil {
		if err := w.check(d, config); err != nil {
			return err
		}
	}
	w.tree.Blobs = append(w.tree.Blobs, d)
	return nil
}

func (s *Store) checkSize(d v1.Descriptor) error {
	path, err := s.blobPath(d.Digest)
	if err != nil {
		return err
	}
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &DamagedError{Digest: d.Digest.String(), Reason: "is missing"}
	case err != nil:
		return fmt.Errorf("reading the image store: %w", err)
	case !info.Mode().IsRegular():
		return &DamagedError{Digest: d.Digest.String(), Reason: "is not a regular file"}
	case info.Size() != d.Size:
		return &DamagedError{Digest: d.Digest.String(), Reason: fmt.Sprintf("has %d bytes instead of %d", info.Size(), d.Size)}
	}
	return nil
}

func (s *Store) blobPath(h v1.Hash) (string, error) {
	if h.Algorithm != "sha256" || !hexDigest.MatchString(h.Hex) {
		return "", &DamagedError{Digest: plain.Short(h.String()), Reason: "is not a SHA-256 digest"}
	}
	return filepath.Join(s.dir, "blobs", "sha256", h.Hex), nil
}

// readSmall returns the content of a manifest or configuration, compared with
// its digest.
func (s *Store) readSmall(d v1.Descriptor) ([]byte, error) { return Read(d, s.Open) }

// Read returns a manifest or a configuration, wherever it is. open opens it, and compares what is read with its digest.
func Read(d v1.Descriptor, open func(v1.Descriptor) (io.ReadCloser, error)) ([]byte, error) {
	if d.Size > MaxManifest {
		return nil, &DamagedError{Digest: d.Digest.String(), Reason: fmt.Sprintf("has %d bytes, more than the %d allowed here", d.Size, MaxManifest)}
	}
	r, err := open(d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // it was only read from
	data, err := io.ReadAll(io.LimitReader(r, MaxManifest+1))
	if err == nil && int64(len(data)) > MaxManifest {
		err = &DamagedError{Digest: d.Digest.String(), Reason: fmt.Sprintf("has more bytes than the %d allowed here", MaxManifest)}
	}
	return data, err
}

// Open opens a blob of the right size. Reading it to its end fails with a
// [*DamagedError] when the content is not what the digest says.
func (s *Store) Open(d v1.Descriptor) (io.ReadCloser, error) {
	if err := s.checkSize(d); err != nil {
		return nil, err
	}
	path, err := s.blobPath(d.Digest)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the image store: %w", err)
	}
	return &verifier{ReadCloser: f, hash: sha256.New(), want: d.Digest.Hex}, nil
}

// A verifier compares what was read with a SHA-256 sum at the end.
type verifier struct {
	io.ReadCloser
	hash hash.Hash
	want string
}

func (v *verifier) Read(p []byte) (int, error) {
	n, err := v.ReadCloser.Read(p)
	v.hash.Write(p[:n])
	if errors.Is(err, io.EOF) && hex.EncodeToString(v.hash.Sum(nil)) != v.want {
		return n, &DamagedError{Digest: "sha256:" + v.want, Reason: "its content is not what the digest says"}
	}
	return n, err
}

// Has reports whether a blob with the right size is there.
func (s *Store) Has(d v1.Descriptor) bool { return s.checkSize(d) == nil }

// Write copies r into the store as the blob d. Nothing is left behind when
// the content is not d's.
func (s *Store) Write(d v1.Descriptor, r io.Reader) (err error) {
	path, err := s.blobPath(d.Digest)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(s.dir, disk.Temporary+"*")
	if err != nil {
		return fmt.Errorf("writing to the image store: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, disk.Discard(f))
		}
	}()
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(f, sum), io.LimitReader(r, d.Size+1))
	if err != nil {
		return err
	}
	if n != d.Size || hex.EncodeToString(sum.Sum(nil)) != d.Digest.Hex {
		return &DamagedError{Digest: d.Digest.String(), Reason: "what arrived is not what the digest says"}
	}
	if err := f.Chmod(0o600); err != nil {
		return fmt.Errorf("writing to the image store: %w", err)
	}
	return disk.Commit(f, path)
}
