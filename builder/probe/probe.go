// Package probe runs the contract test of a function's image: what a platform
// expects of every function, whatever its handler does. [Run] starts the image and
// returns what it found, check by check.
package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"fnb/builder"
	"fnb/builder/containers"
	"fnb/internal/plain"
	"fnb/schema"
	"fnb/schema/words"
)

// The checks, in their order.
const (
	Health   = "health"   // it listens, and says that it is healthy
	Ready    = "ready"    // it says that it takes requests
	Request  = "request"  // it answers a request
	Examples = "examples" // it answers the examples of its function.yml as they say
	NonRoot  = "non-root" // it does not run as root
	LogLine  = "log line" // a line of 70 KB reaches the log whole, and the function still answers
	Drain    = "drain"    // after SIGTERM the request under way is answered, and the process ends well
)

// The results of a check.
const (
	Passed  = "passed"
	Failed  = "failed"
	Skipped = "skipped"
	Warning = "warning" // what the image's own watchdog cannot do, whatever the function does
)

// A Check is the result of one check.
type Check struct {
	As      string  `json:"as,omitempty"` // the platform under whose rules it was made
	Name    string  `json:"check"`
	Status  string  `json:"status"` // passed, failed, skipped or warning
	Detail  string  `json:"detail,omitempty"`
	Seconds float64 `json:"seconds"`
}

// Options say what a function is asked, and how long it may take.
type Options struct {
	Request  schema.Example // of the request check, and of those that need one
	Exact    bool           // the answer must be as Request says; else any status under 500 will do
	Listen   time.Duration  // to become healthy; 0 is 30 seconds
	Drain    time.Duration  // from SIGTERM to the end; 0 is 20 seconds
	Skip     []string       // checks that are left out, of [Optional]
	Watchdog string         // what the image's watchdog is called, where it is not fnb's; "" is its own

	Examples []schema.Example // without any, there is no such check

	// As are the platforms under whose rules the checks are made, one after the other; without
	// any they are made once, under those of the builder.
	As []Platform
	// Function is the stack's. Refused says what of it a platform does not take; nil is not known.
	Function schema.Function
	Refused  func(Asked) error
}

// Asked is a function as a platform is asked to take it.
type Asked struct {
	Platform string // whose manifests, as schema/deploy calls it
	Function schema.Function
	Env      map[string]string // that it is given

	User    string   // the image's
	Environ []string // the image's
}

// Title names a check, and the platform that it is of.
func (c Check) Title() string {
	if c.As == "" {
		return c.Name
	}
	return c.As + ": " + c.Name
}

// Optional are the checks that can be left out.
func Optional() []string { return []string{Ready, Request, Examples, NonRoot, LogLine, Drain} }

// logLine is how long the line of the log check is: longer than what readers of
// lines often hold, which is 64 KiB.
const logLine = 70 << 10

