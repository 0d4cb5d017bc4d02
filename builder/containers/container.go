package containers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	gw "github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"fnb/builder"
	"fnb/builder/watchdog"
	"fnb/internal/env"
	"fnb/schema/words"
)

// A Container is a container in the builder. It is safe for concurrent use.
type Container struct {
	name, address string

	port  int
	image dockerspec.DockerOCIImage
	tail  tail
	again func(context.Context) (code int, ok bool) // runs it once more, and only waits for its end
	reach bool                                      // there can be a tunnel
	apart bool                                      // the process is not the container's first one, which is the tunnel

	started chan struct{} // closed when the process was started
	process
	ending

	peer   peer
	tunnel tunnel
	ways   ways
}

// A process is the container's main one. It is there once it was started.
type process struct {
	ctr  gw.Container
	proc gw.ContainerProcess
	life context.Context //nolint:containedctx // of the gateway's build function, in which everything has to happen
	env  []string
}

// An ending is how a container comes to its end.
type ending struct {
	end      context.CancelCauseFunc // ends the solve, and with it the container
	leave    chan struct{}           // closed to end the container in an orderly way
	leaving  sync.Once
	hanging  sync.Once
	gone     chan struct{} // closed when the container is gone; what follows is set then
	finished sync.Once
	exited   bool
	code     int
	err      error
}

// An ExitError says that a container's process ended before it did what was
// wanted of it.
type ExitError struct {
	Code int      // or UnknownExitCode
	Log  []string // the last lines that it wrote
}

// UnknownExitCode is in the place of one that the builder could not tell: BuildKit
// loses it where a connection into the container is cut off by its end.
const UnknownExitCode = -1

func (e *ExitError) Error() string {
	if e.Code == UnknownExitCode {
		return "its process ended with an exit code that the builder could not tell"
	}
	return fmt.Sprintf("its process ended with exit code %d", e.Code)
}

// A NotListeningError says that a container's process runs, and nothing answers
// at its port.
type NotListeningError struct {
	Port  int
	After time.Duration
	Log   []string // the last lines that it wrote
}

func (e *NotListeningError) Error() string {
	return fmt.Sprintf("nothing answers at its port %d after %s", e.Port, e.After.Round(time.Millisecond))
}

func newContainer(address string, r *Request, end context.CancelCauseFunc) *Container {
	run := &Container{
		name: r.Name, address: address, started: make(chan struct{}),
		ending: ending{end: end, leave: make(chan struct{}), gone: make(chan struct{})},
		reach:  r.hasTunnel(), tail: tail{begun: make(chan struct{}), held: len(r.Routes) > 0 && r.Service.Talk == nil},
		tunnel: tunnel{begun: make(chan struct{}), ended: make(chan struct{})},
		ways:   ways{routes: r.Routes, tell: r.Unreached},
	}
	run.peer = newPeer(run.Dial)
	return run
}

// begin starts the container's process.
func (r *Container) begin(ctx context.Context, ctr gw.Container, req *Request) error {
	c := r.image.Config
	if req.Service.Command != nil {
		c.Cmd = req.Service.Command
	}
	if req.Service.User != "" {
		c.User = req.Service.User
	}
	args := slices.Concat(c.Entrypoint, c.Cmd)
	if len(args) == 0 {
		return &builder.SolveError{Problem: "the image does not say what to run: it has neither an entrypoint nor a command"}
	}
	// No pause; of-watchdog, and OpenFaaS's Go templates, wait for ever for one of 0.
	environ := env.Set(slices.Clone(c.Env), "healthcheck_interval", "1ms")
	for _, k := range slices.Sorted(maps.Keys(req.Env)) {
		environ = env.Set(environ, k, req.Env[k])
	}
	if len(req.Routes) > 0 {
		r.env = environ
		environ = r.evade(environ)
		args = append([]string{r.Program(), "hold", namesAddress}, args...)
	}
	proc, err := ctr.Start(ctx, gw.StartRequest{
		Args: args, Env: environ, User: c.User, Cwd: c.WorkingDir,
		Stdout: r.tail.under(req.Stdout), Stderr: r.tail.under(req.Stderr),
	})
	if err != nil {
		return err
	}
	r.process = process{ctr: ctr, proc: proc, life: ctx, env: environ}
	close(r.started)
	if len(req.Routes) > 0 {
		r.tunnel.begin.Do(func() { go r.startTunnel() })
	}
	return nil
}

