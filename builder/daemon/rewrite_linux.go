package daemon

import (
	"compress/gzip"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/pkg/labels"
	"github.com/moby/buildkit/cache"
	cacheconfig "github.com/moby/buildkit/cache/config"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/exporter"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/util/bklog"
	"github.com/moby/buildkit/util/compression"
	"github.com/moby/buildkit/util/contentutil"
	"github.com/moby/buildkit/util/converter"
	"github.com/moby/buildkit/util/flightcontrol"
	"github.com/moby/buildkit/util/progress"
	"github.com/moby/buildkit/worker/base"
	digest "github.com/opencontainers/go-digest"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/builder/protocol"
)

// A rewritingWorker remembers what a layer became when its times were set to an
// epoch. BuildKit decompresses, rewrites and compresses every layer above the
// base image at each export, also where nothing changed; here each layer is
// rewritten once, by the same code, and found again by its digest.
type rewritingWorker struct {
	*base.Worker
	flights flightcontrol.Group[*ocispecs.Descriptor]
}

// Exporter implements [worker.Worker].
func (w *rewritingWorker) Exporter(name string, sessions *session.Manager) (exporter.Exporter, error) {
	e, err := w.Worker.Exporter(name, sessions)
	if err != nil {
		return nil, err
	}
	switch name {
	case client.ExporterImage:
		insecure, err := plainExporter(w.Worker, sessions)
		if err != nil {
			return nil, err
		}
		return &rewritingExporter{Exporter: e, insecure: insecure, worker: w}, nil
	case client.ExporterOCI, client.ExporterDocker:
		return &rewritingExporter{Exporter: e, worker: w}, nil
	}
	return e, nil
}

type rewritingExporter struct {
	exporter.Exporter
	insecure exporter.Exporter // nil where nothing is pushed
	worker   *rewritingWorker
}

// Resolve implements [exporter.Exporter].
func (e *rewritingExporter) Resolve(ctx context.Context, id int, attrs map[string]string) (exporter.ExporterInstance, error) {
	to := e.Exporter
	if rest, insecure := takeInsecure(attrs); insecure && e.insecure != nil {
		to, attrs = e.insecure, rest
	}
	inst, err := to.Resolve(ctx, id, attrs)
	if err != nil {
		return nil, err
	}
	// Anything else than what fnb asks for is BuildKit's.
	rewrite, rerr := strconv.ParseBool(attrs["rewrite-timestamp"])
	force, _ := strconv.ParseBool(attrs["force-compression"])
	epoch, err := strconv.ParseInt(attrs["source-date-epoch"], 10, 64)
	_, level := attrs["compression-level"]
	if force || level || err != nil || rerr != nil || attrs["compression"] != compression.Gzip.String() {
		return inst, nil
	}
	return &rewritingInstance{ExporterInstance: inst, worker: e.worker, rewrite: rewrite, epoch: time.Unix(epoch, 0).UTC()}, nil
}

type rewritingInstance struct {
	exporter.ExporterInstance
	worker  *rewritingWorker
	rewrite bool // or else layers stay as they are, and what is done with them is told all the same
	epoch   time.Time
}

// Export implements [exporter.ExporterInstance].
func (i *rewritingInstance) Export(ctx context.Context, src *exporter.Source, info exporter.ExportBuildInfo) (map[string]string, exporter.FinalizeFunc, exporter.DescriptorReference, error) {
	ps, err := exptypes.ParsePlatforms(src.Metadata)
	if err != nil {
		return nil, nil, nil, err
	}
	src = src.Clone()
	if src.Ref != nil {
		var p *exptypes.Platform
		if len(ps.Platforms) > 0 {
			p = &ps.Platforms[0]
		}
		src.Ref = i.wrap(src.Ref, exptypes.ParseKey(src.Metadata, exptypes.ExporterImageBaseConfigKey, p))
	}
	for _, p := range ps.Platforms {
		if ref := src.Refs[p.ID]; ref != nil {
			src.Refs[p.ID] = i.wrap(ref, exptypes.ParseKey(src.Metadata, exptypes.ExporterImageBaseConfigKey, &p))
		}
	}
	resp, finish, ref, err := i.ExporterInstance.Export(ctx, src, info)
	if err == nil && i.Type() == client.ExporterImage {
		i.tell(ctx, resp)
	}
	return resp, finish, ref, err
}