// Run starts the image of req, twice, and makes every check. The error is only
// that of a container that could not be started at all: one of [containers.Run].
// Everything else is a check that failed.
func Run(ctx context.Context, c *builder.Client, req containers.Request, o Options) ([]Check, error) {
	o.Listen = cmp.Or(o.Listen, 30*time.Second)
	o.Drain = cmp.Or(o.Drain, 20*time.Second)
	if len(o.As) > 0 {
		var checks []Check
		for _, as := range o.As {
			more, err := runAs(ctx, c, req, o, as)
			if err != nil {
				return nil, err
			}
			checks = append(checks, more...)
		}
		return checks, nil
	}
	r, err := containers.Run(ctx, c, req)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	p := &prober{client: c, req: req, o: o, r: r}
	p.check(Health, func() error { return r.Ready(ctx, o.Listen) })
	if p.failed == 0 {
		p.check(Ready, func() error { return p.ready(ctx) })
		p.check(Request, func() error { return p.request(ctx) })
		if len(o.Examples) > 0 {
			p.check(Examples, func() error { return p.examples(ctx) })
		}
	}
	p.check(NonRoot, func() error { return p.nonRoot(ctx) })
	if p.checks[0].Status == Passed {
		p.check(LogLine, func() error { return p.logLine(ctx) })
		p.check(Drain, func() error { return p.drain(ctx) })
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return p.checks, nil
}

// OK reports whether no check failed.
func OK(checks []Check) bool {
	for _, c := range checks {
		if c.Status == Failed {
			return false
		}
	}
	return true
}

// A prober makes the checks of one image.
type prober struct {
	client *builder.Client
	req    containers.Request
	o      Options
	r      *containers.Container
	status int // of the answer to the request

	transport http.RoundTripper // in place of the container's; nil is that
	checks    []Check
	failed    int
}

// errSkip says why a check does not apply.
type errSkip string

func (e errSkip) Error() string { return string(e) }

func (p *prober) close() {
	if p.r != nil {
		p.r.Close()
	}
}

// way is how requests reach the function.
func (p *prober) way(r *containers.Container) http.RoundTripper {
	if p.transport != nil {
		return p.transport
	}
	return r.Transport()
}

func (p *prober) check(name string, do func() error) {
	began := time.Now()
	var err error = errSkip("left out")
	if !slices.Contains(p.o.Skip, name) {
		err = do()
	}
	c := Check{Name: name, Status: Passed, Seconds: time.Since(began).Seconds()}
	var skip errSkip
	switch {
	case err != nil && (name == Ready || name == LogLine) && !errors.As(err, &skip) && p.r.Watchdog() != words.WatchdogDefault:
		c.Status, c.Detail = Warning, fmt.Sprintf("%s, the image's watchdog, cannot do this: %s", cmp.Or(p.o.Watchdog, "fwatchdog"), explain(err))
	case errors.As(err, &skip):
		c.Status, c.Detail = Skipped, string(skip)
	case err != nil:
		c.Status, c.Detail = Failed, explain(err)
		p.failed++
	}
	p.checks = append(p.checks, c)
}

// explain is an error with the end of the container's log.
func explain(err error) string {
	var log []string
	var ee *containers.ExitError
	var ne *containers.NotListeningError
	var re *requestError
	switch {
	case errors.As(err, &ee):
		log = ee.Log
	case errors.As(err, &ne):
		log = ne.Log
	case errors.As(err, &re):
		log = re.lines
	}
	if len(log) == 0 {
		return err.Error()
	}
	return err.Error() + "\n" + strings.Join(log, "\n")
}

const noWatchdog = errSkip("the image has no watchdog")

func (p *prober) ready(ctx context.Context) error {
	if !p.r.HasWatchdog() {
		return noWatchdog
	}
	status, _, err := p.send(ctx, p.r, schema.Example{Method: http.MethodGet, Path: "/_/ready"})
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("/_/ready answers %d", status)
	}
	return err
}

// A requestError says why the answer to the test request is not what it must be.
type requestError struct {
	err   error
	lines []string // what was sent, what came back, and the log
}

func (e *requestError) Error() string { return e.err.Error() }
func (e *requestError) Unwrap() error { return e.err }

// request sends the test request.
func (p *prober) request(ctx context.Context) error {
	before := p.r.Tail()
	status, answer, err := p.send(ctx, p.r, p.o.Request)
	lines := []string{"sent: " + Describe(p.o.Request)}
	if err == nil {
		p.status = status
		lines = append(lines, fmt.Sprintf("came back: %d %.400q", status, answer))
		if err = p.judge(status, answer); err == nil && answer == "" {
			err = p.emptyAnswer(ctx)
		}
	}
	if err == nil {
		return nil
	}
	for _, line := range p.newLog(ctx, before) {
		lines = append(lines, "log: "+line)
	}
	return &requestError{err, lines}
}

// judge says what is wrong with the answer to the test request.
func (p *prober) judge(status int, answer string) error {
	want := p.o.Request
	switch {
	case p.o.Exact && want.Status != 0 && status != want.Status:
		return fmt.Errorf("it answers %d, and must answer %d", status, want.Status)
	case p.o.Exact && want.Status == 0 && status >= http.StatusBadRequest:
		return fmt.Errorf("it answers %d, and must answer with a status under 400", status)
	case !p.o.Exact && status >= http.StatusInternalServerError:
		return fmt.Errorf("it answers %d, and must answer with a status under 500", status)
	case p.o.Exact && !strings.Contains(answer, want.Contains):
		return fmt.Errorf("the answer has no %q in it: %.200q", want.Contains, answer)
	}
	return nil
}