// wait returns when the process has ended, ctx has, or the builder has gone.
func (r *Container) wait(ctx context.Context, g gw.Client) error {
	done := make(chan error, 1)
	go func() { done <- r.proc.Wait() }()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.leave:
			if r.err = r.broken(false); r.err == nil {
				r.err = context.Canceled
			}
			// What it has written is on its way still, and ends when the process has.
			if err := r.proc.Signal(ctx, syscall.SIGKILL); err == nil {
				select {
				case <-done: //nolint:errcheck // it was killed
				case <-ctx.Done():
				}
			}
			return nil
		case <-tick.C:
			// A stream that broke does not say so to the processes on it.
			if _, err := g.Inputs(ctx); err != nil && ctx.Err() == nil {
				return r.wentAway()
			}
		case err := <-done:
			var exit *gwpb.ExitError
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case err == nil:
				r.exited = true
			case errors.As(err, &exit) && exit.ExitCode == uint32(killed) && r.broken(true) != nil:
				r.err = r.broken(false) // BuildKit ends a container in which any process fails
			case errors.As(err, &exit):
				r.exited, r.code = true, int(exit.ExitCode)
				// The end of the process kills the tunnel, and BuildKit may take how that ended for
				// how the container did.
				if r.code > 255 || r.code == killed && len(r.ways.routes) > 0 && !r.apart {
					r.code = UnknownExitCode
				}
			default:
				return fmt.Errorf("running the container: %w", builder.WithoutGRPC(err))
			}
			return nil
		}
	}
}

func (r *Container) wentAway() error {
	return &builder.UnreachableError{Address: r.address, Err: errors.New("it went away while the function ran")}
}

// explain says of a builder that was lost what it was doing.
func (r *Container) explain(err error) error {
	select {
	case <-r.started:
		if errors.As(err, new(*builder.UnreachableError)) && !errors.Is(err, builder.ErrSilent) {
			return r.wentAway()
		}
	default:
	}
	return err
}

// finish says that the container is gone, and with err that nobody wanted it
// to be.
func (r *Container) finish(err error) {
	r.finished.Do(func() {
		if !r.exited && r.err == nil {
			r.err = err
		}
		r.peer.transport.CloseIdleConnections()
		close(r.gone)
	})
}

// Name is the function's.
func (r *Container) Name() string { return r.name }

// Port is the port in the container that requests go to.
func (r *Container) Port() int { return r.port }

// Config is the configuration of the image that runs.
func (r *Container) Config() dockerspec.DockerOCIImageConfig { return r.image.Config }

// Program is the path in the container of the tunnel's watchdog.
func (r *Container) Program() string { return tunnelDir + watchdog.Path }

// Gone is closed when the container is gone.
func (r *Container) Gone() <-chan struct{} { return r.gone }

// Tail is the last lines that the process has written.
func (r *Container) Tail() []string { return r.tail.last() }

