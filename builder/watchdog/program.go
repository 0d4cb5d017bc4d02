package watchdog

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"sync"

	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"

	"fnb/builder/buildcontext"
)

// A program is the file system of the watchdog's program, out of an OCI layout. It reads the
// layout when it is asked for the program, which few builders do.
type program struct {
	layout   fs.FS
	manifest string // digest

	mu   sync.Mutex
	data []byte
}

// Walk implements [fsutil.FS].
func (p *program) Walk(_ context.Context, _ string, fn fs.WalkDirFunc) error {
	data, err := p.read()
	if err != nil {
		return err
	}
	at := ""
	for _, name := range strings.Split(strings.TrimPrefix(Path, "/"), "/") {
		at = path.Join(at, name)
		st := &types.Stat{Path: filepath.FromSlash(at), Mode: uint32(fs.ModeDir | 0o755), ModTime: buildcontext.Time().UnixNano()}
		if "/"+at == Path {
			st.Mode, st.Size = 0o755, int64(len(data))
		}
		if err := fn(st.Path, &fsutil.DirEntryInfo{Stat: st}, nil); err != nil {
			return err
		}
	}
	return nil
}

// Open implements [fsutil.FS].
func (p *program) Open(string) (io.ReadCloser, error) {
	data, err := p.read()
	return io.NopCloser(bytes.NewReader(data)), err
}

func (p *program) read() ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.data != nil {
		return p.data, nil
	}
	data, err := readProgram(p.layout, digest.Digest(p.manifest))
	if err != nil {
		return nil, fmt.Errorf("reading the watchdog: %w", err)
	}
	p.data = data
	return data, nil
}

// readProgram takes the watchdog's program out of the layers of an image.
func readProgram(layout fs.FS, dgst digest.Digest) ([]byte, error) {
	raw, err := fs.ReadFile(layout, blobPath(dgst))
	if err != nil {
		return nil, err
	}
	var m ocispecs.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	for _, l := range m.Layers {
		raw, err := fs.ReadFile(layout, blobPath(l.Digest))
		if err != nil {
			return nil, err
		}
		r, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return nil, err
		}
		tr := tar.NewReader(r)
		for {
			h, err := tr.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return nil, err
			}
			if path.Clean("/"+h.Name) == Path {
				return io.ReadAll(tr)
			}
		}
	}
	return nil, fmt.Errorf("%s: %w", Path, fs.ErrNotExist)
}
