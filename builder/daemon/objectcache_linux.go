package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/labels"
	cerrdefs "github.com/containerd/errdefs"
	"github.com/moby/buildkit/cache/remotecache"
	chains "github.com/moby/buildkit/cache/remotecache/v1"
	cachetypes "github.com/moby/buildkit/cache/remotecache/v1/types"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/util/compression"
	"github.com/moby/buildkit/util/progress"
	"github.com/moby/buildkit/worker"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sync/errgroup"
)

// objects are where a build cache is kept that is no registry and no folder. Names
// and contents are those of BuildKit, so that its builders and fnb's share a cache.
// BuildKit's own code for these would make fnb a quarter larger and each of its
// starts half as long again.
type objects interface {
	// has reports whether a blob is there.
	has(ctx context.Context, blob digest.Digest) (bool, error)
	// keep does what has does, and keeps the blob from being dropped soon.
	keep(ctx context.Context, blob digest.Digest) (bool, error)
	// save writes a blob; that it is there already is no error. It reads from one
	// goroutine.
	save(ctx context.Context, blob digest.Digest, from content.ReaderAt) error
	// open returns a reader of a blob, an error of [cerrdefs.ErrNotFound] where there
	// is none. The reader is for one goroutine, and lasts as long as ctx.
	open(ctx context.Context, blob ocispecs.Descriptor) (content.ReaderAt, error)
	// indexes returns what was written last by writeIndex: nothing, one, or one for
	// each place that may be read.
	indexes(ctx context.Context) ([][]byte, error)
	writeIndex(ctx context.Context, raw []byte) error
}

// indexLimit is how long the index of a cache may be, in bytes.
const indexLimit = 64 << 20

// objectExporter makes the function by which BuildKit writes such a cache. The name
// is that of the step.
func objectExporter(name string, open func(attrs map[string]string) (objects, error)) remotecache.ResolveCacheExporterFunc {
	return func(_ context.Context, _ session.Group, attrs map[string]string) (remotecache.Exporter, error) {
		comp, err := compression.ParseAttributes(attrs)
		if err != nil {
			return nil, err
		}
		to, err := open(attrs)
		if err != nil {
			return nil, err
		}
		cc := chains.NewCacheChains()
		return &cacheExporter{CacheExporterTarget: cc, name: name, chains: cc, to: to, compression: comp}, nil
	}
}

// objectImporter makes the function by which BuildKit reads such a cache.
func objectImporter(open func(attrs map[string]string) (objects, error)) remotecache.ResolveCacheImporterFunc {
	return func(_ context.Context, _ session.Group, attrs map[string]string) (remotecache.Importer, ocispecs.Descriptor, error) {
		from, err := open(attrs)
		if err != nil {
			return nil, ocispecs.Descriptor{}, err
		}
		return &cacheImporter{from: from}, ocispecs.Descriptor{}, nil
	}
}

// A cacheExporter writes what one build knows.
type cacheExporter struct {
	solver.CacheExporterTarget
	name        string
	chains      *chains.CacheChains
	to          objects
	compression compression.Config
}

// Name implements [remotecache.Exporter].
func (e *cacheExporter) Name() string { return e.name }

// Config implements [remotecache.Exporter].
func (e *cacheExporter) Config() remotecache.Config {
	return remotecache.Config{Compression: e.compression}
}

// uploads is how many layers are sent at a time.
const uploads = 4

// Finalize implements [remotecache.Exporter]: layers first, and then the index that
// names them.
func (e *cacheExporter) Finalize(ctx context.Context) (map[string]string, error) {
	index, layers, err := e.chains.Marshal(ctx)
	if err != nil {
		return nil, err
	}
	blobs := map[digest.Digest]chains.DescriptorProviderPair{} // an index may name one several times
	for i := range index.Layers {
		l := &index.Layers[i]
		layer, ok := layers[l.Blob]
		if !ok {
			return nil, fmt.Errorf("layer %s is missing", l.Blob)
		}
		if l.Annotations, err = layerAnnotations(layer.Descriptor); err != nil {
			return nil, err
		}
		blobs[l.Blob] = layer
	}
	eg, egctx := errgroup.WithContext(ctx)
	eg.SetLimit(uploads)
	for _, layer := range blobs {
		eg.Go(func() error { return e.save(egctx, layer) })
	}
	if err := eg.Wait(); err != nil {
		return nil, err
	}
	raw, err := json.Marshal(index)
	if err != nil {
		return nil, err
	}
	if err := e.to.writeIndex(ctx, raw); err != nil {
		return nil, fmt.Errorf("writing the index: %w", err)
	}
	return nil, nil
}

