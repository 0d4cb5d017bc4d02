// Package contents finds what is in the images of functions: [Finder.Image] says it of one, by the SBOMs that are
// attached to it or by its layers, and [Lists] reads what a function's package lists say where there is none yet.
package contents

import (
	"cmp"
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
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/internal/disk"
	"fnb/internal/plain"
	"fnb/packaging"
	"fnb/pipeline/inventory"
	"fnb/registry"
	"fnb/sbom"
	"fnb/sbom/locks"
	"fnb/sbom/scan"
	"fnb/schema"
)

// A Finder finds what is in images.
type Finder struct {
	Images   *images.Store
	Registry *registry.Client // nil asks none
	Cache    string           // folder of what was found in images; "" keeps nothing
	Layers   bool             // have the layers of images read, whatever is attached to them
	Version  string           // of fnb: what another one found is not used
}

// An Image is what is in an image of one platform.
type Image struct {
	sbom.Document
	Unread []string // files that ought to name packages and cannot be read, and why
	Notes  []string `json:"-"` // on SBOMs that are attached and were not read
}

// Image says what is in the image that ref names, in the image store or else in its registry: that of this machine's
// architecture or, where there is none, the first. The error is an [images.NotFoundError] or a [registry.NotFoundError]
// where there is no such image.
func (f *Finder) Image(ctx context.Context, ref string) (Image, error) {
	e, err := f.Images.Find(ref)
	if err == nil {
		return f.look(ctx, ref, e.Descriptor)
	}
	if _, ok := errors.AsType[*images.NotFoundError](err); !ok || f.Registry == nil {
		return Image{}, err
	}
	own := schema.Platform{OS: "linux", Architecture: runtime.GOARCH}
	of, err := f.Registry.Open(ctx, ref, own)
	if other, ok := errors.AsType[*registry.PlatformError](err); ok && len(other.Have) > 0 {
		if own, err = schema.ParsePlatform(other.Have[0]); err != nil {
			return Image{}, err
		}
		of, err = f.Registry.Open(ctx, ref, own)
	}
	if err != nil {
		return Image{}, err
	}
	return f.In(ctx, of)
}

// In says what is in an image of one platform in its registry, by what says most of it: what was found in its layers
// before, the SBOMs that are attached to it, or its layers, which are fetched then. SBOMs are taken as they are:
// nobody checks who has signed them, and of several each package counts. One that cannot be read is a note. [Finder.Layers]
// has the layers read whatever is attached.
//
// An image costs three requests where its list of SBOMs is what it was, and none more for the platforms that are not asked
// for.
func (f *Finder) In(ctx context.Context, of *registry.Contents) (Image, error) {
	digest := of.Descriptor.Digest
	if out, ok := f.cached(digest.String()); ok {
		return out.of(of.Repository, of.Descriptor), nil
	}
	var notes []string
	if !f.Layers {
		out, more, err := f.attached(ctx, of)
		if err != nil || out != nil {
			return out.of(of.Repository, of.Descriptor), err
		}
		notes = more
	}
	found, err := inventory.OfReference(ctx, of, nil)
	if err != nil {
		return Image{}, fmt.Errorf("looking into %s: %w", of.Reference, err)
	}
	out := Image{Document: found.Document, Unread: found.Unread}
	err = f.keep(digest.String(), out)
	out.Notes = notes
	return out.of(of.Repository, of.Descriptor), err
}

// attached is what the SBOMs say that are attached to an image; nil where none can be read, and why.
func (f *Finder) attached(ctx context.Context, of *registry.Contents) (*Image, []string, error) {
	listed, err := inventory.Listed(ctx, f.Registry, of)
	if many, ok := errors.AsType[*registry.ReferrersError](err); ok {
		return nil, []string{many.Error() + ": its layers are read"}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	key := "sbom " + of.Descriptor.Digest.String()
	for _, d := range listed {
		key += " " + d.Digest.String()
	}
	if out, ok := f.cached(key); ok {
		return &out, nil, nil
	}
	all, notes, err := inventory.Statements(ctx, f.Registry, of, listed)
	if err != nil {
		return nil, nil, err
	}
	var out *Image
	for _, s := range all {
		d, err := sbom.Read(s.SBOM)
		switch {
		case err != nil:
			notes = append(notes, plain.Short(err.Error()))
		case out == nil:
			out = &Image{Document: d}
		default:
			out.add(d)
		}
	}
	for i := range notes {
		notes[i] = of.Reference + ": an SBOM is not read: " + strings.TrimPrefix(notes[i], of.Reference+": ")
	}
	if out == nil {
		return nil, notes, nil
	}
	if out.Notes = notes; len(notes) > 0 {
		return out, nil, nil // it may be another time
	}
	return out, nil, f.keep(key, *out)
}

// add adds what another SBOM of the same image says.
func (i *Image) add(d sbom.Document) {
	i.Packages = sbom.Union(i.Packages, d.Packages)
	i.Base, i.Watchdog, i.Template = cmp.Or(i.Base, d.Base), cmp.Or(i.Watchdog, d.Watchdog), cmp.Or(i.Template, d.Template)
	i.System = cmp.Or(i.System, d.System)
}

// of is what is in an image, of which it is said.
func (i *Image) of(repository string, desc v1.Descriptor) Image {
	if i == nil {
		return Image{}
	}
	platform := i.Subject.Platform
	i.Subject = sbom.Subject{Name: repository, Digest: desc.Digest.String(), Platform: platform}
	if desc.Platform != nil {
		i.Subject.Platform = desc.Platform.String()
	}
	return *i
}

// look looks into an image of the image store.
func (f *Finder) look(ctx context.Context, ref string, desc v1.Descriptor) (Image, error) {
	all, err := f.Images.Platforms(ctx, desc)
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
	out, ok := f.cached(d.Digest.String())
	if !ok {
		img, err := f.Images.Image(d)
		if err != nil {
			return Image{}, err
		}
		if out.Document, out.Unread, err = inventory.Image(ctx, img, inventory.About{Repository: nameOf(ref)}); err != nil {
			return Image{}, fmt.Errorf("looking into %s: %w", ref, err)
		}
		if err := f.keep(d.Digest.String(), out); err != nil {
			return Image{}, err
		}
	}
	return out.of(nameOf(ref), d), nil
}

func nameOf(ref string) string {
	r, err := schema.ParseImageRef(ref)
	if err != nil {
		return ref
	}
	return r.Name()
}

// file is where what was found in an image is kept, by its digest, or in its SBOMs, by theirs.
func (f *Finder) file(key string) string {
	own := ""
	if w, err := packaging.Watchdog(); err == nil {
		own = fmt.Sprint(w.Layers)
	}
	sum := sha256.Sum256([]byte("contents 3\x00" + scan.Format + "\x00" + f.Version + "\x00" + own + "\x00" + key))
	return filepath.Join(f.Cache, hex.EncodeToString(sum[:16])+".json")
}

// cached is what was found in an image before; a file that is damaged counts as none.
func (f *Finder) cached(key string) (out Image, ok bool) {
	if f.Cache == "" {
		return Image{}, false
	}
	data, err := os.ReadFile(f.file(key))
	if err != nil || json.Unmarshal(data, &out) != nil {
		return Image{}, false
	}
	return out, true
}

func (f *Finder) keep(key string, found Image) error {
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
	return disk.ReplaceFile(f.file(key), data, 0o600)
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
