//go:build linux && !fnb_client

package builder

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	ctdsnapshot "github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay/overlayutils"
	fuseoverlayfs "github.com/containerd/fuse-overlayfs-snapshotter/v2"
	"github.com/gofrs/flock"
	"github.com/moby/buildkit/cache/remotecache"
	inlineremotecache "github.com/moby/buildkit/cache/remotecache/inline"
	localremotecache "github.com/moby/buildkit/cache/remotecache/local"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/cmd/buildkitd/config"
	"github.com/moby/buildkit/control"
	"github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/frontend"
	dockerfile "github.com/moby/buildkit/frontend/dockerfile/builder"
	"github.com/moby/buildkit/frontend/gateway"
	"github.com/moby/buildkit/frontend/gateway/forwarder"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/bboltcachestorage"
	"github.com/moby/buildkit/util/db/boltutil"
	"github.com/moby/buildkit/util/grpcerrors"
	"github.com/moby/buildkit/util/network/netproviders"
	"github.com/moby/buildkit/version"
	"github.com/moby/buildkit/worker"
	"github.com/moby/buildkit/worker/base"
	"github.com/moby/buildkit/worker/runc"
	"github.com/sirupsen/logrus"
	bolt "go.etcd.io/bbolt"
	"google.golang.org/grpc"
)

// Embedded reports whether this fnb carries a builder.
const Embedded = true

// Serve runs the managed builder until ctx ends, SIGTERM or SIGINT comes, or no
// client has been connected for opts.Idle. It logs to standard error, which the
// process that starts it sends to the builder's log.
func Serve(ctx context.Context, m Managed, opts ServeOptions) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := m.folders(); err != nil {
		return err
	}
	lock, err := m.own(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = lock.Close() }() // the lock ends with the process
	// Solves make much garbage that lives shortly: a quarter of the builder's time
	// went into collecting it.
	debug.SetGCPercent(300)
	allowMemory()
	logrus.SetLevel(logrus.WarnLevel)
	if opts.Version != "" {
		version.Version = opts.Version
	}

	settler, err := newSettler(m.Root)
	if err != nil {
		return err
	}
	if err := settler.begin(); err != nil {
		return fmt.Errorf("marking the builder's state: %w", err)
	}
	ctl, err := newController(ctx, m, opts, settler)
	if err != nil {
		return err
	}
	defer settler.settle()
	defer func() { _ = ctl.Close() }() // the process ends
	settler.end()

	l, err := listen(m.Socket)
	if err != nil {
		return err
	}
	if err := writeState(m); err != nil {
		return err
	}
	defer func() { _ = os.Remove(m.stateFile()) }() // a stale one does no harm: the lock decides

	begin := func() error {
		allowMemory()
		return settler.begin()
	}
	act := newActivity(m.busyFile(), opts.idle(), begin, settler.end)
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(act.unary, grpcerrors.UnaryServerInterceptor),
		grpc.ChainStreamInterceptor(act.stream, grpcerrors.StreamServerInterceptor),
		grpc.MaxRecvMsgSize(16<<20), grpc.MaxSendMsgSize(16<<20), grpc.WaitForHandlers(true),
	)
	ctl.Register(server)
	errc := make(chan error, 1)
	go func() { errc <- server.Serve(l) }()
	select {
	case err := <-errc:
		return fmt.Errorf("serving on %s: %w", m.Socket, err)
	case <-act.idle:
	case <-ctx.Done():
	}
	shutdown(ctx, server)
	return nil
}

// allowMemory lets garbage grow to what is little for a machine that builds, and
// beyond where what the builder knows of its cache takes a good part of that: it
// keeps all of it in memory.
func allowMemory() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(live)
	debug.SetMemoryLimit(max(256<<20, 3*int64(live[0].Value.Uint64()))) //nolint:gosec // no machine has so much
}

