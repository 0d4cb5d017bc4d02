package containers

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"syscall"
	"time"

	gw "github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/pb"

	"fnb/builder"
	"fnb/builder/steps"
	"fnb/internal/env"
	"fnb/internal/terminal"
)

// A Talk is a program that somebody talks to, in the place of the image's own.
type Talk struct {
	// Command is what runs, with its arguments; none is a shell that the image has.
	Command []string
	// TTY gives the program a terminal of the type Term, whose output is all in the request's
	// Stdout.
	TTY  bool
	Term string
	// In is the program's standard input, until its end; nil is an empty one. Once the
	// program has ended it may be read from once more.
	In io.Reader
	// Stage has the program run in the stage of a build that the request's Build ends at: with
	// the network, the mounts and the build's secrets that its last RUN step had.
	Stage bool
}

// A NoShellError says that there is no shell in an image.
type NoShellError struct{ Tried []string }

func (e *NoShellError) Error() string {
	return "there is no shell in it: neither " + strings.Join(e.Tried[:len(e.Tried)-1], ", ") + " nor " + e.Tried[len(e.Tried)-1]
}

// shells are where images have one, the most comfortable first.
func shells() []string {
	return []string{"/bin/bash", "/usr/bin/bash", "/bin/sh", "/usr/bin/sh", "/bin/ash", "/busybox/sh"}
}

// findShell is the first shell that is there.
func findShell(ctx context.Context, ctr gw.Container) (string, error) {
	for _, path := range shells() {
		_, err := ctr.StatFile(ctx, gw.StatContainerRequest{StatRequest: gw.StatRequest{Path: path}})
		switch {
		case err == nil:
			return path, nil
		case ctx.Err() != nil:
			return "", ctx.Err()
		case unsupported(err): // nobody can look; a step's program is this one
			return "/bin/sh", nil
		}
	}
	return "", &NoShellError{Tried: shells()}
}

// unsupported reports whether a builder is too old to look into a container.
func unsupported(err error) bool {
	return strings.Contains(err.Error(), string(gwpb.CapGatewayExecFilesystem)) || strings.Contains(err.Error(), "code = Unimplemented")
}

// A NoProgramError says that a program which somebody wants to talk to, or to hear an exit code of, cannot be run.
type NoProgramError struct {
	Program string
	There   bool // it is there, and is not a program
}

func (e *NoProgramError) Error() string {
	switch {
	case e.There:
		return e.Program + " is not a program that can be run"
	case strings.Contains(e.Program, "/"):
		return "there is no program " + e.Program
	}
	return "there is no program " + e.Program + " in PATH"
}

// findProgram returns a [NoProgramError] if a container does not have the program that it would be started with.
func findProgram(ctx context.Context, ctr gw.Container, program string, start gw.StartRequest) error {
	none := &NoProgramError{Program: program}
	places := []string{none.Program}
	if !strings.Contains(none.Program, "/") {
		places = nil
		for _, dir := range strings.Split(cmp.Or(env.Get(start.Env, "PATH"), defaultPath), ":") {
			places = append(places, path.Join(cmp.Or(dir, "."), none.Program))
		}
	}
	for _, at := range places {
		if !path.IsAbs(at) {
			at = path.Join("/", start.Cwd, at)
		}
		switch info, err := ctr.StatFile(ctx, gw.StatContainerRequest{StatRequest: gw.StatRequest{Path: at}}); {
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil && !fs.FileMode(info.GetMode()).IsDir() && info.GetMode()&0o111 != 0:
			return nil
		case err == nil:
			none.There = true
		case !strings.Contains(err.Error(), "no such file") && !strings.Contains(err.Error(), "not exist") && !strings.Contains(err.Error(), "not a directory"):
			return nil // nobody can look
		}
	}
	return none
}

// defaultPath is BuildKit's.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// command is what a talk runs. As the container's first process it is run by a shell if that can
// be helped: the kernel keeps Ctrl-C from the first one, unless it asked for it, and
// a shell says what it does not find.
func (t *Talk) command(ctx context.Context, ctr gw.Container, apart bool) ([]string, error) {
	if len(t.Command) > 0 && apart {
		return t.Command, nil
	}
	shell, err := findShell(ctx, ctr)
	switch {
	case len(t.Command) == 0 && err != nil:
		return nil, err
	case len(t.Command) == 0:
		return []string{shell}, nil
	case err != nil:
		return t.Command, ctx.Err()
	case t.TTY:
		return append([]string{shell, "-c", `"$@"; exit $?`, shell}, t.Command...), nil
	}
	return append([]string{shell, "-c", `exec "$@"`, shell}, t.Command...), nil
}

