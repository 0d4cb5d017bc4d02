// Package rebasetest puts images of functions into registries, as builds leave them, for tests that
// replace their base images: [Push].
package rebasetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	digest "github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"

	"fnb/packaging"
	"fnb/pipeline/inventory"
	"fnb/pipeline/provenance"
	"fnb/registry"
	"fnb/sbom/scan"
	"fnb/schema"
	"fnb/schema/words"
	"fnb/trust/attestation"
)

// baseLayers is how many layers a base image has.
const baseLayers = 4

// platforms are those of all images.
func platforms() []ocispecs.Platform {
	return []ocispecs.Platform{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}}
}

// A Fleet is the images of functions on one base image.
type Fleet struct {
	Base   string   // reference
	Images []string // references
	Inputs map[string]packaging.Inputs

	client *registry.Client
	layers scan.Cache // what is in them
	below  []layered  // of each platform
	digest string     // of the base image
}

// A layered image is one of a platform, with its layers.
type layered struct {
	config   dockerspec.DockerOCIImage
	manifest ocispecs.Manifest
}

// Push puts a base image and count functions on it below a prefix, such as 127.0.0.1:5000/team, for two platforms.
func Push(ctx context.Context, c *registry.Client, prefix string, count int) (*Fleet, error) {
	f := &Fleet{Base: prefix + "/base:1", client: c, Inputs: map[string]packaging.Inputs{}}
	if err := f.Patch(ctx, "3.0.14"); err != nil {
		return nil, err
	}
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for n := range count {
		ref := fmt.Sprintf("%s/f%03d:1", prefix, n)
		in := packaging.Inputs{{Name: "base " + f.Base, Value: f.digest}, {Name: "function", Value: ref}}
		f.Images, f.Inputs[ref] = append(f.Images, ref), in
		g.Go(func() error { return f.function(gctx, ref, in) })
	}
	return f, g.Wait()
}

// Patch has the base image's reference name one with another version of a package. Images keep what they have.
func (f *Fleet) Patch(ctx context.Context, version string) error {
	var parts []layered
	index := ocispecs.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispecs.MediaTypeImageIndex}
	for _, p := range platforms() {
		l := layered{manifest: ocispecs.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispecs.MediaTypeImageManifest}}
		l.config.Platform = p
		l.config.Config.Env = []string{"PATH=/usr/bin:/bin", "PYTHON_VERSION=3.13.1"}
		files := []string{"etc/os-release", "ID=debian\nVERSION_ID=\"12\"\n", "var/lib/dpkg/status", "Package: libssl3\nStatus: install ok installed\nArchitecture: all\nVersion: " + version + "\n\n"}
		for n := range baseLayers {
			if err := f.layer(ctx, f.Base, &l, fmt.Sprint("base layer ", n), append(files, fmt.Sprintf("data/%d", n), filler(version, n))...); err != nil {
				return err
			}
			files = nil
		}
		d, err := f.image(ctx, f.Base, &l)
		if err != nil {
			return err
		}
		d.Platform = &p
		index.Manifests = append(index.Manifests, d)
		parts = append(parts, l)
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return err
	}
	f.below, f.digest = parts, digest.FromBytes(raw).String()
	return f.client.PutManifest(ctx, types.OCIImageIndex, raw, f.Base)
}

// filler is what makes a layer as large as one that is worth not sending.
func filler(version string, n int) string {
	r := rand.New(rand.NewPCG(uint64(len(version)), uint64(n)+uint64(version[len(version)-1]))) //nolint:gosec // nothing is guessed
	b := make([]byte, 256<<10)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return string(b)
}

