// Package gateway answers at OpenFaaS's routes for the functions of a stack: what [New] makes
// passes requests on, carries out calls later, and keeps those that failed as dead letters,
// which [OpenLetters] finds.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"fnb/internal/plain"
	"fnb/schema"
)

// DefaultNamespace is the one of OpenFaaS's functions.
const DefaultNamespace = "openfaas-fn"

// Port is the one at which functions reach the gateway, by each of [Names].
const Port = 8080

// Names are those by which functions reach the gateway, here as in a cluster.
func Names() []string {
	return []string{"gateway", "gateway.openfaas", "gateway.openfaas.svc", "gateway.openfaas.svc.cluster.local"}
}

// A Backend is where a function's requests go.
type Backend interface {
	// Take returns what carries one request to the function, whatever the host of its URL is.
	// It waits while the function is being started. Done has to be called after the request.
	Take(ctx context.Context) (rt http.RoundTripper, done func(), err error)
	// Runs says whether the function answers now.
	Runs() bool
}

// A Function is one that the gateway passes requests to.
type Function struct {
	schema.Function
	Backend Backend
}

// Options say what a gateway does.
type Options struct {
	Functions []Function
	Folder    string // of the stack file, in which calls are kept
	Version   string // of fnb
	Key       []byte // by which the user's calls are known, see [OpenKey]; nil is another one for each gateway
	// Reach opens connections to what a function may reach beside the gateway; nil where it
	// may not. It is asked where the callbacks of that function's calls lead.
	Reach func(function, host string, port int) func(ctx context.Context) (net.Conn, error)
	// Refused is told of a callback that a function gave and does not reach, by several at a
	// time; nil is nobody.
	Refused func(function, host string, port int)
	// Kept is told of each call that became a dead letter, by several at a time.
	Kept   func(Call)
	Limits Limits
}

// Limits bound what waits to be called; a zero is the default.
type Limits struct {
	Body    int64 // bytes of one call's body, and of an answer that goes to a callback
	Calls   int   // that wait or are under way
	Bytes   int64 // of their bodies
	Letters int   // dead letters of the project
}

func (l Limits) withDefaults() Limits {
	return Limits{Body: orDefault(l.Body, 16<<20), Calls: orDefault(l.Calls, 1000), Bytes: orDefault(l.Bytes, 256<<20), Letters: orDefault(l.Letters, 10_000)}
}

func orDefault[N int | int64](n, other N) N {
	if n == 0 {
		return other
	}
	return n
}

// A Gateway is an [http.Handler]. Its methods may be called by several at a time.
type Gateway struct {
	o       Options
	members map[string]*member
	started time.Time
	server  *Server
	door    door
	queue
}

// A member is a function with what the gateway knows of it.
type member struct {
	Function
	policy policy
	turns  chan struct{} // as many as calls of the queue may be under way
	count  atomic.Int64  // requests
}

// turns is how many calls of the queue a function is asked at a time.
const turns = 4

// New makes a gateway. Close has to be called.
func New(o Options) (*Gateway, error) {
	o.Limits = o.Limits.withDefaults()
	if len(o.Key) == 0 {
		o.Key = newKey()
	}
	g := &Gateway{o: o, members: map[string]*member{}, started: time.Now(), door: newDoor()}
	for _, f := range o.Functions {
		p, err := policyOf(f.Annotations)
		if err != nil {
			return nil, fmt.Errorf("function %s: %w", f.Name, err)
		}
		g.members[f.Name] = &member{Function: f, policy: p, turns: make(chan struct{}, turns)}
	}
	if err := g.queue.open(g); err != nil {
		return nil, err
	}
	g.server = NewServer(g)
	g.server.IdleTimeout, g.server.ErrorLog = 5*time.Minute, log.New(io.Discard, "", 0)
	go g.server.Serve(g.door)
	return g, nil
}

// Serve answers at a port of this machine, until the gateway is closed.
func (g *Gateway) Serve(l net.Listener) { g.server.Serve(l) }

// Close takes no more requests, keeps the calls that were not done as dead letters, and
// returns how many that were.
func (g *Gateway) Close() (kept int) {
	kept = g.queue.close()
	_ = g.server.Close() // nothing is asked of it any more
	g.door.shut()
	return kept
}

// ServeHTTP implements [http.Handler]. A request that comes from no function must be
// addressed to this machine, and come from no page of another's.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if why := Foreign(r); why != "" && callerOf(r.Context()) == "" {
		refuse(w, http.StatusForbidden, why)
		return
	}
	path := r.URL.EscapedPath()
	switch {
	case path == "/healthz":
		if only(w, r, http.MethodGet, http.MethodHead) {
			_, _ = io.WriteString(w, "OK") // the client's business
		}
	case strings.HasPrefix(path, "/function/"):
		g.call(w, r, strings.TrimPrefix(path, "/function/"))
	case strings.HasPrefix(path, "/async-function/"):
		if only(w, r, http.MethodPost) {
			g.accept(w, r, strings.TrimPrefix(path, "/async-function/"))
		}
	case strings.HasPrefix(path, "/system/"):
		g.system(w, r, strings.TrimPrefix(path, "/system/"))
	default:
		refuse(w, http.StatusNotFound, "the gateway has /function/NAME, /async-function/NAME, /system/functions and /healthz")
	}
}

// refuse answers with one line of text.
func refuse(w http.ResponseWriter, status int, why string) {
	http.Error(w, "fnb run: "+plain.Line(why), status)
}

// only answers requests of other methods, and returns whether it did not have to.
func only(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	refuse(w, http.StatusMethodNotAllowed, "this route takes "+strings.Join(methods, " and ")+" only")
	return false
}