// attach starts the program that somebody talks to in a container whose first process is the
// tunnel. So its exit code is its own whatever becomes of the tunnel, it has what the image
// says and not the variables with which BuildKit traces a first process, and no
// signal is kept from it.
func (r *Container) attach(ctx context.Context, ctr gw.Container, req *Request) error {
	if !r.reach {
		return errNoTunnel
	}
	r.apart, r.ctr, r.life = true, ctr, ctx
	r.tunnel.begin.Do(func() { go r.startTunnel() })
	select {
	case <-r.tunnel.begun:
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := r.tunnel.err; err != nil {
		return err
	}
	c := r.image.Config
	return r.converse(ctx, ctr, req, gw.StartRequest{Env: c.Env, User: c.User, Cwd: c.WorkingDir})
}

// converse starts the program that somebody talks to. What it is started with in every case
// is in start.
func (r *Container) converse(ctx context.Context, ctr gw.Container, req *Request, start gw.StartRequest) error {
	start.Env = slices.Clone(start.Env)
	for _, k := range slices.Sorted(maps.Keys(req.Env)) {
		start.Env = env.Set(start.Env, k, req.Env[k])
	}
	args, err := req.Service.Talk.command(ctx, ctr, r.apart)
	if command := req.Service.Talk.Command; err == nil && r.apart && len(command) > 0 { // the builder would tell it as the program's own word, and end
		err = findProgram(ctx, ctr, command[0], start)
	}
	if err != nil {
		r.err = err // the builder hands back only its words
		return err
	}
	start.Args = args
	if len(req.Routes) > 0 {
		start.Env = r.evade(start.Env) // what is started by hand
	}
	if req.Service.Talk.TTY && req.Service.Talk.Term != "" {
		start.Env = env.Set(start.Env, "TERM", req.Service.Talk.Term)
	}
	start.Tty, start.Stdout = req.Service.Talk.TTY, r.tail.under(req.Stdout)
	if start.Stderr = r.tail.under(req.Stderr); start.Tty {
		start.Stderr = start.Stdout
	}
	if req.Service.Talk.In != nil {
		start.Stdin = io.NopCloser(req.Service.Talk.In)
	}
	r.ctr, r.life, r.env = ctr, ctx, start.Env
	if r.proc, err = ctr.Start(ctx, start); err != nil {
		return err
	}
	close(r.started)
	return nil
}

// stage makes the container of a stage of a build, and lasts as long as that does.
func (r *runner) stage(ctx context.Context, s *builder.Session, run *Container) error {
	root, config, last, err := s.Stage(ctx)
	if err != nil {
		return err
	}
	if root == nil {
		return &builder.SolveError{Problem: "the stage is empty: there is nothing to look into"}
	}
	if err := run.configure(config); err != nil {
		return err
	}
	if last.Exec == nil {
		last.Exec = &pb.ExecOp{}
	}
	mounts := []gw.Mount{{Dest: "/", Ref: root, MountType: pb.MountType_BIND}}
	for _, m := range last.Mounts {
		if m.Dest != "/" {
			mounts = append(mounts, m)
		}
	}
	c := run.image.Config
	return run.enter(ctx, s.Gateway, r.Request, &last, gw.NewContainerRequest{Mounts: mounts, Platform: platformOf(r.image.Platforms[0])},
		gw.StartRequest{Env: c.Env, User: c.User, Cwd: c.WorkingDir})
}

// enter makes a container that is like a step, and lasts as long as its program does.
func (r *Container) enter(ctx context.Context, g gw.Client, req *Request, like *steps.Step, in gw.NewContainerRequest, start gw.StartRequest) error {
	meta := like.Exec.GetMeta()
	in.NetMode, in.ExtraHosts, in.Hostname = like.Exec.GetNetwork(), meta.GetExtraHosts(), meta.GetHostname()
	start.SecurityMode, start.SecretEnv = like.Exec.GetSecurity(), like.Exec.GetSecretenv()
	ctr, err := g.NewContainer(ctx, in)
	if err != nil {
		return err
	}
	defer func() { // as in run
		released, cancel := context.WithTimeout(context.WithoutCancel(ctx), closePatience)
		defer cancel()
		_ = ctr.Release(released)
	}()
	if err := r.converse(ctx, ctr, req, start); err != nil {
		return err
	}
	return r.wait(ctx, g)
}

// Enter runs a program where a step failed, with the step's files, mounts, user, environment
// and network, and returns its exit code once it has ended. Of the request the service's Talk, Env,
// Stdout and Stderr count. It ends when ctx does.
func Enter(ctx context.Context, f *steps.Failure, req Request, sizes <-chan terminal.Size) (int, error) {
	life, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(nil)
	run := newContainer("", &req, end)
	go func() {
		meta := f.Exec.GetMeta()
		run.finish(run.enter(life, f.Gateway, &req, &f.Step,
			gw.NewContainerRequest{Mounts: f.Mounts},
			gw.StartRequest{Env: f.Environment(), User: meta.GetUser(), Cwd: meta.GetCwd()}))
	}()
	select {
	case <-run.started:
	case <-run.gone:
	case <-ctx.Done():
		end(ctx.Err())
		<-run.gone
		return 0, ctx.Err()
	}
	return run.Attend(ctx, sizes)
}

// hangUpGrace is how long a program has to end after its terminal was closed.
const hangUpGrace = 500 * time.Millisecond

// Attend waits until a program that somebody talks to has ended, and tells it what sizes its
// terminal has. When ctx ends, the program is told with SIGHUP, and killed soon.
func (r *Container) Attend(ctx context.Context, sizes <-chan terminal.Size) (int, error) {
	for {
		select {
		case s := <-sizes:
			// A program that has ended needs no size.
			_ = r.proc.Resize(r.life, gw.WinSize{Rows: uint32(max(s.Rows, 0)), Cols: uint32(max(s.Columns, 0))}) //nolint:gosec // of a screen
		case <-ctx.Done():
			if r.Signal(syscall.SIGHUP) == nil {
				select {
				case <-r.gone:
				case <-time.After(hangUpGrace):
				}
			}
			r.Close()
			return 0, ctx.Err()
		case <-r.gone:
			if r.exited && r.code != UnknownExitCode || errors.As(r.err, new(*builder.UnreachableError)) {
				return r.code, r.err
			}
			// BuildKit cuts a program off, whose input it cannot get rid of.
			return 0, errors.New("it ended before it had read its input, and the builder lost its exit code")
		}
	}
}