// function puts the image of one function into its repository, as a build does.
func (f *Fleet) function(ctx context.Context, ref string, in packaging.Inputs) error {
	labels := map[string]string{
		words.LabelTemplate: "python3@1.2.0", words.LabelTemplateChecksum: "fnb1:sha256:00", words.LabelWatchdog: "none", words.LabelInput: in.Digest(),
		words.LabelBaseName: f.Base, words.LabelBaseDigest: f.digest,
	}
	index := ocispecs.Index{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispecs.MediaTypeImageIndex, Annotations: labels}
	for n, p := range platforms() {
		below := f.below[n]
		l := layered{config: below.config, manifest: ocispecs.Manifest{Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispecs.MediaTypeImageManifest}}
		l.manifest.Layers = append(l.manifest.Layers, below.manifest.Layers...)
		var all []v1.Descriptor
		for _, d := range below.manifest.Layers {
			h, err := v1.NewHash(d.Digest.String())
			if err != nil {
				return err
			}
			all = append(all, v1.Descriptor{Digest: h, Size: d.Size})
		}
		if _, err := f.client.Bring(ctx, ref, f.Base, all); err != nil {
			return err
		}
		packages := []string{"home/app/packages", ref, "home/app/lib/python3.13/site-packages/flask-3.1.dist-info/METADATA", "Metadata-Version: 2.1\nName: flask\nVersion: 3.1\n"}
		for _, files := range [][]string{packages, {"home/app/handler", ref}} {
			if err := f.layer(ctx, ref, &l, "COPY "+files[0], files...); err != nil {
				return err
			}
		}
		l.config.Config.Env = append(append([]string{}, below.config.Config.Env...), "fprocess=python")
		l.config.Config.Labels = map[string]string{words.LabelClass: words.ClassCopy, words.LabelLayers: fmt.Sprintf("base=%d,packages=1,handler=1", baseLayers)}
		for k, v := range labels {
			l.config.Config.Labels[k] = v
		}
		l.manifest.Annotations = l.config.Config.Labels
		d, err := f.image(ctx, ref, &l)
		if err != nil {
			return err
		}
		if err := f.inventory(ctx, ref, d); err != nil {
			return err
		}
		d.Platform = &p
		index.Manifests = append(index.Manifests, d)
	}
	raw, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	if err := f.client.PutManifest(ctx, types.OCIImageIndex, raw, ref); err != nil {
		return err
	}
	sum, size, err := v1.SHA256(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	s, err := attestation.New(provenance.PredicateInputs, map[string]any{"digest": in.Digest(), "inputs": in}, attestation.Image(sum.String()))
	if err != nil {
		return err
	}
	return f.Attach(ctx, ref, v1.Descriptor{MediaType: types.OCIImageIndex, Digest: sum, Size: size}, s)
}

// inventory attaches to the image of a platform what is in it.
func (f *Fleet) inventory(ctx context.Context, ref string, d ocispecs.Descriptor) error {
	of, err := f.client.Open(ctx, repository(ref)+"@"+d.Digest.String(), schema.Platform{})
	if err != nil {
		return err
	}
	l, err := inventory.OfReference(ctx, of, &f.layers)
	if err != nil {
		return err
	}
	s, err := l.Statement()
	if err != nil {
		return err
	}
	return f.Attach(ctx, ref, l.Subject, s)
}

// Attach attaches to an image what is said of it, and nobody signs.
func (f *Fleet) Attach(ctx context.Context, ref string, subject v1.Descriptor, s *attestation.Statement) error {
	a, err := attestation.Unsigned(s)
	if err != nil {
		return err
	}
	_, err = f.client.Attach(ctx, ref, subject, registry.Attachment(a))
	return err
}

// layer puts a layer with files on an image.
func (f *Fleet) layer(ctx context.Context, ref string, l *layered, by string, files ...string) error {
	var plain, packed bytes.Buffer
	w := tar.NewWriter(&plain)
	for i := 0; i < len(files); i += 2 {
		if err := w.WriteHeader(&tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}); err != nil {
			return err
		}
		if _, err := w.Write([]byte(files[i+1])); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain.Bytes()); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	created := time.Unix(315532801, 0).UTC()
	l.config.RootFS.Type = "layers"
	l.config.RootFS.DiffIDs = append(l.config.RootFS.DiffIDs[:len(l.config.RootFS.DiffIDs):len(l.config.RootFS.DiffIDs)], digest.FromBytes(plain.Bytes()))
	l.config.History = append(l.config.History[:len(l.config.History):len(l.config.History)], ocispecs.History{Created: &created, CreatedBy: by})
	l.manifest.Layers = append(l.manifest.Layers, ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageLayerGzip, Digest: digest.FromBytes(packed.Bytes()), Size: int64(packed.Len())})
	return f.client.PutBlob(ctx, repository(ref), packed.Bytes())
}

// image writes an image's configuration and its manifest, as BuildKit's exporter does.
func (f *Fleet) image(ctx context.Context, ref string, l *layered) (ocispecs.Descriptor, error) {
	var none ocispecs.Descriptor
	all, err := json.Marshal(l.config)
	if err != nil {
		return none, err
	}
	m := map[string]json.RawMessage{}
	if err := json.Unmarshal(all, &m); err != nil {
		return none, err
	}
	m["created"] = json.RawMessage(`"1980-01-01T00:00:01Z"`)
	config, err := json.Marshal(m)
	if err != nil {
		return none, err
	}
	if err := f.client.PutBlob(ctx, repository(ref), config); err != nil {
		return none, err
	}
	l.manifest.Config = ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageConfig, Digest: digest.FromBytes(config), Size: int64(len(config))}
	raw, err := json.MarshalIndent(l.manifest, "", "  ")
	if err != nil {
		return none, err
	}
	d := digest.FromBytes(raw)
	return ocispecs.Descriptor{MediaType: ocispecs.MediaTypeImageManifest, Digest: d, Size: int64(len(raw))},
		f.client.PutManifest(ctx, types.OCIManifestSchema1, raw, repository(ref)+"@"+d.String())
}

// repository is a reference without its tag.
func repository(ref string) string { return ref[:strings.LastIndexByte(ref, ':')] }
