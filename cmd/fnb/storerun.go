package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"fnb/builder"
	"fnb/packaging"
	"fnb/registry"
	"fnb/schema"
)

const (
	readyPatience   = time.Minute      // for a function to answer at all
	examplePatience = 30 * time.Second // for one answer
	maxAnswer       = 8 << 20          // bytes of an answer that are compared or shown
)

// A publishedFunction is a function of the store that is to be run in the builder.
type publishedFunction struct {
	name     string
	image    string // with its digest
	platform schema.Platform
	run      *schema.RecordRun
	secrets  map[string][]byte
	registry *registry.Client
}

// startPublished runs the function's image in the builder and waits until it takes
// requests. It has to be closed.
func (g *globals) startPublished(ctx context.Context, client *builder.Client, f publishedFunction) (*builder.Running, error) {
	wd, err := packaging.Watchdog()
	if err != nil {
		return nil, err
	}
	progress, err := builder.NewProgress(g.err, g.progress, false)
	if err != nil {
		return nil, usagef("fnb store", "%w", err)
	}
	defer progress.Close()
	cfg, err := readConfig()
	if err != nil {
		return nil, err
	}
	var shared sync.Mutex
	req := builder.RunRequest{
		Name: f.name, Image: f.image, Platform: f.platform, Env: map[string]string{}, Secrets: f.secrets, Stdout: g.functionLog(&shared), Stderr: g.functionLog(&shared),
		Tunnel: builder.Watchdog{Layout: wd.FS, Manifests: wd.Manifests}, Progress: progress, Credentials: f.registry.Credentials,
		Registries: mirrorsOf(cfg),
	}
	if f.run != nil {
		maps.Copy(req.Env, f.run.Environment)
		if f.run.FProcess != "" {
			req.Env["fprocess"] = f.run.FProcess
		}
	}
	running, err := client.Run(ctx, req)
	if err != nil {
		return nil, err
	}
	if err := running.Ready(ctx, readyPatience); err != nil {
		running.Close()
		return nil, fmt.Errorf("starting it: %w", err)
	}
	return running, nil
}

// An exampleResult is what became of one example.
type exampleResult struct {
	Example schema.Example `json:"example"`
	Status  int            `json:"status,omitempty"`
	Answer  string         `json:"answer,omitempty"`
	Seconds float64        `json:"seconds"`
	Problem string         `json:"problem,omitempty"` // why the answer is not what it should be
}

// callExample sends an example's request and compares the answer.
func callExample(ctx context.Context, rt http.RoundTripper, e schema.Example) exampleResult {
	out := exampleResult{Example: e}
	start := time.Now()
	status, answer, err := send(ctx, rt, e)
	out.Status, out.Answer, out.Seconds = status, answer, time.Since(start).Seconds()
	want := e.Status
	if want == 0 {
		want = http.StatusOK
	}
	trim := func(s string) string { return strings.TrimRight(s, "\r\n") }
	switch {
	case err != nil:
		out.Problem = err.Error()
	case status != want:
		out.Problem = fmt.Sprintf("the status is %d, and should be %d: %s", status, want, short(answer))
	case e.Equals != "" && trim(answer) != trim(e.Equals):
		out.Problem = fmt.Sprintf("the answer is %s, and should be %s", short(answer), short(e.Equals))
	case !strings.Contains(answer, e.Contains):
		out.Problem = fmt.Sprintf("the answer %s does not contain %s", short(answer), short(e.Contains))
	}
	return out
}

// send sends one request to a function.
func send(ctx context.Context, rt http.RoundTripper, e schema.Example) (status int, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, examplePatience)
	defer cancel()
	method, path := e.Method, e.Path
	if method == "" {
		method = http.MethodPost
	}
	if path == "" {
		path = "/"
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://function"+path, strings.NewReader(e.Body))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("User-Agent", "fnb/"+fnbVersion())
	if e.Body != "" {
		req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	for _, k := range slices.Sorted(maps.Keys(e.Headers)) {
		req.Header.Set(k, e.Headers[k])
	}
	res, err := rt.RoundTrip(req)
	if err != nil {
		return 0, "", fmt.Errorf("sending the request: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return res.StatusCode, string(body), err
}

// runExamples sends all examples, one after the other.
func runExamples(ctx context.Context, rt http.RoundTripper, examples []schema.Example) (results []exampleResult, failed int) {
	for _, e := range examples {
		if ctx.Err() != nil {
			break
		}
		r := callExample(ctx, rt, e)
		if r.Problem != "" {
			failed++
		}
		results = append(results, r)
	}
	return results, failed
}

// choosePlatform is the platform of the image that the builder runs: its own where
// the image is for it, else one that it emulates.
func choosePlatform(ctx context.Context, client *builder.Client, has []string) (schema.Platform, error) {
	own, err := client.DefaultPlatform(ctx)
	if err != nil || slices.Contains(has, own.String()) {
		return own, err
	}
	for _, name := range has {
		p, err := schema.ParsePlatform(name)
		if err != nil {
			return own, err
		}
		if ok, _, err := client.Runs(ctx, p); err != nil || ok {
			return p, err
		}
	}
	return own, hint(&registry.PlatformError{Reference: "the image", Want: own, Have: has}, emulateHint(has[0]), "or use a builder of "+has[0]+" with: --builder ADDRESS")
}