// own takes the lock of the running builder, and removes what one that was
// killed has left.
func (m Managed) own(ctx context.Context) (*flock.Flock, error) {
	// Another process that asks whether a builder runs holds the lock for a
	// moment.
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	lock := flock.New(m.serveLock())
	if _, err := lock.TryLockContext(ctx, 5*time.Millisecond); err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("another builder runs on %s", m.Root)
		}
		return nil, fmt.Errorf("locking %s: %w", m.serveLock(), err)
	}
	for _, left := range []string{m.stateFile(), m.busyFile()} {
		if err := os.Remove(left); err != nil && !errors.Is(err, fs.ErrNotExist) {
			_ = lock.Close() // the process ends
			return nil, fmt.Errorf("removing what the last builder left: %w", err)
		}
	}
	return lock, nil
}

// shutdown lets calls under way finish until ctx ends and then for a while, and
// returns when none is left: a step's process ends with the call that runs it.
func shutdown(ctx context.Context, server *grpc.Server) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.GracefulStop()
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	select {
	case <-done:
	case <-time.After(shutdownTimeout):
		server.Stop()
		<-done
	}
}

// listen opens the socket so that no other user can connect at any moment.
func listen(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the old socket: %w", err)
	}
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path) //nolint:noctx // a local socket is there at once
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("opening the builder's socket: %w", err)
	}
	return l, nil
}

func writeState(m Managed) error {
	raw, err := json.Marshal(State{PID: os.Getpid(), Identity: m.Identity, Socket: m.Socket, Started: time.Now().UTC()})
	if err != nil {
		return err
	}
	tmp := m.stateFile() + ".new"
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, m.stateFile())
}

