package builder

import (
	"context"
	"io/fs"
	"path"
	"time"

	gw "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/tonistiigi/fsutil/types"
)

// Files are those of an image that a builder has made and not delivered yet. They are read
// where they are, so that asking for little costs little.
type Files struct {
	Config []byte // of the image, without what the request lays over it

	ref gw.Reference
}

// ReadDir returns what is in a folder; "." is that of all. An image without files has none.
func (f *Files) ReadDir(ctx context.Context, dir string) ([]fs.FileInfo, error) {
	if f.ref == nil {
		return nil, nil
	}
	all, err := f.ref.ReadDir(ctx, gw.ReadDirRequest{Path: dir})
	if err != nil {
		return nil, err
	}
	out := make([]fs.FileInfo, len(all))
	for i, s := range all {
		out[i] = fileInfo{s}
	}
	return out, nil
}

// ReadAt returns some bytes of a file, and fewer at its end.
func (f *Files) ReadAt(ctx context.Context, name string, offset int64, size int) ([]byte, error) {
	return f.ref.ReadFile(ctx, gw.ReadRequest{Filename: name, Range: &gw.FileRange{Offset: int(offset), Length: size}})
}

// A fileInfo is a file as BuildKit describes it.
type fileInfo struct{ s *types.Stat }

func (i fileInfo) Name() string       { return path.Base(i.s.Path) }
func (i fileInfo) Size() int64        { return i.s.Size }
func (i fileInfo) Mode() fs.FileMode  { return fs.FileMode(i.s.Mode) }
func (i fileInfo) ModTime() time.Time { return time.Unix(0, i.s.ModTime) }
func (i fileInfo) IsDir() bool        { return i.Mode().IsDir() }
func (i fileInfo) Sys() any           { return nil }
