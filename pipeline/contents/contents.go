// Package contents finds what is in the images of functions: [Finder.Image] looks into one, and
// [Lists] reads what a function's package lists say where there is none yet.
package contents

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/internal/disk"
	"fnb/packaging"
	"fnb/pipeline/inventory"
	"fnb/registry"
	"fnb/sbom"
	"fnb/sbom/locks"
	"fnb/schema"
)

// A Finder finds what is in images.
type Finder struct {
	Images   *images.Store
	Registry *registry.Client // nil asks none
	Cache    string           // folder of what was found in images; "" keeps nothing
	Version  string           // of fnb: what another one found is not used
}

// An Image is what is in an image of one platform.
type Image struct {
	sbom.Document
	Unread []string // files that ought to name packages and cannot be read, and why
}

// Image looks into the image that ref names, in the image store or else in its registry: that
// of this machine's architecture or, where there is none, the first. The error is an
// [images.NotFoundError] or a [registry.NotFoundError] where there is no such image.
func (f *Finder) Image(ctx context.Context, ref string) (Image, error) {
	e, err := f.Images.Find(ref)
	if err == nil {
		return f.look(ctx, f.Images, ref, e.Descriptor)
	}
	if _, ok := errors.AsType[*images.NotFoundError](err); !ok || f.Registry == nil {
		return Image{}, err
	}
	return f.fetched(ctx, ref)
}

// fetched looks into an image of a registry, which is kept no longer than that.
func (f *Finder) fetched(ctx context.Context, ref string) (out Image, err error) {
	dir, err := os.MkdirTemp("", "fnb-contents-*")
	if err != nil {
		return Image{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	s, err := images.Open(dir)
	if err != nil {
		return Image{}, err
	}
	desc, err := f.Registry.Pull(ctx, ref, s, schema.Platform{})
	if err != nil {
		return Image{}, err
	}
	return f.look(ctx, s, ref, desc)
}

func (f *Finder) look(ctx context.Context, s *images.Store, ref string, desc v1.Descriptor) (Image, error) {
	all, err := s.Platforms(ctx, desc)
	if err != nil {
		return Image{}, err
	}
	if len(all) == 0 {
		return Image{}, fmt.Errorf("looking into %s: it has no image for a platform", ref)
	}
	at := max(0, slices.IndexFunc(all, func(d v1.Descriptor) bool {
		return d.Platform != nil && d.Platform.OS == "linux" && d.Platform.Architecture == runtime.GOARCH
	}))
	d := all[at]
	out, ok := f.cached(d.Digest)
	if !ok {
		img, err := s.Image(d)
		if err != nil {
			return Image{}, err
		}
		if out.Document, out.Unread, err = inventory.Image(ctx, img, inventory.About{Repository: nameOf(ref)}); err != nil {
			return Image{}, fmt.Errorf("looking into %s: %w", ref, err)
		}
		if err := f.keep(d.Digest, out); err != nil {
			return Image{}, err
		}
	}
	out.Subject = sbom.Subject{Name: nameOf(ref), Digest: d.Digest.String()}
	if d.Platform != nil {
		out.Subject.Platform = d.Platform.String()
	}
	return out, nil
}

func nameOf(ref string) string {
	r, err := schema.ParseImageRef(ref)
	if err != nil {
		return ref
	}
	return r.Name()
}

// file is where what was found in an image is kept.
func (f *Finder) file(digest v1.Hash) string {
	own := ""
	if w, err := packaging.Watchdog(); err == nil {
		own = fmt.Sprint(w.Layers)
	}
	sum := sha256.Sum256([]byte("contents 2\x00" + f.Version + "\x00" + own + "\x00" + digest.String()))
	return filepath.Join(f.Cache, hex.EncodeToString(sum[:16])+".json")
}

// cached is what was found in an image before; a file that is damaged counts as none.
func (f *Finder) cached(digest v1.Hash) (out Image, ok bool) {
	if f.Cache == "" {
		return Image{}, false
	}
	data, err := os.ReadFile(f.file(digest))
	if err != nil || json.Unmarshal(data, &out) != nil {
		return Image{}, false
	}
	return out, true
}

func (f *Finder) keep(digest v1.Hash, found Image) error {
	if f.Cache == "" {
		return nil
	}
	data, err := json.Marshal(found)
	if err == nil {
		err = os.MkdirAll(f.Cache, 0o700)
	}
	if err != nil {
		return err
	}
	return disk.ReplaceFile(f.file(digest), data, 0o600)
}

// Lists is what the package lists and locks in a function's folder say, and the names of those
// files.
func Lists(dir string) (list locks.List, files []string) {
	root := os.DirFS(dir)
	list = locks.Read(root, ".")
	for _, p := range list.Packages {
		for _, w := range p.Where {
			if !slices.Contains(files, w) {
				files = append(files, w)
			}
		}
	}
	files = slices.DeleteFunc(files, func(name string) bool {
		_, err := fs.Stat(root, name)
		return err != nil
	})
	slices.Sort(files)
	return list, files
}