// tell puts the manifest or index beside its digest, so that nobody has to ask the
// registry for it.
func (i *rewritingInstance) tell(ctx context.Context, resp map[string]string) {
	var desc ocispecs.Descriptor
	raw, err := base64.StdEncoding.DecodeString(resp[exptypes.ExporterImageDescriptorKey])
	if err != nil || json.Unmarshal(raw, &desc) != nil || desc.Size > protocol.ManifestLimit {
		return
	}
	if raw, err = content.ReadBlob(ctx, i.worker.ContentStore(), desc); err == nil && utf8.Valid(raw) {
		resp[protocol.ManifestKey] = string(raw)
	}
}

func (i *rewritingInstance) wrap(ref cache.ImmutableRef, baseConfig []byte) cache.ImmutableRef {
	var img ocispecs.Image
	if len(baseConfig) > 0 && json.Unmarshal(baseConfig, &img) != nil {
		return ref // the exporter says what is wrong with it
	}
	return &rewrittenRef{ImmutableRef: ref, worker: i.worker, rewrite: i.rewrite, epoch: i.epoch, base: img.RootFS.DiffIDs, told: i.Type() == client.ExporterImage}
}

// A rewrittenRef is a result whose layers above the base image's have their
// times rewritten. The exporter recognises them by their annotation and leaves
// them as they are.
type rewrittenRef struct {
	cache.ImmutableRef
	worker  *rewritingWorker
	rewrite bool
	epoch   time.Time
	base    []digest.Digest // the base image's layers, uncompressed
	told    bool            // progress has what a push sends of it
}

// GetRemotes implements [cache.ImmutableRef]. Whoever asks for what is there already
// is about to push it.
func (r *rewrittenRef) GetRemotes(ctx context.Context, create bool, cfg cacheconfig.RefConfig, all bool, s session.Group) ([]*solver.Remote, error) {
	remotes, err := r.rewritten(ctx, create, cfg, all, s)
	if err != nil || create || !r.told {
		return remotes, err
	}
	out := make([]*solver.Remote, len(remotes))
	for i, remote := range remotes {
		out[i] = &solver.Remote{Descriptors: remote.Descriptors, Provider: &pushedProvider{remote.Provider}}
	}
	return out, nil
}

func (r *rewrittenRef) rewritten(ctx context.Context, create bool, cfg cacheconfig.RefConfig, all bool, s session.Group) ([]*solver.Remote, error) {
	if !r.rewrite {
		return r.ImmutableRef.GetRemotes(ctx, create, cfg, all, s)
	}
	made := cfg
	// What is compressed here is compressed once more, with its times rewritten.
	fast := gzip.BestSpeed
	tee := &teeCompression{Type: cfg.Compression.Type, worker: r.worker, epoch: r.epoch}
	defer tee.close(context.WithoutCancel(ctx))
	made.Compression.Type, made.Compression.Level = tee, &fast
	remotes, err := r.ImmutableRef.GetRemotes(ctx, create, made, all, s)
	if err != nil || len(remotes) != 1 {
		return remotes, err
	}
	remote := remotes[0]
	above := 0
	for above < len(remote.Descriptors) && above < len(r.base) {
		diffID := remote.Descriptors[above].Annotations[labels.LabelUncompressed]
		if diffID == "" {
			return remotes, nil // whether it is the base's layer is the exporter's to find out
		}
		if diffID != r.base[above].String() {
			break
		}
		above++
	}
	layers := make([]ocispecs.Descriptor, len(remote.Descriptors))
	copy(layers, remote.Descriptors)
	each := make(chan error)
	for i := above; i < len(layers); i++ {
		go func() {
			desc, err := r.worker.rewrite(ctx, remote.Provider, layers[i], cfg.Compression, r.epoch)
			if err == nil {
				layers[i] = *desc
			}
			each <- err
		}()
	}
	for range len(layers) - above {
		if err := <-each; err != nil {
			// The exporter tries it again, in its own way.
			bklog.G(ctx).WithError(err).Warn("rewriting a layer's times")
		}
	}
	return []*solver.Remote{{Descriptors: layers, Provider: newRewrittenProvider(r.worker.ContentStore(), remote)}}, nil
}

// rewrittenAnnotation is how BuildKit's converter marks a layer it has
// rewritten, with the epoch.
const rewrittenAnnotation = "buildkit/rewritten-timestamp"

