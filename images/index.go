package images

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/internal/disk"
	"fnb/schema/words"
)

const (
	// refName is the annotation of a descriptor that holds its reference.
	refName = words.AnnotationRefName

	layoutFile  = "oci-layout"
	layoutText  = `{"imageLayoutVersion":"1.0.0"}`
	indexFile   = "index.json"
	indexLock   = "index.lock" // held while index.json is changed
	useLock     = "use.lock"   // shared by writers of blobs, exclusive for Prune
	maxIndexLen = 64 << 20
)

// readIndex reads index.json, which is always whole because it is replaced in
// one step.
func (s *Store) readIndex() (*v1.IndexManifest, error) {
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
func (s *Store) changeIndex(ctx context.Context, change func(*v1.IndexManifest) error) error {
	unlock, err := disk.Lock(ctx, filepath.Join(s.dir, indexLock))
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
	return disk.ReplaceFile(filepath.Join(s.dir, indexFile), append(b, '\n'), 0o600)
}