// find returns the function that the rest of a path names, and what of the path is the
// function's. There is an answer already where it returns nil.
func (g *Gateway) find(w http.ResponseWriter, rest string) (m *member, path string) {
	full, path, _ := strings.Cut(rest, "/")
	if m = g.named(full); m == nil {
		name, namespace, _ := strings.Cut(full, ".")
		if namespace == "" {
			namespace = DefaultNamespace
		}
		refuse(w, http.StatusNotFound, fmt.Sprintf("error finding function %s.%s: this fnb run has no such function", plain.Short(name), plain.Short(namespace)))
		return nil, ""
	}
	return m, "/" + path
}

// named finds a function by NAME or NAME.NAMESPACE; nil where there is none. One whose
// stack file names no namespace is in each.
func (g *Gateway) named(full string) *member {
	name, namespace, _ := strings.Cut(full, ".")
	m := g.members[name]
	if m == nil || m.Namespace != "" && namespace != "" && m.Namespace != namespace {
		return nil
	}
	return m
}

// call passes a request on to a function.
func (g *Gateway) call(w http.ResponseWriter, r *http.Request, rest string) {
	m, path := g.find(w, rest)
	if m == nil {
		return
	}
	began := time.Now()
	tag(r.Header, w.Header(), began)
	rt, done, err := m.Backend.Take(r.Context())
	if err != nil {
		refuse(w, http.StatusServiceUnavailable, "function "+m.Name+": "+err.Error())
		return
	}
	defer done()
	m.count.Add(1)
	callID, start := r.Header.Get(headerCallID), r.Header.Get(headerStart)
	proxy := httputil.ReverseProxy{
		Transport: rt, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(p *httputil.ProxyRequest) {
			p.Out.URL.Scheme, p.Out.URL.Host = "http", "function"
			setPath(p.Out, path)
			forward(p.Out.Header, p.In)
			p.Out.Header.Set(headerCallID, callID)
			p.Out.Header.Set(headerStart, start)
		},
		ModifyResponse: func(res *http.Response) error {
			res.Header.Del(headerCallID) // the gateway's are there already
			res.Header.Del(headerStart)
			if res.Header.Get(headerDuration) == "" {
				res.Header.Set(headerDuration, seconds(time.Since(began)))
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if status, why := Unsent(r); status != 0 {
				refuse(w, status, why)
				return
			}
			refuse(w, StatusOf(err), "function "+m.Name+": "+err.Error())
		},
	}
	proxy.ServeHTTP(w, r)
}

// StatusOf is the status that says why a function could not be asked.
func StatusOf(err error) int {
	if errors.Is(err, syscall.EMFILE) { // as many connections lead there as may
		return http.StatusServiceUnavailable
	}
	return http.StatusBadGateway
}

// OpenFaaS's headers.
const (
	headerCallID   = "X-Call-Id"
	headerStart    = "X-Start-Time"
	headerDuration = "X-Duration-Seconds"
	headerCallback = "X-Callback-Url"
	headerFunction = "X-Function-Name"
	headerStatus   = "X-Function-Status"
)

// tag gives a request an id, unless its client has, and its time; the answer has them too.
func tag(request, answer http.Header, began time.Time) {
	if request.Get(headerCallID) == "" {
		request.Set(headerCallID, newCallID())
	}
	request.Set(headerStart, strconv.FormatInt(began.UnixNano(), 10))
	answer.Set(headerCallID, request.Get(headerCallID))
	answer.Set(headerStart, request.Get(headerStart))
}

func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', 6, 64) }

// setPath makes an escaped path that of a request.
func setPath(r *http.Request, escaped string) {
	r.URL.Path, r.URL.RawPath = escaped, ""
	if plain, err := url.PathUnescape(escaped); err == nil {
		r.URL.Path, r.URL.RawPath = plain, escaped
	}
}

// forward says to a function who asked the gateway, where its client's headers do not.
func forward(h http.Header, in *http.Request) {
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if v, ok := in.Header[name]; ok {
			h[name] = v
		}
	}
	if h.Get("X-Forwarded-For") == "" {
		client, _, err := net.SplitHostPort(in.RemoteAddr)
		if err != nil {
			client = "127.0.0.1"
		}
		h.Set("X-Forwarded-For", client)
	}
	if h.Get("X-Forwarded-Host") == "" {
		h.Set("X-Forwarded-Host", in.Host)
	}
}

var errClosed = errors.New("fnb run is ending")

// A door is a listener for connections that are opened in this process.
type door struct {
	conns  chan net.Conn
	closed chan struct{}
	once   *sync.Once
}

func newDoor() door { return door{make(chan net.Conn), make(chan struct{}), new(sync.Once)} }

func (d door) shut() { d.once.Do(func() { close(d.closed) }) }

// Accept implements [net.Listener].
func (d door) Accept() (net.Conn, error) {
	select {
	case c := <-d.conns:
		return c, nil
	case <-d.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (d door) Close() error {
	d.shut()
	return nil
}

// Addr implements [net.Listener].
func (d door) Addr() net.Addr { return inside{} }

type inside struct{}

func (inside) Network() string { return "fnb" }
func (inside) String() string  { return "gateway" }

// An inward is a connection of a function, or of a callback; from is the function.
type inward struct {
	net.Conn
	from string
}

// Open connects a function to the gateway, which knows from then on who asks.
func (g *Gateway) Open(ctx context.Context, from string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case g.door.conns <- &inward{there, from}:
		return here, nil
	case <-g.door.closed:
		return nil, errClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type callerKey struct{}

// callerOf is the function that asks; "" is somebody at this machine's port.
func callerOf(ctx context.Context) string {
	from, _ := ctx.Value(callerKey{}).(string)
	return from
}