// Wait waits for the container to be gone and returns its process's exit code,
// which may be [UnknownExitCode], or the error that ended it: an [*builder.UnreachableError] where the builder went
// away, [context.Canceled] after [Container.Close].
func (r *Container) Wait(ctx context.Context) (int, error) {
	select {
	case <-r.gone:
		return r.code, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// Signal sends the container's process a signal.
func (r *Container) Signal(sig syscall.Signal) error {
	select {
	case <-r.gone:
		return errors.New("the container is gone")
	default:
		if sig == syscall.SIGTERM {
			r.hangUp()
		}
		return r.proc.Signal(r.life, sig)
	}
}

// Stop asks the process to end with SIGTERM and waits; after grace, or when ctx
// ends, it is killed. It returns the exit code, 137 where it had to be killed, or
// [UnknownExitCode].
func (r *Container) Stop(ctx context.Context, grace time.Duration) (int, error) {
	r.hangUp()
	r.hungUp()
	if err := r.Signal(syscall.SIGTERM); err == nil {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-r.gone:
			return r.code, r.err
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	r.Close()
	if r.exited || r.err != nil && !errors.Is(r.err, context.Canceled) {
		return r.code, r.err
	}
	return killed, nil
}

// killed is the exit code of a process that SIGKILL ended.
const killed = 128 + int(syscall.SIGKILL)

// Close kills the process, if it still runs, and waits until the container is
// gone. What it had written is with the writers of its [Request] then.
func (r *Container) Close() {
	r.leaving.Do(func() { close(r.leave) })
	// A solve that is cut off waits up to three seconds for its last status.
	select {
	case <-r.gone:
		return
	case <-time.After(closePatience):
	}
	r.end(context.Canceled)
	<-r.gone
}

// closePatience is how long a builder may take to end a container before it is
// left to itself.
const closePatience = 5 * time.Second

// ReadFile reads a file of the container.
func (r *Container) ReadFile(ctx context.Context, name string) ([]byte, error) {
	return r.ctr.ReadFile(ctx, gw.ReadContainerRequest{ReadRequest: gw.ReadRequest{Filename: name}})
}

// Size is how many bytes the container's files have, those of the image and those that it has written.
func (r *Container) Size(ctx context.Context) (int64, error) { return r.sizeOf(ctx, "/") }

func (r *Container) sizeOf(ctx context.Context, folder string) (size int64, err error) {
	all, err := r.ctr.ReadDir(ctx, gw.ReadDirContainerRequest{ReadDirRequest: gw.ReadDirRequest{Path: folder}})
	for _, f := range all {
		if !os.FileMode(f.Mode).IsDir() {
			size += f.Size
			continue
		}
		more, err := r.sizeOf(ctx, path.Join(folder, f.Path))
		if err != nil {
			return 0, err
		}
		size += more
	}
	return size, err
}

// healthPath is where the watchdog says whether the function takes requests.
const healthPath = "/_/health"

// Ready waits until something answers at the container's port: the watchdog
// with a 200 for its health, or where there is no watchdog anything with
// anything. Another watchdog than fnb's says that it is healthy before its function
// listens, so in http mode that function's port has to take connections, too. It returns an [*ExitError] when the process ends, a
// [*NotListeningError] after limit, and what [Container.Wait] returns.
func (r *Container) Ready(ctx context.Context, limit time.Duration) error {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r.awaitOutput(ctx)
	if err := r.until(ctx, began, r.port, r.healthy); err != nil {
		return err
	}
	host, port := r.upstream()
	if port == 0 {
		return nil
	}
	return r.until(ctx, began, port, func(ctx context.Context) (bool, error) {
		conn, err := r.dial(ctx, net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return false, err
		}
		return true, conn.Close()
	})
}

// until asks again and again, with growing pauses, until the answer is yes.
func (r *Container) until(ctx context.Context, began time.Time, port int, ask func(context.Context) (bool, error)) error {
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 25*time.Millisecond) {
		ok, err := ask(ctx)
		if ok {
			return nil
		}
		if errors.Is(err, errNoTunnel) {
			return err
		}
		select {
		case <-r.gone:
			return r.endedEarly(ctx)
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return &NotListeningError{Port: port, After: time.Since(began), Log: r.Tail()}
			}
			return ctx.Err()
		case <-time.After(pause):
		}
	}
}

// outputPatience is how long the first connection waits for the container to
// write something.
const outputPatience = 100 * time.Millisecond

// awaitOutput waits until the process has written something, as a watchdog does
// when it listens. A connection before the container runs costs more: BuildKit
// looks then whether it does, and again only 100 ms later.
func (r *Container) awaitOutput(ctx context.Context) {
	select {
	case <-r.tail.begun:
	case <-r.gone:
	case <-ctx.Done():
	case <-time.After(outputPatience):
	}
}

// ended is the error of a container that is gone too early.
func (r *Container) ended() error {
	if r.exited {
		return &ExitError{Code: r.code, Log: r.Tail()}
	}
	return r.err
}

// EndedEarly is why a container is gone that nobody has stopped: an [*ExitError] with the exit
// code of its process, or what [Container.Wait] returns.
func (r *Container) EndedEarly(ctx context.Context) error { return r.endedEarly(ctx) }

// endedEarly is ended for a container that nobody has stopped. Its end tears down
// whatever reaches into it at that moment, and then BuildKit tells the main process's exit
// code or loses it, as it happens. So a code that may not be true is asked of the
// same container again, which nobody reaches into.
func (r *Container) endedEarly(ctx context.Context) error {
	if r.exited && (r.code == 0 || r.code == UnknownExitCode) && r.again != nil {
		if code, ok := r.again(ctx); ok {
			return &ExitError{Code: code, Log: r.Tail()}
		}
	}
	return r.ended()
}

// againPatience is how long a container that is run again may take to end.
const againPatience = 5 * time.Second

// runAgain returns what [Container.endedEarly] needs.
func runAgain(c *builder.Client, r Request) func(context.Context) (int, bool) {
	r.Stdout, r.Stderr = nil, nil
	return func(ctx context.Context) (int, bool) {
		ctx, cancel := context.WithTimeout(ctx, againPatience)
		defer cancel()
		run, err := Run(ctx, c, r)
		if err != nil {
			return 0, false
		}
		defer run.Close()
		code, err := run.Wait(ctx)
		return code, err == nil && code != UnknownExitCode
	}
}

// HasWatchdog reports whether the image's entrypoint is a watchdog, fnb's or
// OpenFaaS's.
func (r *Container) HasWatchdog() bool {
	c := r.image.Config
	for _, arg := range slices.Concat(c.Entrypoint, c.Cmd) {
		if arg[strings.LastIndex(arg, "/")+1:] == "fwatchdog" {
			return true
		}
	}
	return false
}

// Watchdog is what the image's labels say of its watchdog: "default" is fnb's own, and
// "" means that they say nothing.
func (r *Container) Watchdog() string { return r.image.Config.Labels[words.LabelWatchdog] }

// upstream is where the function behind another watchdog than fnb's listens, in this
// container; no port where the watchdog calls none.
func (r *Container) upstream() (host string, port int) {
	if r.Watchdog() == words.WatchdogDefault || !r.HasWatchdog() || env.Get(r.env, "mode") != words.ModeHTTP {
		return "", 0
	}
	u, err := url.Parse(upstreamURL(r.env))
	if err != nil {
		return "", 0
	}
	ip := net.ParseIP(u.Hostname())
	if u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return "", 0
	}
	port, err = strconv.Atoi(cmp.Or(u.Port(), "80"))
	if err != nil {
		return "", 0
	}
	return u.Hostname(), port
}

func (r *Container) healthy(ctx context.Context) (bool, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+r.host()+healthPath, nil)
	if err != nil {
		return false, err
	}
	res, err := r.peer.transport.RoundTrip(req)
	if err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	return err == nil && (res.StatusCode == http.StatusOK || !r.HasWatchdog()), res.Body.Close()
}

// host is what goes into the Host header where nothing else is said.
func (r *Container) host() string { return "127.0.0.1:" + strconv.Itoa(r.port) }
