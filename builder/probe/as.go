package probe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"fnb/builder"
	"fnb/builder/containers"
	"fnb/builder/probe/runtimeapi"
	"fnb/schema"
	"fnb/schema/words"
)

// runAs makes the contract test under the rules of a platform.
func runAs(ctx context.Context, c *builder.Client, req containers.Request, o Options, as Platform) ([]Check, error) {
	given := req.Env
	req.Env = maps.Clone(given)
	if req.Env == nil {
		req.Env = map[string]string{}
	}
	maps.Copy(req.Env, as.env)
	if as.grace != 0 {
		o.Drain = as.grace
	}
	all := req
	all.Env = maps.Clone(req.Env)
	for _, r := range as.rules() {
		r.impose(&all)
	}
	p := &prober{client: c, req: all, o: o}
	defer func() { p.close() }()
	run := p.requests
	if as.events {
		run = p.events
	}
	if err := run(ctx); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	before := &prober{client: c, o: o, r: p.r}
	before.check(Config, func() error {
		if o.Refused == nil {
			return errSkip("the stack is not known")
		}
		image := p.r.Config()
		return o.Refused(Asked{Platform: as.config, Function: o.Function, Env: given, User: image.User, Environ: image.Env})
	})
	for _, r := range as.rules() {
		before.check(r.check, func() error {
			if p.answers() {
				return nil
			}
			return before.alone(ctx, req, r)
		})
		if last := &before.checks[len(before.checks)-1]; last.Status == Passed {
			last.Detail = r.detail
		}
	}
	if as.size != 0 {
		before.check(Size, func() error { return before.size(ctx, req, as.size) })
	}
	checks := append(before.checks, p.checks...)
	for i := range checks {
		checks[i].As = as.Name
	}
	return checks, ctx.Err()
}

// answers reports whether the function does what it is asked under all rules.
func (p *prober) answers() bool {
	return !slices.ContainsFunc(p.checks, func(c Check) bool {
		return c.Status == Failed && slices.Contains([]string{Init, Health, Ready, Request, Examples}, c.Name)
	})
}

// requests makes the checks of a platform that sends requests.
func (p *prober) requests(ctx context.Context) (err error) {
	if p.r, err = containers.Run(ctx, p.client, p.req); err != nil {
		return err
	}
	p.check(Health, func() error { return p.r.Ready(ctx, p.o.Listen) })
	if p.failed > 0 {
		return nil
	}
	p.check(Ready, func() error { return p.ready(ctx) })
	p.check(Request, func() error { return p.request(ctx) })
	if len(p.o.Examples) > 0 {
		p.check(Examples, func() error { return p.examples(ctx) })
	}
	p.check(Addresses, func() error {
		ctx, cancel := context.WithTimeout(ctx, p.o.Listen)
		defer cancel()
		conn, err := p.r.DialOther(ctx)
		if err != nil {
			return fmt.Errorf("it listens at 127.0.0.1 alone, where nothing but itself can reach it: %w", err)
		}
		return conn.Close()
	})
	p.check(LogLine, func() error { return p.logLine(ctx) })
	p.check(Drain, func() error { return p.drain(ctx) })
	if last := &p.checks[len(p.checks)-1]; last.Status == Passed {
		last.Detail = fmt.Sprintf("within %s of SIGTERM", p.o.Drain)
	}
	return nil
}

// alone starts the function under one rule, to see whether it breaks that one.
func (p *prober) alone(ctx context.Context, req containers.Request, r rule) error {
	req.Env = maps.Clone(req.Env)
	r.impose(&req)
	one := &prober{client: p.client, req: req, o: p.o}
	var err error
	if one.r, err = containers.Run(ctx, p.client, req); err != nil {
		return err
	}
	defer one.close()
	if err := one.r.Ready(ctx, p.o.Listen); err != nil {
		return err
	}
	return one.request(ctx)
}

// size compares the image's files with what a platform takes.
func (p *prober) size(ctx context.Context, req containers.Request, most int64) error {
	r, err := containers.Run(ctx, p.client, req)
	if err != nil {
		return err
	}
	defer r.Close()
	size, err := r.Size(ctx)
	if err == nil && size > most {
		err = fmt.Errorf("the image's files have %d MB, and the platform takes %d", size>>20, most>>20)
	}
	return err
}

// Where a function finds the Runtime API.
const (
	apiName = "runtime.lambda.internal"
	apiPort = 9001
)

