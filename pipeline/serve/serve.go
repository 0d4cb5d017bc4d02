// Package serve runs functions in the builder and forwards a port of this machine to each:
// [Listen] takes the ports, [Functions.Build] makes the images, and [Functions.Serve] lasts
// until nothing runs any more.
package serve

import (
	"context"
	"errors"
	"sync"
	"time"

	"fnb/builder"
	"fnb/builder/containers"
	"fnb/pipeline"
	"fnb/pipeline/gateway"
	"fnb/schema"
)

// Options say how functions are served.
type Options struct {
	Container pipeline.ContainerOptions
	Parallel  int           // how many are built at a time
	Port      int           // local port of the first function, which those of the others follow; 0 is any
	Ready     time.Duration // how long a function may take to begin to listen
	Debug     *DebugOptions // starts functions under debuggers; the pipeline's settings must want that
	// Socket is where others find a function that is served, such as fnb invoke.
	Socket func(function string) (string, error)
	// Watch tells when something at paths is saved; nil watches nothing. A function is
	// built anew then, and swapped.
	Watch func(paths []string) (saved <-chan struct{}, stop func(), err error)
	// Gateway is before the functions, and is what they reach one another by; nil is none.
	Gateway *GatewayOptions
}

// An Observer is told what becomes of functions, by several of them at a time.
type Observer interface {
	// Begins is called before a function is started for the first time.
	Begins(fn schema.Function)
	// Logs sets where a function's standard output and error go.
	Logs(req *containers.Request)
	// Serves is called when a function answers for the first time.
	Serves(function, url string) error
	// Again is called when a function that was built anew answers.
	Again(function string, took time.Duration)
	// Unbuilt is called with what could not be built while others are served.
	Unbuilt(err error)
	// StackSaved is called when the stack file was saved, of which nothing is used before
	// the next run. It is not called again before it returns.
	StackSaved()
	// Failed is called with what went wrong with one function while others go on.
	Failed(err *pipeline.FunctionError)
	// Lost is called when a function that served is started again after a pause, since it could
	// not be reached any more.
	Lost(function string, err error, pause time.Duration)
	// Refused is called when a function names a callback that it does not reach.
	Refused(function, host string, port int)
	// DebuggerEnded is called when a function's debugger takes nobody any more while the
	// function goes on.
	DebuggerEnded(function string)
	// Kept is called with a call of the gateway's that was given up, and is a dead letter.
	Kept(call gateway.Call)
	// Unfinished is called at the end with the number of calls that were not done, and are
	// dead letters.
	Unfinished(calls int)
}

// Functions are what is served.
type Functions struct {
	p   *pipeline.Pipeline
	o   Options
	obs Observer
	all []*served

	front *front // nil where there is no gateway

	stackSaved   <-chan struct{} // has a value when the stack file was saved; nil where nobody watches
	unwatchStack func()
}

// Listen takes a local port for each job's function. Close must be called unless there is
// an error, which leaves nothing open.
func Listen(ctx context.Context, p *pipeline.Pipeline, jobs []*pipeline.Job, o Options, obs Observer) (*Functions, error) {
	f := &Functions{p: p, o: o, obs: obs}
	for i, j := range jobs {
		port := o.Port
		if port != 0 {
			port += i
		}
		s, err := listen(ctx, j, port)
		if err != nil {
			f.Close(ctx)
			return nil, j.Failed(err)
		}
		f.all = append(f.all, s)
		if o.Watch == nil {
			continue
		}
		if s.saved, s.unwatch, err = o.Watch(p.Sources(j.Function)); err != nil { // before the first build, so that no save is missed
			f.Close(ctx)
			return nil, j.Failed(err)
		}
	}
	if o.Watch != nil {
		if err := f.watchStack(); err != nil {
			f.Close(ctx)
			return nil, err
		}
	}
	if o.Gateway != nil {
		if err := f.openFront(ctx); err != nil {
			f.Close(ctx)
			return nil, err
		}
	}
	if o.Debug != nil {
		if err := f.openDebuggers(ctx); err != nil {
			f.Close(ctx)
			return nil, err
		}
	}
	return f, nil
}

// GatewayURL is where the gateway is; "" where there is none.
func (f *Functions) GatewayURL() string {
	if f.front == nil {
		return ""
	}
	return "http://" + f.front.listener.Addr().String()
}

// Build makes what is to be served. Its error is for [Functions.Serve].
func (f *Functions) Build(ctx context.Context) error {
	var jobs []*pipeline.Job
	for _, s := range f.all {
		jobs = append(jobs, s.job)
	}
	return pipeline.Each(ctx, jobs, max(f.o.Parallel, 1), func(ctx context.Context, _ int, j *pipeline.Job) error {
		return f.p.Make(ctx, j, f.o.Container)
	})
}