// rewrite returns what a layer is with its times set to epoch. The result lives
// as long as the layer it was made of, which refers to it by a label.
func (w *rewritingWorker) rewrite(ctx context.Context, from content.InfoReaderProvider, desc ocispecs.Descriptor, comp compression.Config, epoch time.Time) (*ocispecs.Descriptor, error) {
	label, diffID := rewrittenLabels(epoch)
	return w.flights.Do(ctx, desc.Digest.String()+label, func(ctx context.Context) (*ocispecs.Descriptor, error) {
		var cs content.Store = w.ContentStore()
		if info, err := cs.Info(ctx, desc.Digest); err == nil {
			if made, err := cs.Info(ctx, digest.Digest(info.Labels[label])); err == nil {
				out := desc
				out.MediaType, out.Digest, out.Size = compression.Gzip.MediaType(), made.Digest, made.Size
				out.Annotations = map[string]string{
					labels.LabelUncompressed: info.Labels[diffID],
					rewrittenAnnotation:      strconv.FormatInt(epoch.Unix(), 10),
				}
				return &out, nil
			}
		}
		cs = contentutil.NewStoreWithProvider(cs, from)
		convert, err := converter.NewWithRewriteTimestamp(ctx, cs, desc, comp, &epoch, nil)
		if err != nil || convert == nil {
			return &desc, err
		}
		out, err := convert(ctx, cs, desc)
		if err != nil {
			return nil, err
		}
		return out, w.note(ctx, desc.Digest, out.Digest, out.Annotations[labels.LabelUncompressed], epoch)
	})
}

// rewrittenLabels are the labels of a layer that name the blob it became, and
// that blob's uncompressed digest.
func rewrittenLabels(epoch time.Time) (blob, diffID string) {
	return fmt.Sprintf("containerd.io/gc.ref.content.fnb-rewritten-%d", epoch.Unix()), fmt.Sprintf("fnb.rewritten.diff-id.%d", epoch.Unix())
}

// note has a layer remember what it became.
func (w *rewritingWorker) note(ctx context.Context, from, to digest.Digest, diffID string, epoch time.Time) error {
	blobLabel, diffIDLabel := rewrittenLabels(epoch)
	made := map[string]string{blobLabel: to.String(), diffIDLabel: diffID}
	_, err := w.ContentStore().Update(ctx, content.Info{Digest: from, Labels: made}, "labels."+blobLabel, "labels."+diffIDLabel)
	return err
}

// A rewrittenProvider reads rewritten layers from the content store, and the
// others from where they were.
type rewrittenProvider struct {
	*contentutil.MultiProvider
	from content.Provider
}

func newRewrittenProvider(cs content.Store, remote *solver.Remote) *rewrittenProvider {
	p := &rewrittenProvider{MultiProvider: contentutil.NewMultiProvider(cs), from: remote.Provider}
	for _, d := range remote.Descriptors {
		p.Add(d.Digest, remote.Provider)
	}
	return p
}

// Unlazy implements [cache.Unlazier].
func (p *rewrittenProvider) Unlazy(ctx context.Context) error {
	if u, ok := p.from.(cache.Unlazier); ok {
		return u.Unlazy(ctx)
	}
	return nil
}

// A pushedProvider tells of each layer that is read how far that has got: a push reads
// what the registry has not.
type pushedProvider struct{ content.InfoReaderProvider }

// ReaderAt implements [content.Provider].
func (p *pushedProvider) ReaderAt(ctx context.Context, desc ocispecs.Descriptor) (content.ReaderAt, error) {
	ra, err := p.InfoReaderProvider.ReaderAt(ctx, desc)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	r := &pushedReader{ReaderAt: ra, id: protocol.PushingStatus + desc.Digest.String(), status: progress.Status{Total: int(desc.Size), Started: &began}}
	r.progress, _, _ = progress.NewFromContext(ctx)
	return r, nil
}

// Unlazy implements [cache.Unlazier].
func (p *pushedProvider) Unlazy(ctx context.Context) error {
	if u, ok := p.InfoReaderProvider.(cache.Unlazier); ok {
		return u.Unlazy(ctx)
	}
	return nil
}

// A pushedReader is a layer on its way to a registry, read by one goroutine.
type pushedReader struct {
	content.ReaderAt
	progress progress.Writer
	id       string
	status   progress.Status
	told     time.Time
}

// ReadAt implements [io.ReaderAt].
func (r *pushedReader) ReadAt(b []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(b, off)
	r.status.Current = max(r.status.Current, int(off)+n)
	if now := time.Now(); now.Sub(r.told) > 100*time.Millisecond {
		r.told = now
		_ = r.progress.Write(r.id, r.status) // that nobody hears of it stops no push
	}
	return n, err
}

// Close implements [io.Closer].
func (r *pushedReader) Close() error {
	ended := time.Now()
	r.status.Completed = &ended
	_ = r.progress.Write(r.id, r.status)
	_ = r.progress.Close()
	return r.ReaderAt.Close()
}
