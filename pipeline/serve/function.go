package serve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"fnb/builder/containers"
	"fnb/internal/plain"
	"fnb/internal/private"
	"fnb/pipeline"
	"fnb/pipeline/debugger"
	"fnb/pipeline/gateway"
	"fnb/schema"
)

// stopGrace is how long a function has to end after SIGTERM.
const stopGrace = 10 * time.Second

// A served is one function: a local port, and the container behind it, which a rebuild
// swaps.
type served struct {
	job      *pipeline.Job
	listener net.Listener
	server   *gateway.Server
	socket   net.Listener    // of fnb invoke; nil where another fnb run has it
	saved    <-chan struct{} // has a value when something was saved; nil where nobody watches
	unwatch  func()

	announced bool // its address was printed
	lives

	debug  *debugger.Port // nil without a debugger
	debugs schema.Debug
	target *debugger.Target // where its port leads

	mu       sync.RWMutex
	now      *instance     // nil before the first is ready
	starting bool          // one is on its way
	changed  chan struct{} // closed when one of the two has changed
}

// Lives are those of a function whose container was lost.
type lives struct {
	since  time.Time // its container serves
	pauses containers.Pause
}

// An instance is a container and the requests that are under way in it.
type instance struct {
	*containers.Container
	requests sync.WaitGroup
	replaced chan struct{} // closed when another takes its place
}

var errNotServing = errors.New("the function is not running")

// take returns the container that serves now; done has to be called after the
// request.
func (s *served) take() (in *instance, done func(), err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.now == nil {
		return nil, nil, errNotServing
	}
	in = s.now
	in.requests.Add(1)
	return in, in.requests.Done, nil
}

// swap lets a new container serve. The old one ends when its requests have.
func (s *served) swap(in *instance) (old *instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, s.now = s.now, in
	s.signal()
	if old != nil {
		close(old.replaced)
	}
	return old
}

// retire stops a container that takes no new requests.
func (in *instance) retire(ctx context.Context) {
	idle := make(chan struct{})
	go func() {
		in.requests.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-time.After(stopGrace):
	case <-ctx.Done():
	}
	_, _ = in.Stop(context.WithoutCancel(ctx), stopGrace) // nobody waits for how it ended
}

// ServeHTTP implements [http.Handler].
func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if why := gateway.Foreign(r); why != "" && !bySocket(r) {
		http.Error(w, "fnb run: "+why, http.StatusForbidden)
		return
	}
	rt, done, err := s.Take(r.Context())
	if err != nil {
		http.Error(w, "fnb run: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer done()
	proxy := httputil.ReverseProxy{
		Transport: rt, FlushInterval: -1,
		Rewrite: func(pr *httputil.ProxyRequest) {
			pr.Out.URL.Scheme, pr.Out.URL.Host = "http", "function"
			for _, h := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
				if v, ok := pr.In.Header[h]; ok {
					pr.Out.Header[h] = v
				}
			}
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if status, why := gateway.Unsent(r); status != 0 {
				http.Error(w, "fnb run: "+plain.Line(why), status)
				return
			}
			http.Error(w, "fnb run: "+plain.Line(err.Error()), gateway.StatusOf(err))
		},
	}
	proxy.ServeHTTP(w, r)
}

// bySocket reports whether a request came by a socket, which only its owner can use.
func bySocket(r *http.Request) bool {
	at, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	return ok && at.Network() == "unix"
}

// A PortError is a port of this machine that is in use, or one behind the last: those of
// functions follow one another.
type PortError struct {
	Port     int
	Debugger bool   // it was for a debugger
	Holder   string // whose it is in this very run; "" is another program's
}

func (e *PortError) Error() string {
	if e.Port > lastPort {
		return fmt.Sprintf("it would have port %d, and the last one is %d", e.Port, lastPort)
	}
	if e.Holder != "" {
		return fmt.Sprintf("port %d is that of %s, in this very run", e.Port, e.Holder)
	}
	return fmt.Sprintf("port %d of this machine is in use", e.Port)
}

