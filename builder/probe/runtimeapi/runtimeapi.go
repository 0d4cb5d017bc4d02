// Package runtimeapi stands in for the Runtime API of AWS Lambda, so that functions can be invoked as Lambda invokes them where
// there is no Lambda. A [Server] follows AWS's reference of the API (docs/portability.md names it); it is an imitation, and
// knows neither extensions nor telemetry. [Server.Transport] sends HTTP requests as the events of something that invokes
// functions.
package runtimeapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limits of Lambda.
const (
	// MaxPayload is how many bytes an event has, or an answer that is not streamed.
	MaxPayload = 6 << 20
	version    = "/2018-06-01/runtime"
)

// A Server is the API that one function asks.
type Server struct {
	listener listener
	http     *http.Server
	begun    chan struct{} // closed when the function has asked for its first event
	asked    sync.Once
	failed   chan struct{} // closed when the function has said that it cannot begin
	why      Failure
	queue    chan *invocation
	arn      string

	mu       sync.Mutex
	streamed bool
	last     int
	open     map[string]*invocation
}

// A Failure is what a function says of itself in place of an answer.
type Failure struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

func (f *Failure) Error() string {
	return fmt.Sprintf("the invocation fails with %s: %s", f.Type, f.Message)
}

// invocation is one event and what became of it.
type invocation struct {
	id       string
	event    []byte
	deadline time.Time
	answer   chan answer
}

// answer is what a function has posted.
type answer struct {
	body     []byte
	streamed bool
	failure  *Failure
}

// New begins to serve the function of a name.
func New(function string) *Server {
	s := &Server{
		listener: listener{conns: make(chan net.Conn), gone: make(chan struct{})},
		begun:    make(chan struct{}), failed: make(chan struct{}), queue: make(chan *invocation),
		arn: "arn:aws:lambda:eu-west-1:123456789012:function:" + function, open: map[string]*invocation{},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+version+"/invocation/next", s.next)
	mux.HandleFunc("POST "+version+"/invocation/{id}/response", s.response)
	mux.HandleFunc("POST "+version+"/invocation/{id}/error", s.failure)
	mux.HandleFunc("POST "+version+"/init/error", s.initError)
	s.http = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.http.Serve(&s.listener) }() // it ends with Close
	return s
}

// Close ends the server and all connections to it.
func (s *Server) Close() { _ = s.http.Close() } // of a listener that cannot fail

// Dial connects to the server.
func (s *Server) Dial(ctx context.Context) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case s.listener.conns <- far:
		return near, nil
	case <-s.listener.gone:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Begun is closed when the function has asked for its first event, which ends its start.
func (s *Server) Begun() <-chan struct{} { return s.begun }

// Failed is closed when the function has said that it cannot begin; [Server.Why] is what it says.
func (s *Server) Failed() <-chan struct{} { return s.failed }

// Why is what the function has said of its start. It may be asked once Failed is closed.
func (s *Server) Why() error { return fmt.Errorf("it cannot begin: %s: %s", s.why.Type, s.why.Message) }

// Streamed reports whether any answer came piece by piece.
func (s *Server) Streamed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.streamed
}

// invoke sends an event and waits for what becomes of it, at most until ctx ends.
func (s *Server) invoke(ctx context.Context, event []byte) (answer, error) {
	if len(event) > MaxPayload {
		return answer{}, fmt.Errorf("the event has %d bytes, and Lambda takes %d", len(event), MaxPayload)
	}
	s.mu.Lock()
	s.last++
	in := &invocation{id: fmt.Sprintf("8476a536-e9f4-11e8-9739-%012d", s.last), event: event, answer: make(chan answer, 1)}
	s.open[in.id] = in
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.open, in.id)
	}()
	var ok bool
	if in.deadline, ok = ctx.Deadline(); !ok {
		in.deadline = time.Now().Add(15 * time.Minute)
	}
	select {
	case s.queue <- in:
	case <-ctx.Done():
		return answer{}, fmt.Errorf("the function does not ask for the next event: %w", ctx.Err())
	}
	select {
	case a := <-in.answer:
		return a, nil
	case <-ctx.Done():
		return answer{}, fmt.Errorf("the function does not answer the event: %w", ctx.Err())
	}
}

func (s *Server) next(w http.ResponseWriter, r *http.Request) {
	s.asked.Do(func() { close(s.begun) })
	select {
	case <-r.Context().Done():
	case in := <-s.queue:
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", in.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(in.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", s.arn)
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=0")
		h.Set("Content-Type", "application/json")
		_, _ = w.Write(in.event) // a runtime that went away says no more
	}
}

// of is the open invocation that a request is about.
func (s *Server) of(w http.ResponseWriter, r *http.Request) *invocation {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := s.open[r.PathValue("id")]
	if in == nil {
		refuse(w, http.StatusBadRequest, "InvalidRequestID")
	}
	return in
}

func refuse(w http.ResponseWriter, status int, kind string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(Failure{Type: kind}) // a runtime that went away reads no answer
}

// conclude hands over what became of an invocation; only the first answer counts.
func (in *invocation) conclude(w http.ResponseWriter, a answer) {
	select {
	case in.answer <- a:
		w.WriteHeader(http.StatusAccepted)
	default:
		refuse(w, http.StatusBadRequest, "InvalidStateTransition")
	}
}

// maxStreamed is how many bytes of a streamed answer are read.
const maxStreamed = 200 << 20

func (s *Server) response(w http.ResponseWriter, r *http.Request) {
	in := s.of(w, r)
	if in == nil {
		return
	}
	streamed := r.Header.Get("Lambda-Runtime-Function-Response-Mode") == "streaming"
	most := int64(MaxPayload)
	if streamed {
		s.mu.Lock()
		s.streamed = true
		s.mu.Unlock()
		most = maxStreamed
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	switch {
	case err != nil:
		refuse(w, http.StatusBadRequest, "InvalidRequest")
	case int64(len(body)) > most:
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge")
	default:
		a := answer{body: body, streamed: streamed}
		if kind := r.Trailer.Get("Lambda-Runtime-Function-Error-Type"); streamed && kind != "" {
			a.failure = &Failure{Type: kind, Message: "the answer was cut off"}
		}
		in.conclude(w, a)
	}
}

func (s *Server) failure(w http.ResponseWriter, r *http.Request) {
	if in := s.of(w, r); in != nil {
		f := failureOf(r)
		in.conclude(w, answer{failure: &f})
	}
}

func (s *Server) initError(w http.ResponseWriter, r *http.Request) {
	f := failureOf(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case <-s.failed:
		refuse(w, http.StatusForbidden, "InvalidStateTransition")
	default:
		s.why = f
		close(s.failed)
		w.WriteHeader(http.StatusAccepted)
	}
}

// failureOf reads what a function posts in place of an answer.
func failureOf(r *http.Request) Failure {
	var f Failure
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<10))
	if err != nil || json.Unmarshal(bytes.TrimSpace(body), &f) != nil {
		f.Message = string(body)
	}
	f.Type = cmp.Or(f.Type, r.Header.Get("Lambda-Runtime-Function-Error-Type"), "an error")
	return f
}

// listener takes connections that are given to it.
type listener struct {
	conns chan net.Conn
	gone  chan struct{}
	once  sync.Once
}

// Accept implements [net.Listener].
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.gone:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *listener) Close() error {
	l.once.Do(func() { close(l.gone) })
	return nil
}

// Addr implements [net.Listener].
func (l *listener) Addr() net.Addr { return &net.UnixAddr{Name: "runtime API", Net: "unix"} }
