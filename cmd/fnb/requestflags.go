package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/spf13/pflag"
)

// requestFlags describe one request to a function, by the words of curl.
type requestFlags struct {
	data    string
	method  string
	headers []string
	path    string
	include bool
	flags   *pflag.FlagSet
}

func (o *requestFlags) addFlags(f *pflag.FlagSet) {
	o.flags = f
	f.StringVarP(&o.data, "data", "d", "", "send `DATA`, @FILE or - for standard input")
	f.StringVarP(&o.method, "request", "X", "", "use the `METHOD` instead of GET or POST")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "send the header `NAME: VALUE` (repeatable)")
	f.StringVar(&o.path, "path", "/", "ask for `PATH`, which may have a query")
	f.BoolVarP(&o.include, "include", "i", false, "print status and headers too")
}

// given reports whether any of the flags is there.
func (o *requestFlags) given() bool {
	return slices.ContainsFunc([]string{"data", "request", "header", "path", "include"}, o.flags.Changed)
}

// request is the request that the flags of a command describe; - is in. Its body has to be
// closed.
func (o *requestFlags) request(ctx context.Context, command string, in io.Reader) (*http.Request, error) {
	hasData := o.flags.Changed("data")
	var body io.ReadCloser = http.NoBody
	length := int64(0)
	switch file, isFile := strings.CutPrefix(o.data, "@"); {
	case !hasData:
	case o.data == "-" || o.data == "@-":
		body, length = streamed(ctx, func() (io.Reader, error) { return in, nil }), -1
	case isFile:
		info, err := os.Stat(file)
		if err != nil {
			return nil, usagef(command, "--data: %w", err)
		}
		if !info.Mode().IsRegular() {
			body, length = streamed(ctx, func() (io.Reader, error) { return os.Open(file) }), -1
			break
		}
		f, err := os.Open(file)
		if err != nil {
			return nil, usagef(command, "--data: %w", err)
		}
		body, length = f, info.Size()
	default:
		body, length = io.NopCloser(strings.NewReader(o.data)), int64(len(o.data))
	}
	method := o.method
	if method == "" {
		method = http.MethodGet
		if hasData {
			method = http.MethodPost
		}
	}
	path := o.path
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://function"+path, body)
	if err != nil {
		return nil, usagef(command, "%w", err)
	}
	req.ContentLength = length
	req.Header.Set("User-Agent", "fnb/"+fnbVersion())
	if hasData {
		req.Header.Set("Content-Type", "text/plain")
	}
	for _, h := range o.headers {
		name, value, ok := strings.Cut(h, ":")
		if !ok || strings.TrimSpace(name) == "" {
			return nil, usagef(command, "--header %q: it must be NAME: VALUE", h)
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

// streamed is a body that may never end. net/http waits for the reader of a request that was given up, and nothing wakes a
// read of a pipe or a terminal: a goroutine does that reading, and is left to itself when ctx ends or the body is closed.
func streamed(ctx context.Context, open func() (io.Reader, error)) io.ReadCloser {
	out, in := io.Pipe()
	context.AfterFunc(ctx, func() { _ = in.CloseWithError(ctx.Err()) }) // which who reads it is told then; it never fails
	go func() {
		from, err := open()
		if err == nil {
			_, err = io.Copy(in, from)
		}
		_ = in.CloseWithError(err) // nil is the end
	}()
	return out
}

// exchange sends the request and prints the answer.
func (g *globals) exchange(o *requestFlags, rt http.RoundTripper, req *http.Request) error {
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
