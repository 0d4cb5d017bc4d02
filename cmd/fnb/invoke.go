package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"fnb/builder"
	"fnb/internal/plain"
	"fnb/schema"
)

type invokeOptions struct {
	containerOptions
	data    string
	hasData bool
	method  string
	headers []string
	path    string
	include bool
}

func newInvoke(g *globals) *cobra.Command {
	o := &invokeOptions{}
	cmd := &cobra.Command{
		Use:   "invoke [FUNCTION]",
		Short: "send a function one request",
		Long: `Invoke sends one request to a function and prints the body of the answer. The request goes to the fnb run of the same function where there is one; else the function is built where that is needed and run in the builder for as long as the answer takes.

It is a GET, or with --data a POST. As with curl, -d @FILE sends a file and -d - or -d @- standard input. The exit code is 1 where the answer's status is 400 or more. FUNCTION may be left out where the stack has only one.`,
		Example:           "  # say hi\n  fnb invoke hello -d hi\n\n  # a file, with a header, and what comes back with its headers\n  fnb invoke resize -d @cat.png -H 'Content-Type: image/png' -i --path '/?width=80'",
		Args:              oneFunction,
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.hasData = cmd.Flags().Changed("data")
			if err := o.parse(cmd.CommandPath()); err != nil {
				return err
			}
			return g.runInvoke(cmd.Context(), o, args)
		},
	}
	o.addFlags(cmd.Flags())
	f := cmd.Flags()
	f.StringVarP(&o.data, "data", "d", "", "send `DATA`, @FILE or - for standard input")
	f.StringVarP(&o.method, "request", "X", "", "use the `METHOD` instead of GET or POST")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "send the header `NAME: VALUE` (repeatable)")
	f.StringVar(&o.path, "path", "/", "ask for `PATH`, with a query where there is one")
	f.BoolVarP(&o.include, "include", "i", false, "print status and headers too")
	return cmd
}

// A statusError is an answer whose status says that something went wrong.
type statusError struct{ status string }

func (e *statusError) Error() string { return "it answered " + e.status }

func (g *globals) runInvoke(ctx context.Context, o *invokeOptions, names []string) error {
	stack, err := g.readStack()
	if err != nil {
		return err
	}
	fns, err := choose(stack, names, choice{})
	if err != nil {
		return err
	}
	if len(fns) > 1 {
		return usagef("fnb invoke", "%s has %d functions; name one", relative(stack.File), len(fns))
	}
	fn := fns[0]
	req, err := g.invocation(ctx, o)
	if err != nil {
		return err
	}
	defer req.Body.Close()
	if rt := runningFunction(ctx, stack.File, fn.Name); rt != nil {
		return wrapFunction(stack, fn, g.exchange(o, rt, req))
	}
	p, jobs, err := g.containers(ctx, &o.containerOptions, []string{fn.Name})
	if err != nil {
		return err
	}
	defer p.close()
	p.unfold = g.ci.quote(g.err)
	var mu sync.Mutex
	err = each(ctx, jobs, 1, func(ctx context.Context, j *job) error { return g.invokeOnce(ctx, p, j, o, req, &mu) })
	if lerr := p.writeLock(); lerr != nil {
		err = errors.Join(err, lerr)
	}
	return err
}

func wrapFunction(stack *schema.Stack, fn schema.Function, err error) error {
	if err == nil {
		return nil
	}
	return &functionError{name: fn.Name, place: placeOf(stack, fn), err: err}
}

// slowBuild is how long a build goes on before there is a word about it.
const slowBuild = 2 * time.Second