// newController puts BuildKit's controller together: one OCI worker, the
// Dockerfile frontend, caches in a registry, a folder, the image, GitHub Actions or
// an S3 bucket.
func newController(ctx context.Context, m Managed, opts ServeOptions, settler *settler) (*control.Controller, error) {
	sessions, err := session.NewManager()
	if err != nil {
		return nil, err
	}
	hosts := registryHosts(opts.Registries)
	w, err := newWorker(ctx, m, opts, hosts)
	if err != nil {
		return nil, err
	}
	bounded := &boundedWorker{rewritingWorker: &rewritingWorker{Worker: w}, limit: cmp.Or(opts.records, recordLimit), settler: settler}
	wc := &worker.Controller{}
	if err := wc.Add(bounded); err != nil {
		return nil, err
	}
	cache, err := bboltcachestorage.NewStore(filepath.Join(m.Root, "cache.db"))
	if err != nil {
		return nil, err
	}
	history, err := boltutil.SafeOpen(filepath.Join(m.Root, "history.db"), 0o600, &bolt.Options{FreelistType: bolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return nil, err
	}
	images, err := gateway.NewGatewayFrontend(wc.Infos(), nil)
	if err != nil {
		return nil, err
	}
	entries := int64(10)
	return control.NewController(control.Opt{
		SessionManager:   sessions,
		WorkerController: wc,
		Frontends: map[string]frontend.Frontend{
			"dockerfile.v0": forwarder.NewGatewayForwarder(wc.Infos(), dockerfile.Build),
			"gateway.v0":    images, // for a syntax line with a frontend of its own
		},
		ResolveCacheExporterFuncs: map[string]remotecache.ResolveCacheExporterFunc{
			"registry": registryExporter(sessions, hosts),
			"local":    localremotecache.ResolveCacheExporterFunc(sessions),
			"inline":   inlineremotecache.ResolveCacheExporterFunc(),
			"gha":      objectExporter("exporting to GitHub Actions Cache", openActions),
			"s3":       objectExporter("exporting cache to Amazon S3", openBucket),
		},
		ResolveCacheImporterFuncs: map[string]remotecache.ResolveCacheImporterFunc{
			"registry": registryImporter(sessions, w.ContentStore(), hosts),
			"local":    localremotecache.ResolveCacheImporterFunc(sessions),
			"gha":      objectImporter(openActions),
			"s3":       objectImporter(openBucket),
		},
		CacheManager:   solver.NewCacheManager(context.WithoutCancel(ctx), "local", cache, worker.NewCacheResultStorage(wc)),
		HistoryDB:      history,
		CacheStore:     cache,
		LeaseManager:   w.LeaseManager(),
		ContentStore:   w.ContentStore(),
		GarbageCollect: bounded.GarbageCollect,
		HistoryConfig:  &config.HistoryConfig{MaxEntries: &entries},
		GracefulStop:   ctx.Done(),
	})
}

func newWorker(ctx context.Context, m Managed, opts ServeOptions, hosts docker.RegistryHosts) (*base.Worker, error) {
	binary, err := runtimeBinary()
	if err != nil {
		return nil, err
	}
	steps, err := opts.steps()
	if err != nil {
		return nil, err
	}
	sn, err := snapshotter(m.Root)
	if err != nil {
		return nil, err
	}
	endAbandoned(ctx, binary, m.Root, filepath.Join(m.Root, "runc-"+sn.Name))
	labels := map[string]string{
		cachesLabel:  "registry,local,inline,gha,s3", // as in newController
		networkLabel: steps.mode,
	}
	wopt, err := runc.NewWorkerOpt(m.Root, sn, m.Rootless, oci.ProcessSandbox, labels, nil,
		netproviders.Opt{Mode: "host"}, steps.dns, binary, "", false, nil, "", "", nil)
	if err != nil {
		return nil, err
	}
	if err := relax(wopt); err != nil {
		return nil, err
	}
	wopt.GCPolicy = opts.gcPolicy()
	wopt.RegistryHosts = hosts
	wopt.BuildkitVersion = client.BuildkitVersion{Package: version.Package, Version: version.Version, Revision: version.Revision}
	w, err := base.NewWorker(ctx, wopt)
	if err != nil {
		return nil, err
	}
	if err := steps.provide(wopt.NetworkProviders); err != nil { // the executor has the same map
		return nil, err
	}
	return w, steps.guard(w)
}

// runtimeBinary finds what runs the containers of RUN steps.
func runtimeBinary() (string, error) {
	for _, name := range []string{"buildkit-runc", "runc", "crun"} {
		if p, err := lookPath(name); err == nil {
			return p, nil
		}
	}
	return "", &MissingError{Program: "runc or crun", Package: "runc", Why: "to run the steps of a Dockerfile"}
}

// snapshotter chooses overlayfs, or fuse-overlayfs where the kernel or the file
// system has none. Copying every layer is so slow and large that it is refused.
func snapshotter(root string) (runc.SnapshotterFactory, error) {
	overlayErr := overlayutils.Supported(root)
	if overlayErr == nil {
		return runc.SnapshotterFactory{Name: "overlayfs", New: func(root string) (ctdsnapshot.Snapshotter, error) {
			if err := os.MkdirAll(root, 0o700); err != nil {
				return nil, err
			}
			ms, err := storage.NewMetaStore(filepath.Join(root, "metadata.db"), func(o *bolt.Options) error {
				o.NoSync = true // see settler
				return nil
			})
			if err != nil {
				return nil, err
			}
			return overlay.NewSnapshotter(root, overlay.AsynchronousRemove, overlay.WithMetaStore(ms))
		}}, nil
	}
	if err := fuseoverlayfs.Supported(root); err == nil {
		return runc.SnapshotterFactory{Name: "fuse-overlayfs", New: func(root string) (ctdsnapshot.Snapshotter, error) {
			return fuseoverlayfs.NewSnapshotter(root)
		}}, nil
	}
	if os.Getenv("FNB_BUILDER_SNAPSHOTTER") == "native" {
		return runc.SnapshotterFactory{Name: "native", New: native.NewSnapshotter}, nil
	}
	return runc.SnapshotterFactory{}, fmt.Errorf("neither overlayfs (%w) nor fuse-overlayfs works on %s; set FNB_BUILDER_SNAPSHOTTER=native to copy every layer instead, which is slow, or put the builder's folder on another file system", overlayErr, root)
}
