package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// toServer sends every request to one server.
type toServer string

func (s toServer) RoundTrip(r *http.Request) (*http.Response, error) {
	r.URL.Host = string(s)
	return http.DefaultTransport.RoundTrip(r)
}

// TestEndlessInput sends what comes over a pipe that nobody closes: an answer that does not wait for its end is printed, and one
// that does is not waited for when the command is interrupted.
func TestEndlessInput(t *testing.T) {
	t.Parallel()
	waiting := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/waits" {
			waiting <- struct{}{}
			_, _ = io.Copy(io.Discard, r.Body) // the test ends it
			return
		}
		_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/1; without it net/http waits for the body's end
		_, _ = io.WriteString(w, "early")
	}))
	defer server.Close()
	for _, path := range []string{"/early", "/waits"} {
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()                    //nolint:errcheck // it stays open until the end
		defer out.Close()                   //nolint:errcheck // the same
		_, _ = io.WriteString(out, "begun") // a pipe has room for it
		answer, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		g := &globals{streams: streams{in: in, out: answer, err: answer}}
		o := &requestFlags{}
		flags := pflag.NewFlagSet("fnb", pflag.ContinueOnError)
		o.addFlags(flags)
		if err := flags.Parse([]string{"-d", "-", "--path", path}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		req, err := o.request(ctx, "fnb invoke", g.in)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- g.exchange(o, toServer(strings.TrimPrefix(server.URL, "http://")), req) }()
		if path == "/waits" {
			<-waiting
			cancel()
		}
		select {
		case err = <-done:
		case <-time.After(time.Minute):
			t.Fatalf("%s: it does not end", path)
		}
		cancel()
		text, rerr := os.ReadFile(answer.Name())
		if rerr != nil {
			t.Fatal(rerr)
		}
		if early := path == "/early"; early && (err != nil || string(text) != "early") || !early && !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v, printed %q", path, err, text)
		}
	}
}
