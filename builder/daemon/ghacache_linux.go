package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/buildkit/version"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	actionscache "github.com/tonistiigi/go-actions-cache"
)

// actions is the cache of GitHub Actions, in the layout of BuildKit's type=gha.
type actions struct {
	cache *actionscache.Cache
	scope string
}

// openActions reads BuildKit's attributes of type=gha. Of timeout the zero value is
// ten minutes.
func openActions(attrs map[string]string) (objects, error) {
	url, second := attrs["url"], attrs["version"] == "2"
	if v := attrs["url_v2"]; v != "" && attrs["version"] != "1" {
		url, second = v, true
	}
	if attrs["version"] == "" && strings.Contains(url, "results-receiver.actions.githubusercontent.com") {
		second = true
	}
	if url == "" || attrs["token"] == "" {
		return nil, errors.New("it needs url and token")
	}
	timeout := 10 * time.Minute
	if v := attrs["timeout"]; v != "" {
		var err error
		if timeout, err = time.ParseDuration(v); err != nil {
			return nil, fmt.Errorf("timeout=%s: %w", v, err)
		}
	}
	cache, err := actionscache.New(attrs["token"], url, second, actionscache.Opt{
		Client: http.DefaultClient, Timeout: timeout, UserAgent: version.UserAgent(),
	})
	if err != nil {
		return nil, err
	}
	return &actions{cache: cache, scope: cmp.Or(attrs["scope"], "buildkit")}, nil
}

func blobKey(blob digest.Digest) string { return "buildkit-blob-1-" + blob.String() }

// indexKey is the key of the index for a scope of GitHub's, which is mostly a branch.
// A number is put after it, since nothing can be written twice.
func (a *actions) indexKey(of string) string {
	return "index-" + a.scope + "-1-" + digest.FromString(of).Encoded()[:8] + "#"
}

// has implements [objects].
func (a *actions) has(ctx context.Context, blob digest.Digest) (bool, error) {
	e, err := a.cache.Load(ctx, blobKey(blob))
	return e != nil, err
}

// keep implements [objects]: what is asked for stays for another week.
func (a *actions) keep(ctx context.Context, blob digest.Digest) (bool, error) {
	return a.has(ctx, blob)
}

// save implements [objects].
func (a *actions) save(ctx context.Context, blob digest.Digest, from content.ReaderAt) error {
	if err := a.cache.Save(ctx, blobKey(blob), from); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return nil
}

// open implements [objects].
func (a *actions) open(ctx context.Context, blob ocispecs.Descriptor) (content.ReaderAt, error) {
	e, err := a.cache.Load(ctx, blobKey(blob.Digest))
	if err != nil {
		return nil, err
	}
	if e == nil {
		return nil, fmt.Errorf("layer %s: %w", blob.Digest, cerrdefs.ErrNotFound)
	}
	return &sizedReaderAt{ReaderAtCloser: e.Download(ctx), size: blob.Size}, nil
}

// indexes implements [objects]: a job may read its own branch and the default one.
func (a *actions) indexes(ctx context.Context) ([][]byte, error) {
	var out [][]byte
	for _, s := range a.cache.Scopes() {
		e, err := a.cache.Load(ctx, a.indexKey(s.Scope))
		if err != nil {
			return nil, err
		}
		if e == nil {
			continue
		}
		r := e.Download(ctx)
		raw, err := readIndex(io.NewSectionReader(r, 0, indexLimit+1))
		if err := errors.Join(err, r.Close()); err != nil {
			return nil, err
		}
		out = append(out, raw)
	}
	return out, nil
}

// Another job that writes the index at this moment is waited for.
const (
	indexWait  = 15 * time.Second
	indexAgain = 2 * time.Second
)

// writeIndex implements [objects].
func (a *actions) writeIndex(ctx context.Context, raw []byte) error {
	var key string
	for _, s := range a.cache.Scopes() {
		if s.Permission&actionscache.PermissionWrite != 0 {
			key = a.indexKey(s.Scope)
		}
	}
	if key == "" {
		return errors.New("the token may not write")
	}
	// The library's own SaveMutable takes an upload that failed for one that did not.
	began := time.Now()
	for taken := 0; ; {
		last, err := a.cache.Load(ctx, key)
		if err != nil {
			return err
		}
		next := taken + 1
		if last != nil {
			n, err := strconv.Atoi(last.Key[strings.LastIndexByte(last.Key, '#')+1:])
			if err != nil {
				return fmt.Errorf("the number of the index %q: %w", last.Key, err)
			}
			next = max(next, n+1)
		}
		err = a.cache.Save(ctx, key+strconv.Itoa(next), actionscache.NewBlob(raw))
		if !errors.Is(err, os.ErrExist) {
			return err
		}
		if time.Since(began) > indexWait {
			taken = next // by a job that has ended, it seems
			continue
		}
		select {
		case <-time.After(indexAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// A sizedReaderAt is a reader that knows where it ends.
type sizedReaderAt struct {
	actionscache.ReaderAtCloser
	size int64
}

// ReadAt implements [io.ReaderAt].
func (r *sizedReaderAt) ReadAt(p []byte, off int64) (int, error) {
	if off >= r.size {
		return 0, io.EOF
	}
	return r.ReaderAtCloser.ReadAt(p, off)
}

// Size implements [content.ReaderAt].
func (r *sizedReaderAt) Size() int64 { return r.size }
