package servers

import (
	"io"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"sync"
)

// A Fault breaks requests on their way to a server. The zero value cuts the
// connection of every request.
type Fault struct {
	// Method is the HTTP method to break; empty means any.
	Method string
	// Path matches the URL path of the requests to break; nil means any.
	Path *regexp.Regexp
	// Status is the answer given in the server's place. Zero cuts the
	// connection: after BodyBytes of the request's body when that is positive,
	// without any answer.
	Status int
	// RetryAfter is sent as the Retry-After header, in seconds, when positive.
	RetryAfter int
	// BodyBytes is how much of the request's body is read before the cut.
	BodyBytes int64
	// Skip lets this many matching requests pass first.
	Skip int
	// Times is how many requests are broken; zero means all.
	Times int
}

// A Request is one line of a proxy's record.
type Request struct {
	Method, Path string
	Status       int // 0 where the connection was cut
}

// faultProxy is a reverse proxy that records requests and breaks some.
type faultProxy struct {
	forward *httputil.ReverseProxy

	mu       sync.Mutex
	faults   []*Fault
	requests []Request
}

func newFaultProxy(target *url.URL) *faultProxy {
	p := &faultProxy{}
	p.forward = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			// The registry makes its Location headers of the name it was called by.
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		ErrorLog: discardLog(),
	}
	return p
}

// ServeHTTP breaks the request or hands it on.
func (p *faultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := p.pick(r)
	if f == nil {
		rec := &statusRecorder{ResponseWriter: w, status: http.StatusOK}
		defer func() { p.record(r, rec.status) }()
		p.forward.ServeHTTP(rec, r)
		return
	}
	p.record(r, f.Status)
	if f.Status == 0 {
		// What the client still had to say is lost with the connection.
		_, _ = io.CopyN(io.Discard, r.Body, f.BodyBytes)
		panic(http.ErrAbortHandler)
	}
	if f.RetryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
	}
	http.Error(w, `{"errors":[{"code":"UNKNOWN","message":"a fault put in by the test"}]}`, f.Status)
}

// pick returns the fault for a request, nil for none, and counts it.
func (p *faultProxy) pick(r *http.Request) *Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, f := range p.faults {
		if f.Method != "" && f.Method != r.Method || f.Path != nil && !f.Path.MatchString(r.URL.Path) {
			continue
		}
		if f.Skip > 0 {
			f.Skip--
			return nil
		}
		if f.Times == 1 {
			p.faults = append(p.faults[:i:i], p.faults[i+1:]...)
		} else if f.Times > 1 {
			f.Times--
		}
		return f
	}
	return nil
}

func (p *faultProxy) add(faults []Fault) (remove func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var mine []*Fault
	for _, f := range faults {
		mine = append(mine, &f)
	}
	p.faults = append(p.faults, mine...)
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.faults = slices.DeleteFunc(p.faults, func(f *Fault) bool { return slices.Contains(mine, f) })
	}
}

func (p *faultProxy) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = nil
}

func (p *faultProxy) record(r *http.Request, status int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.requests = append(p.requests, Request{Method: r.Method, Path: r.URL.Path, Status: status})
}

func (p *faultProxy) takeRequests() []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := p.requests
	p.requests = nil
	return out
}

// takeRequestsOf returns those whose path matches, and leaves the others.
func (p *faultProxy) takeRequestsOf(path *regexp.Regexp) []Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	var out []Request
	p.requests = slices.DeleteFunc(p.requests, func(r Request) bool {
		taken := path.MatchString(r.Path)
		if taken {
			out = append(out, r)
		}
		return taken
	})
	return out
}

// statusRecorder remembers the status of an answer.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

// WriteHeader remembers the status and sends it.
func (s *statusRecorder) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController reach the real writer.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }

// discardLog keeps the noise of cut connections out of a test's output.
func discardLog() *log.Logger { return log.New(io.Discard, "", 0) }
