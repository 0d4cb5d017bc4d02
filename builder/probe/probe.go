// Package probe runs the contract test of a function's image: what a platform
// expects of every function, whatever its handler does.
package probe

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"fnb/builder"
)

// The checks, in their order.
const (
	Health  = "health"   // it listens, and says that it is healthy
	Ready   = "ready"    // it says that it takes requests
	Request = "request"  // it answers a request
	NonRoot = "non-root" // it does not run as root
	LogLine = "log line" // a line of 70 KB reaches the log whole, and the function still answers
	Drain   = "drain"    // after SIGTERM the request under way is answered, and the process ends well
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
	Name    string  `json:"check"`
	Status  string  `json:"status"` // passed, failed, skipped or warning
	Detail  string  `json:"detail,omitempty"`
	Seconds float64 `json:"seconds"`
}

// A Starter starts containers: a [builder.Client].
type Starter interface {
	Run(ctx context.Context, r builder.RunRequest) (*builder.Running, error)
}

// Options say what a function is asked, and how long it may take.
type Options struct {
	Body     string        // of the request
	Contains string        // what the answer has to contain; "" is anything
	Listen   time.Duration // to become healthy; 0 is 30 seconds
	Drain    time.Duration // from SIGTERM to the end; 0 is 20 seconds
	Skip     []string      // checks that are left out, of [Optional]
	Watchdog string        // what the image's watchdog is called, where it is not fnb's; "" is its own
}

// Optional are the checks that can be left out.
func Optional() []string { return []string{Ready, Request, NonRoot, LogLine, Drain} }

// logLine is how long the line of the log check is: longer than what readers of
// lines often hold, which is 64 KiB.
const logLine = 70 << 10

// Run starts the image of req, twice, and makes every check. The error is only
// that of a container that could not be started at all: one of [builder.Client.Run].
// Everything else is a check that failed.
func Run(ctx context.Context, s Starter, req builder.RunRequest, o Options) ([]Check, error) {
	o.Listen = cmp.Or(o.Listen, 30*time.Second)
	o.Drain = cmp.Or(o.Drain, 20*time.Second)
	r, err := s.Run(ctx, req)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	p := &prober{starter: s, req: req, o: o, r: r}
	p.check(Health, func() error { return r.Ready(ctx, o.Listen) })
	if p.failed == 0 {
		p.check(Ready, func() error { return p.ready(ctx) })
		p.check(Request, func() error { return p.request(ctx, r) })
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
	starter Starter
	req     builder.RunRequest
	o       Options
	r       *builder.Running
	status  int // of the answer to the request
	checks  []Check
	failed  int
}

// errSkip says why a check does not apply.
type errSkip string

func (e errSkip) Error() string { return string(e) }

func (p *prober) check(name string, do func() error) {
	began := time.Now()
	var err error = errSkip("left out")
	if !slices.Contains(p.o.Skip, name) {
		err = do()
	}
	c := Check{Name: name, Status: Passed, Seconds: time.Since(began).Seconds()}
	var skip errSkip
	switch {
	case err != nil && (name == Ready || name == LogLine) && !errors.As(err, &skip) && p.r.Watchdog() != "default":
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
	var ee *builder.ExitError
	var ne *builder.NotListeningError
	switch {
	case errors.As(err, &ee):
		log = ee.Log
	case errors.As(err, &ne):
		log = ne.Log
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
	status, _, err := p.send(ctx, p.r, http.MethodGet, "/_/ready", http.NoBody)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("/_/ready answers %d", status)
	}
	return err
}

// request sends the test request.
func (p *prober) request(ctx context.Context, r *builder.Running) error {
	status, body, err := p.send(ctx, r, http.MethodPost, "/", strings.NewReader(p.o.Body))
	if err != nil {
		return err
	}
	p.status = status
	if status >= http.StatusInternalServerError {
		return fmt.Errorf("it answers %d: %.200q", status, body)
	}
	if !strings.Contains(body, p.o.Contains) {
		return fmt.Errorf("the answer has no %q in it: %.200q", p.o.Contains, body)
	}
	return nil
}

// answerLimit is how much of an answer is read.
const answerLimit = 8 << 20

func (p *prober) send(ctx context.Context, r *builder.Running, method, path string, body io.Reader) (status int, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.o.Listen)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, "http://function"+path, body)
	if err != nil {
		return 0, "", err
	}
	res, err := r.Transport().RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, answerLimit))
	return res.StatusCode, string(raw), err
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
