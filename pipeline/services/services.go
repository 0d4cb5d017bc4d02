package services

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"fnb/builder/containers"
	"fnb/pipeline"
	"fnb/schema"
	"fnb/schema/services"
)

// Options say who hears of services. The functions are called by several services at a time.
type Options struct {
	// Logs is where a service's output goes, asked for once for each stream of each container;
	// nil drops it, and then errors have the last lines.
	Logs func(service string) io.Writer
	// Say is told what becomes of a service; nil is nobody. What is news only to somebody who
	// waits is usual.
	Say func(service, text string, usual bool)
	// Fresh are services that begin without the data that they have kept.
	Fresh []string
}

// Services are those of one run. A service is started when the first function that uses it
// is, and ends with Close.
type Services struct {
	p *pipeline.Pipeline
	o Options

	life    context.Context //nolint:containedctx // of the services, which outlive what asks for them
	end     context.CancelFunc
	running sync.WaitGroup

	mu  sync.Mutex
	all map[string]*service
}

// New returns the services of a pipeline's stack. Nothing is started. Close must be called.
func New(ctx context.Context, p *pipeline.Pipeline, o Options) *Services {
	s := &Services{p: p, o: o, all: map[string]*service{}}
	if s.o.Say == nil {
		s.o.Say = func(string, string, bool) {}
	}
	s.life, s.end = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

// Routes are the ways to the services that a function uses, all of which may be used when it
// returns: it is what [pipeline.ContainerOptions] want. An error has the place of what the
// stack says of the service.
func (s *Services) Routes(ctx context.Context, fn schema.Function) ([]containers.Route, error) {
	used := s.p.Stack.ServicesOf([]schema.Function{fn})
	var waiting []*service
	for _, one := range used {
		waiting = append(waiting, s.start(one))
	}
	var routes []containers.Route
	for _, one := range waiting {
		if _, err := one.take(ctx, nil); err != nil {
			return nil, err
		}
		routes = append(routes, containers.Route{Name: one.Name, Port: one.Port, Open: one.dial})
	}
	return routes, nil
}

// start starts a service unless it was started before.
func (s *Services) start(of services.Service) *service {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one, ok := s.all[of.Name]; ok {
		return one
	}
	one := &service{Service: of, set: s, fresh: slices.Contains(s.o.Fresh, of.Name), changed: make(chan struct{})}
	s.all[of.Name] = one
	s.running.Go(func() { one.run(s.life) })
	return one
}

// Close ends all services. Those that keep their data have some time for it.
func (s *Services) Close() {
	s.end()
	s.running.Wait()
}

// A service is one that was started.
type service struct {
	services.Service
	set   *Services
	fresh bool // its data is to be dropped before it starts; of the goroutine of run

	mu      sync.Mutex
	now     *containers.Container // that may be used
	err     error                 // why none is and none will be
	changed chan struct{}         // closed when either of them changes
}

// take returns the container that may be used, once there is another than last.
func (s *service) take(ctx context.Context, last *containers.Container) (*containers.Container, error) {
	for {
		s.mu.Lock()
		now, err, changed := s.now, s.err, s.changed
		s.mu.Unlock()
		if err != nil || now != nil && now != last {
			return now, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

func (s *service) settle(now *containers.Container, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.err = now, err
	close(s.changed)
	s.changed = make(chan struct{})
}

// dial connects to the service; while it is started again, whoever connects waits.
func (s *service) dial(ctx context.Context) (net.Conn, error) {
	var last *containers.Container
	for {
		c, err := s.take(ctx, last)
		if err != nil {
			return nil, err
		}
		conn, err := c.DialPort(ctx, s.Port)
		if err == nil || !ending(ctx, c) {
			return conn, err
		}
		last = c
	}
}

// endingPatience is how long a container that refuses a connection may take to be gone.
const endingPatience = 500 * time.Millisecond

// ending reports whether a container is about to be gone.
func ending(ctx context.Context, c *containers.Container) bool {
	select {
	case <-c.Gone():
		return true
	case <-ctx.Done():
	case <-time.After(endingPatience):
	}
	return false
}

// run starts the service, and again each time that one ends that could be used, until ctx does:
// after pauses that grow, as Docker Compose does with restart: unless-stopped.
func (s *service) run(ctx context.Context) {
	var pauses containers.Pause
	served := false
	for {
		used, err := s.once(ctx)
		if ctx.Err() != nil {
			s.settle(nil, ctx.Err())
			return
		}
		if served = served || used > 0; !served || gaveUp(err) {
			s.settle(nil, err)
			if served {
				s.set.o.Say(s.Name, "it is not started again: "+err.Error(), false)
			}
			return
		}
		s.settle(nil, nil)
		pause := pauses.After(used)
		s.set.o.Say(s.Name, endOf(err)+"; "+containers.Again(pause)+s.loss(), false)
		select {
		case <-ctx.Done():
			s.settle(nil, ctx.Err())
			return
		case <-time.After(pause):
		}
	}
}

// loss says what a service that is started again has lost.
func (s *service) loss() string {
	if s.Keep {
		return ""
	}
	return ", without the data that it had: keep is not set"
}

// once runs the service until it ends, and returns for how long it could be used. The error is
// why it ended.
func (s *service) once(ctx context.Context) (used time.Duration, err error) {
	began := time.Now()
	release, err := s.hold()
	if err != nil {
		return 0, err
	}
	defer release()
	seen := newSight(s.Ready.Text)
	c, err := s.launch(ctx, seen)
	if err != nil {
		return 0, err
	}
	defer s.stop(c)
	if err := s.await(ctx, c, seen); err != nil {
		return 0, err
	}
	s.settle(c, nil)
	s.set.o.Say(s.Name, fmt.Sprintf("ready after %s", time.Since(began).Round(time.Millisecond)), true)
	began = time.Now()
	select {
	case <-ctx.Done():
		return time.Since(began), ctx.Err()
	case <-c.Gone():
	}
	used = max(time.Since(began), 1)
	code, err := c.Wait(ctx)
	if err == nil {
		err = s.exited(&containers.ExitError{Code: code, Log: c.Tail()})
	}
	return used, err
}