func (e *cacheExporter) save(ctx context.Context, layer chains.DescriptorProviderPair) error {
	blob := layer.Descriptor.Digest
	if has, err := e.to.keep(ctx, blob); has || err != nil {
		return err
	}
	done := progress.OneOff(ctx, "writing layer "+blob.String())
	from, err := layer.Provider.ReaderAt(ctx, layer.Descriptor)
	if err != nil {
		return done(err)
	}
	defer func() { _ = from.Close() }() // it was only read
	return done(e.to.save(ctx, blob, from))
}

// createdAnnotation is when BuildKit made a layer, in RFC 3339.
const createdAnnotation = "buildkit/createdat"

// layerAnnotations are what an index says of a layer.
func layerAnnotations(desc ocispecs.Descriptor) (*cachetypes.LayerAnnotations, error) {
	diffID, err := digest.Parse(desc.Annotations[labels.LabelUncompressed])
	if err != nil {
		return nil, fmt.Errorf("layer %s: its uncompressed digest: %w", desc.Digest, err)
	}
	a := &cachetypes.LayerAnnotations{DiffID: diffID, Size: desc.Size, MediaType: desc.MediaType}
	if v := desc.Annotations[createdAnnotation]; v != "" {
		t, err := time.Parse(time.RFC3339Nano, v)
		if err != nil {
			return nil, fmt.Errorf("layer %s: %w", desc.Digest, err)
		}
		a.CreatedAt = t.UTC()
	}
	return a, nil
}

// A cacheImporter reads what earlier builds knew.
type cacheImporter struct{ from objects }

// Resolve implements [remotecache.Importer].
func (i *cacheImporter) Resolve(ctx context.Context, _ ocispecs.Descriptor, id string, w worker.Worker) (solver.CacheManager, error) {
	raws, err := i.from.indexes(ctx)
	if err != nil {
		return nil, err
	}
	managers := []solver.CacheManager{}
	for _, raw := range raws {
		cc, err := i.read(raw)
		if err != nil {
			return nil, fmt.Errorf("reading the index: %w", err)
		}
		keys, results, err := chains.NewCacheKeyStorage(cc, w)
		if err != nil {
			return nil, err
		}
		managers = append(managers, solver.NewCacheManager(ctx, id, keys, results))
	}
	return solver.NewCombinedCacheManager(managers, nil), nil
}

func (i *cacheImporter) read(raw []byte) (*chains.CacheChains, error) {
	var index cachetypes.CacheConfig
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, err
	}
	layers := chains.DescriptorProvider{}
	for _, l := range index.Layers {
		if l.Annotations == nil || l.Annotations.DiffID == "" {
			return nil, fmt.Errorf("layer %s: it has no uncompressed digest", l.Blob)
		}
		if err := l.Blob.Validate(); err != nil {
			return nil, err
		}
		desc := ocispecs.Descriptor{
			MediaType: l.Annotations.MediaType, Digest: l.Blob, Size: l.Annotations.Size,
			Annotations: map[string]string{labels.LabelUncompressed: l.Annotations.DiffID.String()},
		}
		if !l.Annotations.CreatedAt.IsZero() {
			desc.Annotations[createdAnnotation] = l.Annotations.CreatedAt.Format(time.RFC3339Nano)
		}
		p := &cachedLayer{desc: desc, from: i.from}
		layers[l.Blob] = chains.DescriptorProviderPair{Descriptor: desc, Provider: p, InfoProvider: p}
	}
	cc := chains.NewCacheChains()
	return cc, chains.ParseConfig(index, layers, cc)
}

// A cachedLayer is a layer that the index of a cache names.
type cachedLayer struct {
	desc ocispecs.Descriptor
	from objects
}

// Info implements [content.InfoProvider]: a layer that was dropped is not there.
func (l *cachedLayer) Info(ctx context.Context, dgst digest.Digest) (content.Info, error) {
	if dgst != l.desc.Digest {
		return content.Info{}, fmt.Errorf("layer %s: %w", dgst, cerrdefs.ErrNotFound)
	}
	has, err := l.from.has(ctx, dgst)
	if err == nil && !has {
		err = fmt.Errorf("layer %s: %w", dgst, cerrdefs.ErrNotFound)
	}
	return content.Info{Digest: dgst, Size: l.desc.Size}, err
}

// ReaderAt implements [content.Provider]. Who reads checks the digest: the builder's
// content store takes nothing else.
func (l *cachedLayer) ReaderAt(ctx context.Context, desc ocispecs.Descriptor) (content.ReaderAt, error) {
	if desc.Digest != l.desc.Digest {
		return nil, fmt.Errorf("layer %s: %w", desc.Digest, cerrdefs.ErrNotFound)
	}
	return l.from.open(ctx, l.desc)
}

// readIndex reads an index that is not too long.
func readIndex(r io.Reader) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, indexLimit+1))
	if err == nil && len(raw) > indexLimit {
		err = errors.New("the index of the build cache is longer than 64 MiB")
	}
	return raw, err
}
