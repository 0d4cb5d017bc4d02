package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/containerd/containerd/v2/core/mount"
	"github.com/containerd/continuity/fs"
	controlapi "github.com/moby/buildkit/api/services/control"
	"github.com/moby/buildkit/executor"
	resourcestypes "github.com/moby/buildkit/executor/resources/types"
	"github.com/moby/buildkit/frontend"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets"
	"github.com/moby/buildkit/solver"
	"github.com/moby/buildkit/solver/llbsolver/ops"
	"github.com/moby/buildkit/util/openfile"
	"github.com/moby/buildkit/worker"
	"github.com/moby/sys/user"
	"google.golang.org/grpc"

	"fnb/builder/authority"
	"fnb/builder/protocol"
)

// A company's certificates reach a step here, and not by what the step is described with:
// so they are in no cache key, and a step that ran with them is the same as one without.

// trusters counts the solves under way that bring certificates.
type trusters struct{ n atomic.Int64 }

// unary counts a solve for as long as it is under way.
func (t *trusters) unary(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if solve, ok := req.(*controlapi.SolveRequest); ok && solve.GetFrontendAttrs()[protocol.TrustAttribute] != "" {
		t.n.Add(1)
		defer t.n.Add(-1)
	}
	return next(ctx, req)
}

// A trustingWorker asks whoever wants a step which certificates it trusts.
type trustingWorker struct {
	*boundedWorker
	trusters *trusters
}

// ResolveOp implements [worker.Worker].
func (w *trustingWorker) ResolveOp(v solver.Vertex, s frontend.FrontendLLBBridge, sessions *session.Manager, proxy worker.ProxyOpt) (solver.Op, error) {
	op, err := w.boundedWorker.ResolveOp(v, s, sessions, proxy)
	if step, ok := op.(*ops.ExecOp); ok && err == nil && w.trusters.n.Load() > 0 {
		return &trustingStep{ExecOp: step, sessions: sessions}, nil
	}
	return op, err
}

// A trustingStep is a step of a solve that brings certificates, maybe.
type trustingStep struct {
	*ops.ExecOp
	sessions *session.Manager
}

// trustedKey is where a context has the certificates of the step that is run.
type trustedKey struct{}

// Exec implements [solver.Op].
func (s *trustingStep) Exec(ctx context.Context, job solver.JobContext, inputs []solver.Result) ([]solver.Result, error) {
	var company []byte
	err := s.sessions.Any(ctx, job.Session(), func(ctx context.Context, _ string, c session.Caller) (err error) {
		company, err = secrets.GetSecret(ctx, c, protocol.TrustSecret)
		return err
	})
	if err != nil && !errors.Is(err, secrets.ErrNotFound) {
		return nil, fmt.Errorf("asking which certificates a step trusts: %w", err)
	}
	if len(company) > 0 {
		if company, err = authority.Check(company, time.Now()); err != nil {
			return nil, fmt.Errorf("the certificates that a step must trust: %w", err)
		}
		ctx = context.WithValue(ctx, trustedKey{}, company)
	}
	return s.ExecOp.Exec(ctx, job, inputs)
}

// A trustingExecutor runs a step with the certificates that its context has.
type trustingExecutor struct {
	executor.Executor
	dir string // for a folder of each step
}

func newTrustingExecutor(e executor.Executor, root string) (executor.Executor, error) {
	dir := filepath.Join(root, "trust")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil { // of a builder that was killed
		return nil, err
	}
	return &trustingExecutor{Executor: e, dir: dir}, nil
}

// Run implements [executor.Executor].
func (e *trustingExecutor) Run(ctx context.Context, id string, root executor.Mount, mounts []executor.Mount, process executor.ProcessInfo, started chan<- struct{}) (resourcestypes.Recorder, error) {
	company, ok := ctx.Value(trustedKey{}).([]byte)
	if !ok {
		return e.Executor.Run(ctx, id, root, mounts, process, started)
	}
	trusted, err := trust(ctx, root, process.Meta.Env, company)
	if err != nil {
		return nil, fmt.Errorf("having a step trust certificates: %w", err)
	}
	dir, err := os.MkdirTemp(e.dir, "step-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)                      //nolint:errcheck // it is emptied when the builder starts
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // steps of any user read it, inside their containers
		return nil, err
	}
	for name, data := range trusted.Files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil { //nolint:gosec // as above
			return nil, err
		}
	}
	process.Meta.Env = trusted.Env
	mounts = append(slices.Clip(mounts), executor.Mount{Src: folder(dir), Dest: authority.Dir, Readonly: true})
	return e.Executor.Run(ctx, id, root, mounts, process, started)
}

// trust finds out what a step trusts already, and adds the company.
func trust(ctx context.Context, root executor.Mount, env []string, company []byte) (trusted authority.Trusted, err error) {
	src, err := root.Src.Mount(ctx, true)
	if err != nil {
		return trusted, err
	}
	mounts, release, err := src.Mount()
	if err != nil {
		return trusted, err
	}
	if release != nil {
		defer release() //nolint:errcheck // it was only read
	}
	err = mount.WithReadonlyTempMount(ctx, mounts, func(dir string) (err error) {
		trusted, err = authority.Step{Env: env, File: func(name string) []byte { return readStepFile(dir, name) }}.Trust(company)
		return err
	})
	return trusted, err
}

// maxBundle is how large a file may be that a step trusts.
const maxBundle = 4 << 20

// readStepFile reads a regular file of a step's root file system, whose links lead nowhere
// else; nil where there is none.
func readStepFile(root, name string) []byte {
	full, err := fs.RootPath(root, name)
	if err != nil {
		return nil
	}
	below, err := filepath.Rel(root, full)
	if err != nil {
		return nil
	}
	f, err := openfile.RegularInRoot(root, below)
	if err != nil {
		return nil
	}
	defer f.Close() //nolint:errcheck // it was only read
	data, err := io.ReadAll(io.LimitReader(f, maxBundle))
	if err != nil {
		return nil
	}
	return data
}

// A folder of this machine, as a step mounts it.
type folder string

// Mount implements [executor.Mountable].
func (f folder) Mount(context.Context, bool) (executor.MountableRef, error) { return folderRef(f), nil }

type folderRef string

// Mount implements [executor.MountableRef].
func (f folderRef) Mount() ([]mount.Mount, func() error, error) {
	return []mount.Mount{{Type: "bind", Source: string(f), Options: []string{"rbind", "ro", "nosuid", "nodev", "noexec"}}}, func() error { return nil }, nil
}

// IdentityMapping implements [executor.MountableRef].
func (folderRef) IdentityMapping() *user.IdentityMapping { return nil }