// emptyAnswer finds out whether a process for each request that wrote no answer has failed. The mode streaming answers 200 also then,
// since a status goes out before what becomes of the process is known. The mode serializing knows it.
func (p *prober) emptyAnswer(ctx context.Context) error {
	if !p.r.HasWatchdog() || p.r.Mode() != words.ModeStreaming || p.o.Exact && p.o.Request.Status != 0 {
		return nil
	}
	r, err := containers.Run(ctx, p.client, p.with("mode", words.ModeSerializing))
	if err != nil {
		return err
	}
	defer r.Close()
	if err := r.Ready(ctx, p.o.Listen); err != nil {
		return err
	}
	status, why, err := Caller{Transport: r.Transport(), Patience: p.o.Listen}.Send(ctx, p.o.Request)
	if err == nil && status >= http.StatusInternalServerError {
		err = fmt.Errorf("the answer is empty, and its process fails: %s", plain.Short(why))
	}
	return err
}

// with is what is run, with a variable of its environment set.
func (p *prober) with(name, value string) containers.Request {
	req := p.req
	req.Env = maps.Clone(req.Env)
	if req.Env == nil {
		req.Env = map[string]string{}
	}
	req.Env[name] = value
	return req
}

// examples sends the function's examples, one after the other.
func (p *prober) examples(ctx context.Context) error {
	results, failed := Caller{Transport: p.way(p.r), UserAgent: "fnb"}.RunExamples(ctx, p.o.Examples)
	if failed == 0 {
		return ctx.Err()
	}
	text := fmt.Sprintf("%d of %d examples failed", failed, len(results))
	for i, r := range results {
		if r.Problem != "" {
			text += "\n" + cmp.Or(r.Example.Title, fmt.Sprintf("example %d", i+1)) + ": " + r.Problem
		}
	}
	return errors.New(text)
}

// How long the log of a request may take to arrive, and how long nothing must come for it
// to be whole.
const (
	logPatience = 2 * time.Second
	logPause    = 100 * time.Millisecond
)

// newLog are the lines that the container has written since before: a log comes later
// than the answer.
func (p *prober) newLog(ctx context.Context, before []string) []string {
	now := p.r.Tail()
	for end := time.Now().Add(logPatience); ctx.Err() == nil && time.Now().Before(end); {
		time.Sleep(logPause)
		last := now
		if now = p.r.Tail(); slices.Equal(now, last) && !slices.Equal(now, before) {
			break
		}
	}
	if n := len(before); n < len(now) && slices.Equal(now[:n], before) {
		return now[n:]
	}
	return now
}

// send sends an example to a container of the function.
func (p *prober) send(ctx context.Context, r *containers.Container, e schema.Example) (status int, answer string, err error) {
	return Caller{Transport: p.way(r), Patience: p.o.Listen}.Send(ctx, e)
}

// nonRoot looks at the image's user, and where that is a name at what it means.
func (p *prober) nonRoot(ctx context.Context) error {
	user, _, _ := strings.Cut(p.r.Config().User, ":")
	root := fmt.Errorf("it runs as root: the image's user is %q", p.r.Config().User)
	if user == "" || strings.Trim(user, "0") == "" {
		return root
	}
	if strings.Trim(user, "0123456789") == "" {
		return nil
	}
	passwd, err := p.r.ReadFile(ctx, "/etc/passwd")
	if err != nil {
		return fmt.Errorf("looking up the user %s: %w", user, err)
	}
	for line := range strings.Lines(string(passwd)) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[0] == user {
			if strings.Trim(f[2], "0") == "" {
				return root
			}
			return nil
		}
	}
	return fmt.Errorf("/etc/passwd has no user %s", user)
}
