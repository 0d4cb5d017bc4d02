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
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/disk"
	"fnb/internal/plain"
)

const (
	// MaxManifest bounds manifests and configurations; registries refuse
	// manifests of more than 4 MiB.
	MaxManifest = 8 << 20
	// MaxNesting bounds indexes inside indexes.
	MaxNesting = 4
)

var hexDigest = regexp.MustCompile(`^[0-9a-f]{64}$`)

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
	t := &Tree{Raw: map[v1.Hash][]byte{}}
	seen := map[v1.Hash]bool{}
	if err := s.walkInto(ctx, t, seen, desc, 0); err != nil {
		return nil, err
	}
	return t, nil
}

func (s *Store) walkInto(ctx context.Context, t *Tree, seen map[v1.Hash]bool, desc v1.Descriptor, depth int) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if seen[desc.Digest] {
		return nil
	}
	seen[desc.Digest] = true
	if depth > MaxNesting {
		return &DamagedError{Digest: desc.Digest.String(), Reason: fmt.Sprintf("indexes are nested more than %d deep", MaxNesting)}
	}
	raw, err := s.readSmall(desc)
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
			if err := s.walkInto(ctx, t, seen, child, depth+1); err != nil {
				return err
			}
		}
	case desc.MediaType.IsImage() && m.Config != nil:
		if err := s.walkBlobs(t, seen, *m.Config, m.Layers); err != nil {
			return err
		}
	default:
		return &DamagedError{Digest: desc.Digest.String(), Reason: fmt.Sprintf("is neither an image nor an index but %q", plain.Short(string(desc.MediaType)))}
	}
	t.Raw[desc.Digest] = raw
	t.Manifests = append(t.Manifests, desc)
	return nil
}

func (s *Store) walkBlobs(t *Tree, seen map[v1.Hash]bool, config v1.Descriptor, layers []v1.Descriptor) error {
	if !seen[config.Digest] {
		if _, err := s.readSmall(config); err != nil {
			return err
		}
		seen[config.Digest] = true
		t.Blobs = append(t.Blobs, config)
	}
	for _, l := range layers {
		if seen[l.Digest] {
			continue
		}
		seen[l.Digest] = true
		if err := s.checkSize(l); err != nil {
			return err
		}
		t.Blobs = append(t.Blobs, l)
	}
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
func (s *Store) readSmall(d v1.Descriptor) ([]byte, error) {
	if d.Size > MaxManifest {
		return nil, &DamagedError{Digest: d.Digest.String(), Reason: fmt.Sprintf("has %d bytes, more than the %d allowed here", d.Size, MaxManifest)}
	}
	r, err := s.openBlob(d)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }() // it was only read from
	return io.ReadAll(r)
}

// openBlob opens a blob of the right size. Reading it to its end fails with a
// [*DamagedError] when the content is not what the digest says.
func (s *Store) openBlob(d v1.Descriptor) (io.ReadCloser, error) {
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
