package builder

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

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/tonistiigi/fsutil"
	"github.com/tonistiigi/fsutil/types"
)

// Names in the session of the image's watchdog, and of the one that reaches into
// a container.
const (
	watchdogStore = "fnbwatchdog"
	tunnelStore   = "fnbtunnel"
)

// WatchdogPath is where the watchdog stands in every image.
const WatchdogPath = "/usr/bin/fwatchdog"

// watchdog returns the state that holds nothing but the watchdog. A builder that
// cannot read an OCI layout is sent the program itself.
func (b *build) watchdog(p ocispecs.Platform, caps apicaps.CapSet) (llb.State, error) {
	w, id := b.req.Watchdog, platformString(p)
	if w.Layout == nil {
		src := llb.Image(w.Reference, llb.Platform(p), llb.WithCustomName("[fnb] watchdog "+w.Reference))
		return llb.Scratch().File(copyWatchdog(src, "/fwatchdog"), llb.WithCustomName("[fnb] copy the watchdog")), nil
	}
	dgst, ok := w.Manifests[id]
	if !ok {
		return llb.State{}, fmt.Errorf("there is no watchdog for the platform %s", id)
	}
	if caps.Supports(pb.CapSourceOCILayout) == nil {
		return llb.OCILayout("fnb.local/watchdog@"+dgst, llb.OCIStore("", b.watchdogStore()), llb.Platform(p),
			llb.WithCustomName("[fnb] watchdog")), nil
	}
	src := llb.Local(b.watchdogLocal(id), llb.SharedKeyHint("fnb:watchdog:"+dgst), llb.WithCustomName("[fnb] receive the watchdog"))
	return llb.Scratch().File(copyWatchdog(src, WatchdogPath), llb.WithCustomName("[fnb] watchdog")), nil
}

func copyWatchdog(src llb.State, from string) *llb.FileAction {
	mode := llb.ChmodOpt{Mode: 0o755}
	return llb.Copy(src, from, WatchdogPath,
		&llb.CopyInfo{Mode: &mode, ChownOpt: &llb.ChownOpt{User: &llb.UserOpt{UID: 0}, Group: &llb.UserOpt{UID: 0}}, CreateDestPath: true},
		llb.WithCreatedTime(contextTime()))
}

// addWatchdog lays the watchdog's layer over the Dockerfile's result.
func (b *build) addWatchdog(app llb.State, p ocispecs.Platform, caps apicaps.CapSet) (llb.State, error) {
	layer, err := b.watchdog(p, caps)
	if err != nil {
		return llb.State{}, err
	}
	return merge(app, layer, caps), nil
}

// merge puts a layer on an image. A builder without merge (a Docker Engine's
// graph drivers) gets a copy instead.
func merge(app, layer llb.State, caps apicaps.CapSet) llb.State {
	if caps.Supports(pb.CapMergeOp) == nil {
		return llb.Merge([]llb.State{app, layer}, llb.WithCustomName("[fnb] merge the watchdog's layer"))
	}
	return app.File(copyWatchdog(layer, WatchdogPath), llb.WithCustomName("[fnb] copy the watchdog"))
}

// watchdogStore is the session's name for the watchdog's layout.
func (b *build) watchdogStore() string {
	if b.beside {
		return tunnelStore
	}
	return watchdogStore
}

// watchdogLocal is the session's name for the watchdog's program.
func (b *build) watchdogLocal(platform string) string {
	return b.watchdogStore() + "-" + strings.ReplaceAll(platform, "/", "-")
}

// A watchdogFS serves the watchdog's program out of an OCI layout. It reads the
// layout when it is asked for the program, which few builders do.
type watchdogFS struct {
	layout   fs.FS
	manifest string // digest

	mu      sync.Mutex
	program []byte
}

// Walk implements [fsutil.FS].
func (w *watchdogFS) Walk(_ context.Context, _ string, fn fs.WalkDirFunc) error {
	program, err := w.read()
	if err != nil {
		return err
	}
	at := ""
	for _, name := range strings.Split(strings.TrimPrefix(WatchdogPath, "/"), "/") {
		at = path.Join(at, name)
		st := &types.Stat{Path: filepath.FromSlash(at), Mode: uint32(fs.ModeDir | 0o755), ModTime: contextTime().UnixNano()}
		if "/"+at == WatchdogPath {
			st.Mode, st.Size = 0o755, int64(len(program))
		}
		if err := fn(st.Path, &fsutil.DirEntryInfo{Stat: st}, nil); err != nil {
			return err
		}
	}
	return nil
}

// Open implements [fsutil.FS].
func (w *watchdogFS) Open(string) (io.ReadCloser, error) {
	program, err := w.read()
	return io.NopCloser(bytes.NewReader(program)), err
}

func (w *watchdogFS) read() ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.program != nil {
		return w.program, nil
	}
	program, err := readWatchdog(w.layout, digest.Digest(w.manifest))
	if err != nil {
		return nil, fmt.Errorf("reading the watchdog: %w", err)
	}
	w.program = program
	return program, nil
}

// readWatchdog takes the watchdog's program out of the layers of an image.
func readWatchdog(layout fs.FS, dgst digest.Digest) ([]byte, error) {
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
			if path.Clean("/"+h.Name) == WatchdogPath {
				return io.ReadAll(tr)
			}
		}
	}
	return nil, fmt.Errorf("%s: %w", WatchdogPath, fs.ErrNotExist)
}