// Serve starts what was built, and lasts until it is interrupted or nothing
// runs any more.
func (f *Functions) Serve(ctx context.Context, built error) error {
	all, failed := &pipeline.RunError{All: len(f.all)}, map[string]bool{}
	if run, ok := errors.AsType[*pipeline.RunError](built); ok {
		all.Failed = run.Failed
		for _, one := range run.Failed {
			failed[one.Name] = true
		}
	} else if built != nil {
		return built
	}
	if len(failed) == len(f.all) && f.o.Watch == nil {
		return built
	}
	if built != nil {
		f.obs.Unbuilt(built)
	}
	if path, err := f.o.Socket(f.all[0].job.Function.Name); err == nil {
		sweep(ctx, path)
	}
	telling, stop := context.WithCancel(ctx)
	defer stop()
	go f.tellSaves(telling)
	var running sync.WaitGroup
	errs := make([]error, len(f.all))
	for i, s := range f.all {
		running.Go(func() { errs[i] = f.serve(ctx, s, failed[s.job.Function.Name]) })
	}
	running.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for i, s := range f.all {
		if errs[i] != nil {
			all.Failed = append(all.Failed, s.job.Failed(errs[i]))
		}
	}
	if len(all.Failed) == 0 {
		return nil
	}
	return all
}

// serve lasts as long as one function does.
func (f *Functions) serve(ctx context.Context, s *served, failed bool) (err error) {
	if !failed {
		err = f.begin(ctx, s)
	}
	s.starts(false)
	if failed && f.o.Watch == nil {
		return nil
	}
	switch {
	case ctx.Err() != nil:
	case f.o.Watch != nil:
		if err != nil {
			f.obs.Failed(s.job.Failed(err))
		}
		err = f.follow(ctx, s)
	case err == nil:
		for err == nil && ctx.Err() == nil {
			err = f.revive(ctx, s, f.outlive(ctx, s))
		}
	}
	if err != nil && ctx.Err() == nil && len(f.all) > 1 {
		f.obs.Failed(s.job.Failed(err))
	}
	return err
}

// begin starts a function for the first time and says where it is.
func (f *Functions) begin(ctx context.Context, s *served) error {
	f.obs.Begins(s.job.Function)
	if err := f.start(ctx, s); err != nil {
		return err
	}
	return f.announce(ctx, s)
}

// announce opens the port and says where it is.
func (f *Functions) announce(ctx context.Context, s *served) error {
	socket, err := f.o.Socket(s.job.Function.Name)
	if err == nil {
		err = s.open(ctx, socket)
	}
	if err != nil {
		return pipeline.While("running", err)
	}
	s.announced = true
	return f.obs.Serves(s.job.Function.Name, s.address())
}

// start builds a function, runs it, and when it is ready lets it serve.
func (f *Functions) start(ctx context.Context, s *served) error {
	c, err := f.p.Start(ctx, s.job, f.o.Container, f.obs.Logs)
	if err != nil {
		return err
	}
	back := f.lead(ctx, s, c.Container)
	if err := c.Ready(ctx, f.ready(s)); err != nil {
		c.Close()
		back()
		return err
	}
	if s.debug != nil {
		s.debug.Listens()
	}
	s.since = time.Now()
	if old := s.swap(&instance{Container: c.Container, replaced: make(chan struct{})}); old != nil {
		go old.retire(ctx)
	}
	return nil
}

// outlive waits for a function to end, which it should not.
func (f *Functions) outlive(ctx context.Context, s *served) error {
	in, done, err := s.take()
	if err != nil {
		return err
	}
	done()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-in.replaced:
		return nil
	case <-in.Gone():
	}
	code, err := in.Wait(ctx)
	if err == nil {
		err = &containers.ExitError{Code: code, Log: in.Tail()}
	}
	s.starts(is[*containers.TunnelError](err)) // requests wait for another
	s.swap(nil)
	return pipeline.While("running", err)
}

// revive starts a function again that has ended since it could not be reached any more, which it
// has not done itself. It returns err of another one.
func (f *Functions) revive(ctx context.Context, s *served, err error) error {
	broke, ok := errors.AsType[*containers.TunnelError](err)
	if !ok {
		return err
	}
	defer s.starts(false)
	pause := s.pauses.After(time.Since(s.since))
	f.obs.Lost(s.job.Function.Name, broke, pause)
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pause):
	}
	return f.start(ctx, s)
}

func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// Close stops everything that runs.
func (f *Functions) Close(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*stopGrace)
	defer cancel()
	if f.front != nil {
		if kept := f.front.close(); kept > 0 {
			f.obs.Unfinished(kept)
		}
	}
	if f.unwatchStack != nil {
		f.unwatchStack()
	}
	var wg sync.WaitGroup
	for _, s := range f.all {
		wg.Go(func() { s.close(ctx) })
	}
	wg.Wait()
}

// follow builds a function anew whenever something it is made of is saved.
func (f *Functions) follow(ctx context.Context, s *served) error {
	for {
		gone := goneOf(s)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-gone:
			err := f.revive(ctx, s, f.outlive(ctx, s))
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case is[*builder.UnreachableError](err):
				return err
			case err != nil:
				f.obs.Failed(s.job.Failed(err))
			}
			continue
		case <-s.saved:
		}
		began := time.Now()
		s.starts(true)
		f.p.ForgetTemplates()
		err := f.start(ctx, s)
		s.starts(false)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			f.obs.Failed(s.job.Failed(err))
			continue
		}
		if err := f.p.WriteLock(); err != nil { // of base images that were not there before
			f.obs.Failed(s.job.Failed(pipeline.While("running", err)))
		}
		if s.announced {
			f.obs.Again(s.job.Function.Name, time.Since(began))
		} else if err := f.announce(ctx, s); err != nil {
			return err
		}
	}
}

// goneOf is closed when the container that serves is gone; nil when none does.
func goneOf(s *served) <-chan struct{} {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.now == nil {
		return nil
	}
	return s.now.Gone()
}
