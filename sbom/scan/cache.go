package scan

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/disk"
	"fnb/internal/once"
)

// Format changes with what is found in images, and with how that is kept. What was found by another one is found anew, so it
// is part of the name of whatever is kept of that.
const Format = "3"

const (
	worthIt = 64 << 10  // compressed bytes of a layer that is kept on disk: a smaller one is read again as quickly
	maxKept = 200       // layers on disk
	maxFile = 256 << 20 // bytes of one there
)

// A Cache remembers what is in layers, by their digests. The zero value remembers it as long as it lives. It is
// safe for concurrent use: a layer that several images have is read once.
type Cache struct {
	Dir string // what outlives the process; "" is nothing. It may be deleted at any time

	known once.Map[v1.Hash, *layer]
}

// Below is a cache in its folder below one of caches; "" is the zero value.
func Below(caches string) *Cache {
	if caches == "" {
		return &Cache{}
	}
	return &Cache{Dir: filepath.Join(caches, "layers")}
}

// layer returns what is in a layer.
func (c *Cache) layer(ctx context.Context, l v1.Layer) (*layer, error) {
	digest, err := l.Digest()
	if err != nil {
		return nil, err
	}
	return c.known.Get(ctx, digest, func() (*layer, error) { return c.find(ctx, l, digest) })
}

// find returns what is in a layer that this process has not read.
func (c *Cache) find(ctx context.Context, l v1.Layer, digest v1.Hash) (*layer, error) {
	file := c.file(digest)
	if found := kept(file); found != nil {
		return found, nil
	}
	found, err := read(ctx, l)
	if err != nil {
		return nil, err
	}
	if size, err := l.Size(); file != "" && err == nil && size >= worthIt {
		c.keep(file, found)
	}
	return found, nil
}

// file is where a layer is kept; "" is nowhere.
func (c *Cache) file(digest v1.Hash) string {
	if c.Dir == "" {
		return ""
	}
	sum := sha256.Sum256([]byte("layer " + Format + "\x00" + digest.String()))
	return filepath.Join(c.Dir, hex.EncodeToString(sum[:16])+".json")
}

// kept reads what was kept of a layer; nil where that is nothing, or damaged.
func kept(file string) *layer {
	info, err := os.Stat(file)
	if err != nil || info.Size() > maxFile {
		return nil
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var l layer
	if json.Unmarshal(data, &l) != nil {
		return nil
	}
	now := time.Now()
	_ = os.Chtimes(file, now, now) // it is used, and stays
	return &l
}

// keep writes what is in a layer, and lets go of those that were not used for longest. What fails costs a
// reading of the layer the next time.
func (c *Cache) keep(file string, l *layer) {
	data, err := json.Marshal(l)
	if err != nil || os.MkdirAll(c.Dir, 0o700) != nil || disk.ReplaceFile(file, data, 0o600) != nil {
		return
	}
	entries, err := os.ReadDir(c.Dir)
	if err != nil || len(entries) <= maxKept {
		return
	}
	var all []fs.FileInfo
	for _, e := range entries {
		info, ierr := e.Info()
		if err = errors.Join(err, ierr); ierr == nil && info.Mode().IsRegular() {
			all = append(all, info)
		}
	}
	slices.SortFunc(all, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	for _, old := range all[min(maxKept, len(all)):] {
		_ = os.Remove(filepath.Join(c.Dir, old.Name())) // another process has
	}
}
