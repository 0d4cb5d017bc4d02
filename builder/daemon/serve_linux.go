package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"syscall"
	"time"

	"github.com/containerd/containerd/v2/core/remotes/docker"
	ctdsnapshot "github.com/containerd/containerd/v2/core/snapshots"
	"github.com/containerd/containerd/v2/core/snapshots/storage"
	"github.com/containerd/containerd/v2/plugins/snapshots/native"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay"
	"github.com/containerd/containerd/v2/plugins/snapshots/overlay/overlayutils"
	fuseoverlayfs "github.com/containerd/fuse-overlayfs-snapshotter/v2"
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

	"fnb/builder/managed"
	"fnb/builder/protocol"
)

// Serve runs the managed builder until ctx ends, SIGTERM or SIGINT comes, or no
// client has been connected for opts.Idle. It logs to standard error, which the
// process that starts it sends to the builder's log.
func Serve(ctx context.Context, m managed.Builder, opts Options) error {
	// As buildkitd: a step that reads a mounted build context sees the modes that were asked for, whoever started this.
	syscall.Umask(0)
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	lock, err := m.Claim(ctx)
	if err != nil {
		return err
	}
	// Its end is the process's: what BuildKit does beside a solve may write to the folder until then, and
	// whoever stops the builder may remove that once the lock is free.
	defer runtime.KeepAlive(lock)
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
	trusters := &trusters{}
	ctl, err := newController(ctx, m, opts, settler, trusters)
	if err != nil {
		return err
	}
	defer settler.finish()
	defer func() { _ = ctl.Close() }() // the process ends
	settler.end()

	l, err := listen(m.Socket)
	if err != nil {
		return err
	}
	withdraw, err := m.Announce()
	if err != nil {
		return err
	}
	defer withdraw()

	begin := func() error {
		allowMemory()
		return settler.begin()
	}
	act := newActivity(m.BusyFile(), opts.idle(), begin, settler.end)
	server := grpc.NewServer(
		grpc.ChainUnaryInterceptor(act.unary, trusters.unary, grpcerrors.UnaryServerInterceptor),
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
	case <-time.After(managed.ShutdownTimeout):
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

// newController puts BuildKit's controller together: one OCI worker, the
// Dockerfile frontend, caches in a registry, a folder, the image, GitHub Actions or
// an S3 bucket.
func newController(ctx context.Context, m managed.Builder, opts Options, settler *settler, trusters *trusters) (*control.Controller, error) {
	sessions, err := session.NewManager()
	if err != nil {
		return nil, err
	}
	hosts := registryHosts(opts.Registries)
	w, err := newWorker(ctx, m, opts, hosts)
	if err != nil {
		return nil, err
	}
	bounded := &boundedWorker{rewritingWorker: &rewritingWorker{Worker: w}, limit: cmp.Or(opts.Records, recordLimit), settler: settler}
	wc := &worker.Controller{}
	if err := wc.Add(&trustingWorker{boundedWorker: bounded, trusters: trusters}); err != nil {
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
		ResolveCacheExporterFuncs: cacheExporters(sessions, hosts),
		ResolveCacheImporterFuncs: cacheImporters(sessions, w.ContentStore(), hosts),
		CacheManager:              solver.NewCacheManager(context.WithoutCancel(ctx), "local", cache, worker.NewCacheResultStorage(wc)),
		HistoryDB:                 history,
		CacheStore:                cache,
		LeaseManager:              w.LeaseManager(),
		ContentStore:              w.ContentStore(),
		GarbageCollect:            bounded.GarbageCollect,
		HistoryConfig:             &config.HistoryConfig{MaxEntries: &entries},
		GracefulStop:              ctx.Done(),
	})
}

func newWorker(ctx context.Context, m managed.Builder, opts Options, hosts docker.RegistryHosts) (*base.Worker, error) {
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
		protocol.CachesLabel:  strings.Join(cacheTypes(), ","),
		protocol.NetworkLabel: steps.mode,
		protocol.TrustLabel:   "true",
	}
	wopt, err := runc.NewWorkerOpt(m.Root, sn, m.Rootless, oci.ProcessSandbox, labels, nil,
		netproviders.Opt{Mode: "host"}, steps.dns, binary, "", false, nil, "", "", nil)
	if err != nil {
		return nil, err
	}
	if err := relax(wopt); err != nil {
		return nil, err
	}
	if wopt.Executor, err = newTrustingExecutor(wopt.Executor, m.Root); err != nil {
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
		if p, err := managed.LookPath(name); err == nil {
			return p, nil
		}
	}
	return "", &managed.MissingError{Program: "runc or crun", Package: "runc", Why: "to run the steps of a Dockerfile"}
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