// withAPI starts the function with a Runtime API, and with more variables.
func (p *prober) withAPI(ctx context.Context, more ...string) (api *runtimeapi.Server, r *containers.Container, err error) {
	req := p.req
	req.Env = maps.Clone(req.Env)
	for i := 0; i+1 < len(more); i += 2 {
		req.Env[more[i]] = more[i+1]
	}
	req.Env["AWS_LAMBDA_RUNTIME_API"] = fmt.Sprintf("%s:%d", apiName, apiPort)
	api = runtimeapi.New(req.Env["AWS_LAMBDA_FUNCTION_NAME"])
	req.Routes = append(slices.Clone(req.Routes), containers.Route{Name: apiName, Port: apiPort, Open: api.Dial})
	if told := req.Unreached; told != nil { // that the API has gone is its own doing
		req.Unreached = func(what containers.Unreached) {
			if what.Name != apiName {
				told(what)
			}
		}
	}
	if r, err = containers.Run(ctx, p.client, req); err != nil {
		api.Close()
	}
	return api, r, err
}

// begins waits until the function asks for its first event.
func (p *prober) begins(ctx context.Context, api *runtimeapi.Server, r *containers.Container) error {
	timer := time.NewTimer(p.o.Listen)
	defer timer.Stop()
	select {
	case <-api.Begun():
		return nil
	case <-api.Failed():
		return &requestError{api.Why(), r.Tail()}
	case <-r.Gone():
		return r.EndedEarly(ctx)
	case <-timer.C:
		return &requestError{fmt.Errorf("it has not asked Lambda's Runtime API for an event after %s", p.o.Listen), r.Tail()}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// events makes the checks of a platform that sends events.
func (p *prober) events(ctx context.Context) (err error) {
	api, r, err := p.withAPI(ctx)
	if err != nil {
		return err
	}
	defer api.Close()
	p.r = r
	p.check(Init, func() error { return p.begins(ctx, api, r) })
	if p.failed > 0 {
		return nil
	}
	p.transport = api.Transport(runtimeapi.FunctionURL)
	p.check(Request, func() error { return p.request(ctx) })
	if len(p.o.Examples) > 0 {
		p.check(Examples, func() error { return p.examples(ctx) })
	}
	p.check(Events, func() error { return p.otherEvents(ctx, api) })
	p.check(Streaming, func() error { return p.streaming(ctx) })
	return nil
}

// otherEvents sends the test request as whatever else invokes functions does.
func (p *prober) otherEvents(ctx context.Context, api *runtimeapi.Server) error {
	if p.status == 0 {
		return errSkip("the request was not answered")
	}
	for _, from := range []runtimeapi.Source{runtimeapi.Gateway, runtimeapi.Balancer} {
		status, _, err := Caller{Transport: api.Transport(from), Patience: p.o.Listen}.Send(ctx, p.o.Request)
		switch {
		case err != nil:
			return fmt.Errorf("from %s: %w", from, err)
		case status != p.status:
			return fmt.Errorf("from %s it answers %d, and %d from %s", from, status, p.status, runtimeapi.FunctionURL)
		}
	}
	// The function may refuse such an event, but it must answer.
	_, _, err := Caller{Transport: api.Transport(runtimeapi.Direct), Patience: p.o.Listen}.Send(ctx, schema.Example{Body: `{"key": "value"}`})
	if failure := (*runtimeapi.Failure)(nil); err != nil && !errors.As(err, &failure) {
		return fmt.Errorf("from %s: %w", runtimeapi.Direct, err)
	}
	return nil
}

// streaming asks the function to answer piece by piece.
func (p *prober) streaming(ctx context.Context) error {
	if p.r.Watchdog() != words.WatchdogDefault {
		return errSkip("the image has not fnb's watchdog")
	}
	api, r, err := p.withAPI(ctx, "lambda_invoke_mode", "response_stream")
	if err != nil {
		return err
	}
	defer api.Close()
	defer r.Close()
	if err := p.begins(ctx, api, r); err != nil {
		return err
	}
	status, _, err := Caller{Transport: api.Transport(runtimeapi.FunctionURL), Patience: p.o.Listen}.Send(ctx, p.o.Request)
	switch {
	case err != nil:
		return err
	case p.status != 0 && status != p.status:
		return fmt.Errorf("it answers %d, and %d in one piece", status, p.status)
	case !api.Streamed():
		return errors.New("the answer came in one piece")
	}
	return nil
}
