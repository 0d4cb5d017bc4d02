package rebase

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/registry/whole"
	"fnb/schema/words"
)

// A Swap is what of an image of one platform is replaced.
type Swap struct {
	Old, New *parsed // the base image
	// Watchdog takes the place of the image's; nil leaves it.
	Watchdog *WatchdogLayer
	// Labels take the place of those that the image has, in its configuration and in annotations. ""
	// removes one, and one that it does not have is not added.
	Labels map[string]string
}

// A WatchdogLayer is the layer that a watchdog is.
type WatchdogLayer struct {
	Digest digest.Digest
	DiffID digest.Digest
	Size   int64
	Blob   []byte // itself
}

// errNotBelow says that an image is not made of its base image.
var errNotBelow = errors.New("the old base image is not underneath: its layers are not those at the bottom")

// errOthers says that an index cannot be written anew.
var errOthers = errors.New("its index holds more than an image for each platform, such as attestations of what would be replaced")

// Replace returns the image that a build with the new base image gives, as far as that can be told from
// what is said of the images: the bytes are those that BuildKit's exporter writes. Why it cannot
// be told is the error.
func (s *Swap) Replace(img *parsed) (whole.Part, error) {
	if err := img.isAbove(s.Old); err != nil {
		return whole.Part{}, err
	}
	if filled(s.New.config.History) != len(s.New.config.RootFS.DiffIDs) {
		return whole.Part{}, errors.New("the history of the new base image does not account for its layers")
	}
	r := replacement{swap: s, from: img, old: s.Old, to: s.New}
	return r.make()
}

// Exact reports whether what Replace writes can be told to be what a build gives: it writes the
// image itself, byte by byte, if nothing is replaced.
func (s *Swap) Exact(img *parsed) bool {
	same := Swap{Old: s.Old, New: s.Old}
	again, err := same.Replace(img)
	return err == nil && bytes.Equal(again.Manifest, img.Manifest) && bytes.Equal(again.Config, img.Config)
}

// isAbove is an error unless an image is made of a base image.
func (p *parsed) isAbove(base *parsed) error {
	below := base.config.RootFS.DiffIDs
	if len(below) == 0 || len(below) > len(p.config.RootFS.DiffIDs) || !slices.Equal(below, p.config.RootFS.DiffIDs[:len(below)]) {
		return errNotBelow
	}
	history := base.config.History
	if filled(history) != len(below) || len(history) > len(p.config.History) || !slices.EqualFunc(history, p.config.History[:len(history)], sameEntry) {
		return errors.New("its history does not begin with that of the old base image, or does not account for the layers")
	}
	return nil
}

// A replacement is one image that is being written.
type replacement struct {
	swap          *Swap
	from, old, to *parsed
	config        dockerspec.DockerOCIImage
	manifest      ocispecs.Manifest
}

func (r *replacement) make() (whole.Part, error) {
	out := whole.Part{Descriptor: r.from.Descriptor}
	below := len(r.old.config.RootFS.DiffIDs)
	r.config, r.manifest = r.to.config, r.from.manifest
	r.config.RootFS.DiffIDs = slices.Concat(r.to.config.RootFS.DiffIDs, r.from.config.RootFS.DiffIDs[below:])
	r.config.History = slices.Concat(r.to.config.History, r.from.config.History[len(r.old.config.History):])
	var base []ocispecs.Descriptor
	for _, l := range r.to.manifest.Layers {
		base = append(base, ocispecs.Descriptor{MediaType: ociLayer(l.MediaType), Digest: l.Digest, Size: l.Size})
	}
	r.manifest.Layers = slices.Concat(base, r.from.manifest.Layers[below:])
	if err := r.merge(); err != nil {
		return out, err
	}
	labels := maps.Clone(r.swap.Labels)
	if err := r.describe(&labels); err != nil {
		return out, err
	}
	relabel(r.config.Config.Labels, labels)
	r.manifest.Annotations = maps.Clone(r.manifest.Annotations)
	relabel(r.manifest.Annotations, labels)
	var err error
	if out.Config, err = r.writeConfig(); err != nil {
		return out, err
	}
	r.manifest.Config.Digest, r.manifest.Config.Size = digest.FromBytes(out.Config), int64(len(out.Config))
	if out.Manifest, err = json.MarshalIndent(r.manifest, "", "  "); err != nil {
		return out, err
	}
	out.Descriptor.Size = int64(len(out.Manifest))
	out.Descriptor.Digest, err = v1.NewHash(digest.FromBytes(out.Manifest).String())
	return out, err
}

// describe replaces the watchdog, and says what the layers are there for now.
func (r *replacement) describe(labels *map[string]string) error {
	said, err := r.from.layers()
	if err != nil {
		if r.swap.Watchdog != nil {
			return err
		}
		return nil
	}
	if said[0].Role != words.RoleBase || said[0].Count != len(r.old.config.RootFS.DiffIDs) {
		return errors.New("the image says that another number of its layers is of its base image")
	}
	now := slices.Clone(said)
	now[0].Count = len(r.to.config.RootFS.DiffIDs)
	if *labels == nil {
		*labels = map[string]string{}
	}
	(*labels)[words.LabelLayers] = now.String()
	if w := r.swap.Watchdog; w != nil {
		from, to := now.Top(words.RoleWatchdog)
		if to-from != 1 || to != now.Len() {
			return errors.New("its watchdog is not the one layer at the top")
		}
		l := &r.manifest.Layers[from]
		l.Digest, l.Size = w.Digest, w.Size
		r.config.RootFS.DiffIDs[from] = w.DiffID
	}
	return nil
}

// relabel gives labels that are there other values.
func relabel(all, now map[string]string) {
	for k, v := range now {
		if _, ok := all[k]; !ok {
			continue
		}
		if v == "" {
			delete(all, k)
			continue
		}
		all[k] = v
	}
}

// ociLayer is what OCI calls the type of a layer that Docker may have another word for.
func ociLayer(mediaType string) string {
	switch mediaType {
	case "application/vnd.docker.image.rootfs.diff.tar":
		return ocispecs.MediaTypeImageLayer
	case "application/vnd.docker.image.rootfs.diff.tar.gzip":
		return ocispecs.MediaTypeImageLayerGzip
	case "application/vnd.docker.image.rootfs.diff.tar.zstd":
		return ocispecs.MediaTypeImageLayerZstd
	}
	return mediaType
}

// writeConfig writes the configuration as BuildKit's exporter does: sorted keys, with the time
// that the image has.
func (r *replacement) writeConfig() ([]byte, error) {
	r.config.Created = nil
	all, err := json.Marshal(r.config)
	if err != nil {
		return nil, err
	}
	m := map[string]json.RawMessage{}
	if err := json.Unmarshal(all, &m); err != nil {
		return nil, err
	}
	m["created"] = r.from.raw["created"]
	return json.Marshal(m)
}

// Reindex returns an index with other images for its platforms, which are in its order, and labels as
// [Swap] has them.
func Reindex(w *whole.Image, parts []whole.Part, labels map[string]string) ([]byte, error) {
	var index ocispecs.Index
	if err := json.Unmarshal(w.Raw, &index); err != nil {
		return nil, fmt.Errorf("reading its index: %w", err)
	}
	if len(w.Others) > 0 || len(index.Manifests) != len(parts) {
		return nil, errOthers
	}
	for i := range index.Manifests {
		index.Manifests[i].Digest, index.Manifests[i].Size = digest.Digest(parts[i].Descriptor.Digest.String()), parts[i].Descriptor.Size
	}
	relabel(index.Annotations, labels)
	return json.MarshalIndent(index, "", "  ")
}