// invokeOnce runs a function for one request.
func (g *globals) invokeOnce(ctx context.Context, p *pipeline, j *job, o *invokeOptions, hr *http.Request, mu *sync.Mutex) error {
	req, _, err := p.container(ctx, j, &o.containerOptions)
	if err != nil {
		return err
	}
	if prefix := j.fn.Name + " | "; !g.quiet {
		req.Stdout, req.Stderr = plain.NewWriter(mu, g.err, prefix), plain.NewWriter(mu, g.err, prefix)
	}
	g.noteSecrets(mu, j.fn, &o.containerOptions)
	word := time.AfterFunc(slowBuild, func() {
		if !g.quiet {
			g.say(mu, j.fn.Name, "building")
		}
	})
	r, err := p.machine.Run(ctx, req)
	word.Stop()
	if err != nil {
		return err
	}
	defer r.Close()
	j.doing = "running"
	if err := r.Ready(ctx, o.timeout); err != nil {
		if g.quiet { // nothing of its log has been shown
			for _, line := range r.Tail() {
				fmt.Fprintf(g.err, "%s | %s\n", j.fn.Name, plain.Line(line))
			}
		}
		return err
	}
	return g.exchange(o, r.Transport(), hr)
}

// invocation is the request that the flags describe.
func (g *globals) invocation(ctx context.Context, o *invokeOptions) (*http.Request, error) {
	var body io.ReadCloser = http.NoBody
	length := int64(0)
	switch file, isFile := strings.CutPrefix(o.data, "@"); {
	case !o.hasData:
	case o.data == "-" || o.data == "@-":
		body, length = io.NopCloser(g.in), -1
	case isFile:
		f, err := os.Open(file)
		if err != nil {
			return nil, usagef("fnb invoke", "--data: %w", err)
		}
		body, length = f, -1
		if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
			length = info.Size()
		}
	default:
		body, length = io.NopCloser(strings.NewReader(o.data)), int64(len(o.data))
	}
	method := o.method
	if method == "" {
		method = http.MethodGet
		if o.hasData {
			method = http.MethodPost
		}
	}
	path := o.path
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://function"+path, body)
	if err != nil {
		return nil, usagef("fnb invoke", "%w", err)
	}
	req.ContentLength = length
	req.Header.Set("User-Agent", "fnb/"+fnbVersion())
	if o.hasData {
		req.Header.Set("Content-Type", "text/plain")
	}
	for _, h := range o.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, usagef("fnb invoke", "--header %q: it has to be NAME: VALUE", h)
		}
		if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name == "Host" {
			req.Host = strings.TrimSpace(value)
		} else if name == "Content-Type" || name == "User-Agent" {
			req.Header.Set(name, strings.TrimSpace(value))
		} else {
			req.Header.Add(name, strings.TrimSpace(value))
		}
	}
	return req, nil
}

// runningFunction reaches the fnb run of a function; nil where there is none.
func runningFunction(ctx context.Context, stackFile, name string) http.RoundTripper {
	path, err := functionSocket(stackFile, name)
	if err != nil {
		return nil
	}
	// Nobody else can have put anything into a folder that only its owner enters.
	if info, err := os.Lstat(filepath.Dir(path)); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 || !builder.OwnFile(info) {
		return nil
	}
	if builder.CheckSocketFolder(filepath.Dir(path)) != nil {
		return nil
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", path)
	if err != nil {
		return nil
	}
	return &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		DisableKeepAlives: true, DisableCompression: true,
	}
}

// exchange sends the request and prints the answer.
func (g *globals) exchange(o *invokeOptions, rt http.RoundTripper, req *http.Request) error {
	res, err := rt.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("sending the request: %w", err)
	}
	defer res.Body.Close()
	if o.include {
		fmt.Fprintf(g.out, "%s %s\r\n", res.Proto, res.Status)
		var names []string
		for name := range res.Header {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			for _, value := range res.Header[name] {
				fmt.Fprintf(g.out, "%s: %s\r\n", name, value)
			}
		}
		fmt.Fprint(g.out, "\r\n")
	}
	if _, err := io.Copy(g.out, res.Body); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	if res.StatusCode >= http.StatusBadRequest {
		return &statusError{res.Status}
	}
	return nil
}
