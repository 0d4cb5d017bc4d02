package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/templates/conformance"
)

// conformanceLives has a function of the conformance table begin and end as the table says.
// Those that hang go on while the caller does something else, which waits for them: they do
// not call t.Parallel, which counts who sleeps as one who works.
func conformanceLives(t *testing.T, l *language, waiting *sync.WaitGroup) {
	t.Helper()
	for _, life := range conformance.Lives() {
		live := func() {
			t.Run(life.Name, func(t *testing.T) {
				if life.Except[l.name] == "" {
					conformanceLife(t, life, l)
				}
			})
		}
		if slices.ContainsFunc(life.Env, func(e string) bool { return strings.HasPrefix(e, "CONF_HANG=") }) {
			waiting.Go(live)
		} else {
			live()
		}
	}
}

func writeConformanceHandler(t *testing.T, template, dir string) {
	t.Helper()
	for _, folder := range conformance.Folders(template) {
		from := filepath.Join("..", "..", "templates", "conformance", "handlers", folder)
		list, err := os.ReadDir(from)
		if err != nil || len(list) == 0 {
			t.Fatalf("the template %s has no handler for the conformance table: %v", template, err)
		}
		err = filepath.WalkDir(from, func(p string, d os.DirEntry, err error) error {
			rel, relErr := filepath.Rel(from, p)
			if err != nil || relErr != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			to := filepath.Join(dir, rel)
			if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
				return err
			}
			return os.WriteFile(to, data, 0o600)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// runConformance starts a function as a user that nobody knows, of group 0, on a read-only root.
func runConformance(t *testing.T, l *language, env ...string) *servers.Container {
	t.Helper()
	return l.run(t, servers.ContainerOptions{User: "54321:0", Env: env})
}

// conformanceCases holds a function to the one table of all languages.
func conformanceCases(t *testing.T, l *language) {
	c := runConformance(t, l)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := c.Await(ctx, "/_/ready", http.StatusOK); err != nil {
		t.Fatalf("%v\n%s", err, c.Log())
	}
	for _, one := range conformance.Cases() {
		t.Run(one.Name, func(t *testing.T) {
			before := len(c.Log())
			defer func() {
				if t.Failed() {
					t.Logf("the log: %s", c.Log()[before:])
				}
			}()
			got, err := converse(t.Context(), c, one.Request)
			if err != nil {
				t.Fatal(err)
			}
			want := one.For(l.name)
			checkAnswer(t, got, want)
			if want.Log != "" {
				fixture.Eventually(t, 2*time.Second, "the log has "+want.Log, func() bool { return strings.Contains(c.Log()[before:], want.Log) })
			}
		})
	}
}

// An answered request.
type answered struct {
	status int
	header http.Header
	body   string
	cut    error
	early  string // what was there of the body a while before its end
}

// converse sends a request byte for byte, on a connection of its own.
func converse(ctx context.Context, c *servers.Container, r conformance.Request) (_ answered, err error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	conn, err := c.Client().Transport.(*http.Transport).DialContext(ctx, "tcp", "127.0.0.1:8080")
	if err != nil {
		return answered{}, err
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetDeadline(deadline); err != nil {
			return answered{}, err
		}
	}
	method, proto := r.Method, r.Proto
	if method == "" {
		method = "GET"
	}
	if proto == "" {
		proto = "HTTP/1.1"
	}
	lines := append([]string{method + " " + r.Target + " " + proto, "Host: function", "Connection: close"}, r.Header...)
	switch {
	case r.Pieces != nil:
		lines = append(lines, "Transfer-Encoding: chunked")
	case r.Body != "":
		lines = append(lines, fmt.Sprint("Content-Length: ", len(r.Body)))
	}
	var seen time.Time
	firstSeen := make(chan struct{})
	sent := make(chan error, 1)
	go func() { sent <- send(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"+r.Body, r, firstSeen) }()
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, &http.Request{Method: method})
	for err == nil && res.StatusCode == http.StatusContinue {
		res, err = http.ReadResponse(in, &http.Request{Method: method})
	}
	if err != nil {
		return answered{}, fmt.Errorf("reading the answer: %w", err)
	}
	got := answered{status: res.StatusCode, header: res.Header}
	var body strings.Builder
	buf := make([]byte, 64<<10)
	for err == nil {
		var n int
		n, err = res.Body.Read(buf)
		if n > 0 && body.Len() == 0 {
			close(firstSeen)
			seen, got.early = time.Now(), string(buf[:n])
		}
		body.Write(buf[:n])
	}
	if !errors.Is(err, io.EOF) {
		got.cut = err
	}
	if got.body = body.String(); time.Since(seen) < 100*time.Millisecond {
		got.early = got.body
	}
	if r.Hold {
		return got, nil // what becomes of the rest is for both sides to decide
	}
	select {
	case err = <-sent:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil && got.status < 400 && got.cut == nil {
		return got, fmt.Errorf("sending: %w", err)
	}
	return got, nil
}

func send(conn net.Conn, text string, r conformance.Request, firstSeen <-chan struct{}) error {
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	for i, piece := range r.Pieces {
		if i > 0 {
			wait := time.After(20 * time.Millisecond)
			if r.Hold {
				wait = time.After(3 * time.Second)
			}
			select {
			case <-wait:
			case <-firstSeen:
				if !r.Hold {
					<-wait
				}
			}
		}
		if _, err := fmt.Fprintf(conn, "%x\r\n%s\r\n", len(piece), piece); err != nil {
			return err
		}
	}
	if r.Pieces != nil {
		_, err := io.WriteString(conn, "0\r\n\r\n")
		return err
	}
	return nil
}

func checkAnswer(t *testing.T, got answered, want conformance.Answer) {
	t.Helper()
	if want.Status == 0 {
		want.Status = http.StatusOK
	}
	if got.status != want.Status {
		t.Errorf("the status is %d, want %d", got.status, want.Status)
	}
	for name, values := range want.Header {
		if !slices.Equal(got.header.Values(name), values) {
			t.Errorf("%s is %q, want %q", name, got.header.Values(name), values)
		}
	}
	if !strings.HasPrefix(got.header.Get("Content-Type"), want.Type) {
		t.Errorf("the type is %q, want %q", got.header.Get("Content-Type"), want.Type)
	}
	if (got.cut != nil) != want.Cut {
		t.Errorf("the end is missing: %v, want %v", got.cut, want.Cut)
	}
	if strings.Contains(got.body, conformance.Secret()) {
		t.Errorf("the answer tells the error: %q", got.body)
	}
	if want.Early != "" && got.early != want.Early {
		t.Errorf("first there is %q, want %q, and the rest a while later", got.early, want.Early)
	}
	switch {
	case want.AnyBody:
	case want.JSON != "":
		var a, b any
		if err := json.Unmarshal([]byte(got.body), &a); err != nil {
			t.Errorf("%v: %.200q", err, got.body)
		}
		if err := json.Unmarshal([]byte(want.JSON), &b); err != nil {
			t.Error(err)
		}
		if !reflect.DeepEqual(a, b) {
			t.Errorf("the body is %.200q, want %s", got.body, want.JSON)
		}
	case want.List != "":
		if strings.ReplaceAll(got.body, ", ", ",") != want.List {
			t.Errorf("the body is %.200q, want %q", got.body, want.List)
		}
	case got.body != want.Body:
		t.Errorf("the body is %.200q (%d), want %.200q (%d)", got.body, len(got.body), want.Body, len(want.Body))
	}
}

// conformanceLife runs one container from its start to its end.
func conformanceLife(t *testing.T, l conformance.Life, made *language) {
	began := time.Now()
	c := runConformance(t, made, l.Env...)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	defer func() {
		if t.Failed() {
			t.Logf("the log: %s", c.Log())
		}
	}()
	switch {
	case l.Ends:
		exit, err := c.Wait(ctx)
		if err != nil || exit.Code != l.Code {
			t.Errorf("it ended with %+v, %v; want code %d", exit, err, l.Code)
		}
	case l.Kills:
		if err := c.Await(ctx, "/_/ready", l.Ready); err != nil {
			t.Error(err)
		}
		fixture.Eventually(t, l.Within, "the log has "+l.Log, func() bool { return strings.Contains(c.Log(), l.Log) })
		if err := c.Await(ctx, "/_/ready", l.Ready); err != nil {
			t.Error(err)
		}
		return
	default:
		readyLife(ctx, t, l, c)
		stopLife(ctx, t, l, c)
	}
	if !strings.Contains(c.Log(), l.Log) {
		t.Errorf("the log has no %q", l.Log)
	}
	t.Logf("it took %s", time.Since(began).Round(time.Millisecond))
}

func readyLife(ctx context.Context, t *testing.T, l conformance.Life, c *servers.Container) {
	t.Helper()
	mark := filepath.Join(c.Root(), "tmp", "not-ready")
	if l.NotReady {
		if err := c.Await(ctx, "/_/ready", http.StatusOK); err != nil {
			t.Error(err)
		}
		if err := os.WriteFile(mark, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	// The server listens; only its ready hook can say no.
	if err := c.Await(ctx, "/async", http.StatusOK); err != nil {
		t.Error(err)
	}
	status := l.Ready
	if status == 0 {
		status = http.StatusOK
	}
	if err := c.Await(ctx, "/_/ready", status); err != nil {
		t.Error(err)
	}
	if l.NotReady {
		if err := os.Remove(mark); err != nil {
			t.Fatal(err)
		}
		if err := c.Await(ctx, "/_/ready", http.StatusOK); err != nil {
			t.Error(err)
		}
	}
}

func stopLife(ctx context.Context, t *testing.T, l conformance.Life, c *servers.Container) {
	t.Helper()
	asked := make(chan error, 1)
	if l.Asks == "" {
		asked <- nil
	} else {
		go func() {
			got, err := converse(ctx, c, conformance.Request{Target: l.Asks})
			if err == nil && (got.status != http.StatusOK || got.body != "slow" || got.cut != nil) {
				err = fmt.Errorf("it was answered with %d %q, %w", got.status, got.body, got.cut)
			}
			asked <- err
		}()
		if err := answering(ctx, c); err != nil {
			t.Error(err)
		}
	}
	exit, err := c.Stop(ctx)
	if err != nil || exit.Code != l.Code || exit.After > l.Within {
		t.Errorf("it ended with %+v, %v; want code %d within %s", exit, err, l.Code, l.Within)
	}
	if err := <-asked; err != nil {
		t.Errorf("the request before the stop: %v", err)
	}
}

// answering waits until the watchdog counts a request that it has not answered.
func answering(ctx context.Context, c *servers.Container) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:8081/metrics", nil)
		if err != nil {
			return err
		}
		res, err := c.Client().Do(req)
		if err != nil {
			return fmt.Errorf("asking for the watchdog's metrics: %w", err)
		}
		text, err := io.ReadAll(res.Body)
		if err := errors.Join(err, res.Body.Close()); err != nil {
			return err
		}
		if strings.Contains(string(text), "\nhttp_requests_in_flight 1\n") {
			return nil
		}
	}
}