const lastPort = 65535

// listenLocal takes a port of this machine's loopback interface.
func listenLocal(ctx context.Context, port int) (net.Listener, error) {
	if port > lastPort {
		return nil, &PortError{Port: port}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &PortError{Port: port}
	}
	return l, err
}

// listenBeside takes a port for something beside the functions, and says if one of the run's own has it.
func (f *Functions) listenBeside(ctx context.Context, port int) (net.Listener, error) {
	l, err := listenLocal(ctx, port)
	if p, ok := errors.AsType[*PortError](err); ok {
		p.Holder = f.holder(port)
	}
	return l, err
}

// holder is what of the run has a port; "" is nothing.
func (f *Functions) holder(port int) string {
	has := func(l net.Listener) bool { at, ok := l.Addr().(*net.TCPAddr); return ok && at.Port == port }
	for _, s := range f.all {
		if has(s.listener) {
			return "the function " + s.job.Function.Name
		}
	}
	if f.front != nil && has(f.front.listener) {
		return "the gateway"
	}
	return ""
}

// listen takes the local port of a function.
func listen(ctx context.Context, j *pipeline.Job, port int) (*served, error) {
	l, err := listenLocal(ctx, port)
	if err != nil {
		return nil, err
	}
	s := &served{job: j, listener: l, starting: true, changed: make(chan struct{})}
	s.server = gateway.NewServer(s)
	return s, nil
}

// open begins to answer at the port, and at a socket for fnb invoke.
func (s *served) open(ctx context.Context, path string) (err error) {
	go s.server.Serve(s.listener) // it ends with close
	if s.socket, err = listenPrivate(ctx, path); err != nil {
		return err
	}
	context.AfterFunc(ctx, s.shut)
	if s.socket != nil {
		go s.server.Serve(s.socket) // the same
	}
	return nil
}

// listenPrivate takes a socket for fnb invoke; nil where another fnb run has it.
func listenPrivate(ctx context.Context, path string) (net.Listener, error) {
	if err := private.MakeSocketFolder(filepath.Dir(path), 0o077); err != nil {
		return nil, fmt.Errorf("listening for fnb invoke: %w", err)
	}
	if conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path); err == nil {
		return nil, conn.Close()
	}
	_ = os.Remove(path) // of one that was killed
	l, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listening for fnb invoke: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		closePrivate(l)
		return nil, err
	}
	return l, nil
}

// closePrivate leaves nothing of a socket behind. It may be called twice.
func closePrivate(l net.Listener) {
	if l == nil {
		return
	}
	_ = l.Close() // which removes it
	_ = os.Remove(filepath.Dir(l.Addr().String()))
}

// shut takes no more connections, and leaves nothing behind, whatever ends the
// process then. It may be called twice.
func (s *served) shut() {
	_ = s.listener.Close()
	closePrivate(s.socket)
}

// address is the function's URL on this machine.
func (s *served) address() string { return "http://" + s.listener.Addr().String() }

// close ends the port, and the container with its requests.
func (s *served) close(ctx context.Context) {
	s.shut()
	if s.debug != nil {
		s.debug.Close() // what stands there goes on, and can end
	}
	if s.unwatch != nil {
		s.unwatch()
	}
	if in := s.swap(nil); in != nil {
		_, _ = in.Stop(ctx, stopGrace) // the exit code is nobody's
	}
	_ = s.server.Close() // nothing is asked of it any more
}

// Dial reaches a function that somebody serves by its socket; nil where nobody does.
func Dial(ctx context.Context, socket string) http.RoundTripper {
	// Nobody else can have put anything into a folder that only its owner enters.
	if info, err := os.Lstat(filepath.Dir(socket)); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 || !private.OwnFile(info) {
		return nil
	}
	if private.CheckSocketFolder(filepath.Dir(socket)) != nil {
		return nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", socket)
	if err != nil {
		return nil
	}
	return &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives: true, DisableCompression: true,
	}
}
