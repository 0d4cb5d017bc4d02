package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// refName is the annotation of a descriptor that holds its reference.
	refName = "org.opencontainers.image.ref.name"

	layoutFile  = "oci-layout"
	layoutText  = `{"imageLayoutVersion":"1.0.0"}`
	indexFile   = "index.json"
	indexLock   = "index.lock" // held while index.json is changed
	useLock     = "use.lock"   // shared by writers of blobs, exclusive for Prune
	temporary   = ".tmp-"      // begins the names of unfinished files
	lockRetry   = 5 * time.Millisecond
	maxIndexLen = 64 << 20
)

// readIndex reads index.json, which is always whole because it is replaced in
// one step.
func (s *ImageStore) readIndex() (*v1.IndexManifest, error) {
	b, err := os.ReadFile(filepath.Join(s.dir, indexFile))
	if errors.Is(err, fs.ErrNotExist) {
		return emptyIndex(), nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the image store: %w", err)
	}
	if len(b) > maxIndexLen {
		return nil, fmt.Errorf("reading the image store: %s is larger than %d bytes", indexFile, maxIndexLen)
	}
	index := emptyIndex()
	if err := json.Unmarshal(b, index); err != nil {
		return nil, &IndexError{File: filepath.Join(s.dir, indexFile), Err: err}
	}
	return index, nil
}

func emptyIndex() *v1.IndexManifest {
	return &v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
}

// changeIndex calls change with the index of the moment and writes it back, with
// every other process kept out. When change fails nothing is written.
func (s *ImageStore) changeIndex(ctx context.Context, change func(*v1.IndexManifest) error) error {
	unlock, err := lockFile(ctx, filepath.Join(s.dir, indexLock), true)
	if err != nil {
		return err
	}
	defer unlock()
	index, err := s.readIndex()
	if err != nil {
		return err
	}
	if err := change(index); err != nil {
		return err
	}
	b, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the image store's index: %w", err)
	}
	return replaceFile(filepath.Join(s.dir, indexFile), append(b, '\n'), 0o600)
}

// lockFile waits for the file lock at path, exclusive or shared, and returns how
// to let go of it. The lock ends with the process, however it ends.
func lockFile(ctx context.Context, path string, exclusive bool) (unlock func(), err error) {
	l := flock.New(path, flock.SetPermissions(0o600))
	try := l.TryRLockContext
	if exclusive {
		try = l.TryLockContext
	}
	if _, err := try(ctx, lockRetry); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	// Closing the file is what releases the lock; it cannot fail in a way that
	// keeps it.
	return func() { _ = l.Close() }, nil
}

// replaceFile puts content at path in one step: readers see the old file or the
// new one, also after a crash.
func replaceFile(path string, content []byte, mode fs.FileMode) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, temporary+"*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("writing %s: %w", path, err), discard(f))
		}
	}()
	if err := f.Chmod(mode); err != nil {
		return err
	}
	if _, err := f.Write(content); err != nil {
		return err
	}
	return commitFile(f, path)
}

// commitFile makes f, a temporary file beside path, durable and gives it its name.
func commitFile(f *os.File, path string) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// discard removes an unfinished file, which may be closed already.
func discard(f *os.File) error {
	if err := f.Close(); err != nil && !errors.Is(err, fs.ErrClosed) {
		return err
	}
	if err := os.Remove(f.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
