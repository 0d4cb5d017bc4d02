package serve

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"fnb/builder/containers"
	"fnb/pipeline/gateway"
	"fnb/schema"
)

// GatewayOptions say where functions have a gateway, by which they also reach one another.
type GatewayOptions struct {
	Port    int    // of this machine; 0 is any
	Socket  string // by which dead letters are sent again
	Version string // of fnb
	Key     []byte // by which it knows the user's calls
}

// A GatewayError is of a gateway that cannot be started.
type GatewayError struct{ Err error }

func (e *GatewayError) Error() string { return "starting the gateway: " + e.Err.Error() }

// Unwrap returns what went wrong.
func (e *GatewayError) Unwrap() error { return e.Err }

// A front is the gateway before the functions.
type front struct {
	*gateway.Gateway
	listener net.Listener
	control  net.Listener // nil where another fnb run has the socket
	server   *http.Server // of control

	mu     sync.Mutex
	routes map[string][]containers.Route // of each function, beside the gateway
}

// openFront takes the gateway's port, and has functions reach it.
func (f *Functions) openFront(ctx context.Context) (err error) {
	o := f.o.Gateway
	front := &front{routes: map[string][]containers.Route{}}
	if front.listener, err = f.listenBeside(ctx, o.Port); err != nil {
		return &GatewayError{err}
	}
	options := gateway.Options{Folder: filepath.Dir(f.p.Stack.File), Version: o.Version, Key: o.Key, Reach: front.reach, Refused: f.obs.Refused, Kept: f.obs.Kept}
	for _, s := range f.all {
		options.Functions = append(options.Functions, gateway.Function{Function: s.job.Function, Backend: s})
	}
	if front.Gateway, err = gateway.New(options); err != nil {
		_ = front.listener.Close() // nobody has connected
		return &GatewayError{err}
	}
	f.front = front
	f.o.Container.Routes = front.routesOf(f.o.Container.Routes)
	if front.control, err = listenPrivate(ctx, o.Socket); err != nil {
		return &GatewayError{err}
	}
	if front.control != nil {
		front.server = &http.Server{Handler: front.Control()} //nolint:gosec // nobody but the user is asked for here
		go func() { _ = front.server.Serve(front.control) }() // it ends with close
	}
	context.AfterFunc(ctx, front.shut)
	go front.Serve(front.listener) // the same
	return nil
}

// shut takes no more connections. It may be called twice.
func (r *front) shut() {
	_ = r.listener.Close()
	closePrivate(r.control)
}

// close ends the gateway, and returns how many calls it keeps that were not done.
func (r *front) close() (kept int) {
	r.shut()
	if r.server != nil {
		defer r.server.Close() //nolint:errcheck // nothing is asked of it any more
	}
	return r.Gateway.Close()
}

// routesOf adds the gateway to what leads out of each function's container.
func (r *front) routesOf(others func(context.Context, schema.Function) ([]containers.Route, error)) func(context.Context, schema.Function) ([]containers.Route, error) {
	return func(ctx context.Context, fn schema.Function) (routes []containers.Route, err error) {
		if others != nil {
			if routes, err = others(ctx, fn); err != nil {
				return nil, err
			}
		}
		for _, one := range routes {
			if one.Port == gateway.Port && slices.Contains(gateway.Names(), strings.ToLower(one.Name)) {
				return nil, fmt.Errorf("%s:%d is the gateway's name: give what it reaches another", one.Name, one.Port)
			}
		}
		r.mu.Lock()
		r.routes[fn.Name] = slices.Clone(routes)
		r.mu.Unlock()
		for _, name := range gateway.Names() {
			routes = append(routes, containers.Route{Name: name, Port: gateway.Port, Open: func(ctx context.Context) (net.Conn, error) {
				return r.Open(ctx, fn.Name)
			}})
		}
		return routes, nil
	}
}

// reach finds what a function reaches beside the gateway.
func (r *front) reach(function, host string, port int) func(context.Context) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, one := range r.routes[function] {
		if strings.EqualFold(one.Name, host) && one.Port == port {
			return one.Open
		}
	}
	return nil
}

// Take implements [gateway.Backend].
func (s *served) Take(ctx context.Context) (http.RoundTripper, func(), error) {
	for {
		in, done, err := s.take()
		if err == nil {
			return in.Transport(), done, nil
		}
		s.mu.RLock()
		starting, changed, now := s.starting, s.changed, s.now
		s.mu.RUnlock()
		switch {
		case now != nil: // meanwhile
			continue
		case !starting:
			return nil, nil, err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		}
	}
}

// Runs implements [gateway.Backend].
func (s *served) Runs() bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.now != nil
}

// starts says whether a container is on its way, so that requests wait for it.
func (s *served) starts(is bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.starting = is
	s.signal()
}

// signal wakes who waits for a change. The lock is held.
func (s *served) signal() {
	close(s.changed)
	s.changed = make(chan struct{})
}
