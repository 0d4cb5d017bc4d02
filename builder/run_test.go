package builder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"

	"fnb/internal/servers"
	"fnb/schema"
)

// realWatchdog is the one that make builds.
func realWatchdog(t *testing.T) Watchdog {
	t.Helper()
	w := Watchdog{Layout: os.DirFS("../packaging/watchdog"), Manifests: map[string]string{}}
	var index struct {
		Manifests []struct {
			Digest   string
			Platform struct{ OS, Architecture, Variant string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "../packaging/watchdog/index.json")), &index); err != nil {
		t.Fatal(err)
	}
	for _, m := range index.Manifests {
		p := ociPlatform(schema.Platform{OS: m.Platform.OS, Architecture: m.Platform.Architecture, Variant: m.Platform.Variant})
		w.Manifests[platformString(p)] = m.Digest
	}
	return w
}

// function is a function that runs a shell script for each request.
func function(t *testing.T, script string) RunRequest {
	t.Helper()
	w := realWatchdog(t)
	r := RunRequest{Name: "f", Tunnel: w, Build: &Request{
		Name: "f", Context: files("Dockerfile", small(t)+"COPY f.sh /f.sh\nRUN mkdir -m 1777 /tmp\nWORKDIR /work\nUSER 1000\n", "f.sh", script),
		Watchdog: w, Config: schema.ImageConfig{Entrypoint: []string{watchdogPath}, Env: map[string]string{"fprocess": "sh /f.sh", "mode": "streaming"}},
	}}
	return r
}

// shell is an image whose process is a shell script, without a watchdog.
func shell(t *testing.T, script string) RunRequest {
	t.Helper()
	return RunRequest{Name: "f", Tunnel: realWatchdog(t), Build: &Request{
		Name: "f", Context: files("Dockerfile", small(t)+"COPY f.sh /f.sh\nCMD [\"sh\", \"/f.sh\"]\n", "f.sh", script),
	}}
}

func running(t *testing.T, c *Client, req RunRequest) *Running {
	t.Helper()
	r, err := c.Run(t.Context(), req)
	if err != nil {
		t.Fatalf("%T: %v", err, err)
	}
	t.Cleanup(r.Close)
	return r
}

func ask(ctx context.Context, r *Running, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://f/", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	res, err := r.Transport().RoundTrip(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	return string(answer), err
}

func TestRun(t *testing.T) {
	t.Parallel()
	c := stock(t)
	req := function(t, `cat; echo " $GREETING $(cat /var/openfaas/secrets/token) $(pwd) $(id -u)"; echo a line of the log >&2
`)
	var out, log syncBuffer
	req.Env = map[string]string{"GREETING": "hello"}
	req.Secrets = map[string][]byte{"token": []byte("s3cret-value")}
	req.Stdout, req.Stderr = &out, &log
	r := running(t, c, req)
	if err := r.Ready(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			body := strings.Repeat(fmt.Sprint(i), 10000)
			if got, err := ask(t.Context(), r, body); err != nil || got != body+" hello s3cret-value /work 1000\n" {
				t.Errorf("%v, %.80q", err, strings.TrimPrefix(got, body))
			}
		})
	}
	wg.Wait()
	if r.Port() != 8080 || !r.HasWatchdog() || r.Config().User != "1000" {
		t.Errorf("port %d, %+v", r.Port(), r.Config())
	}
	began := time.Now()
	if code, err := r.Stop(t.Context(), 20*time.Second); code != 0 || err != nil {
		t.Errorf("stopped: %d %v\n%s", code, err, log.String())
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("it took %s to stop", took)
	}
	if n := strings.Count(log.String(), "a line of the log"); n != 20 {
		t.Errorf("%d lines in the log %q", n, log.String())
	}
	if strings.Contains(log.String()+out.String(), "s3cret") {
		t.Error("the secret is in the log")
	}
	if _, err := ask(t.Context(), r, ""); err == nil {
		t.Error("it answers after it was stopped")
	}
	if code, err := r.Wait(t.Context()); code != 0 || err != nil {
		t.Errorf("waited: %d %v", code, err)
	}
}

// The connection that asked for health carries the requests too, whatever host
// they are for: another one costs the builder a process.
func TestRunOneConnection(t *testing.T) {
	t.Parallel()
	r := running(t, stock(t), function(t, "cat\n"))
	if err := r.Ready(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"one", "two"} {
		if got, err := ask(t.Context(), r, body); got != body || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if n := r.tunnels.Load(); n != 1 {
			t.Errorf("%d connections after the request %s", n, body)
		}
	}
}

func TestTransportKeepsHost(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Host) }))
	defer srv.Close()
	dials := 0
	run := &Running{transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dials++
		return (&net.Dialer{}).DialContext(ctx, "tcp", srv.Listener.Addr().String())
	}}}
	defer run.transport.CloseIdleConnections()
	for _, want := range []string{"one.example", "two.example:81", "said.example"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+want+"/", nil)
		if err != nil {
			t.Fatal(err)
		}
		if want == "said.example" {
			req.Host, req.URL.Host = want, "function"
		}
		url := req.URL.String()
		res, err := run.Transport().RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if string(body) != want || err != nil || res.Body.Close() != nil {
			t.Errorf("%s: the server saw %q (%v)", want, body, err)
		}
		if req.URL.String() != url {
			t.Errorf("%s: the request was changed: %s", want, req.URL)
		}
	}
	if dials != 1 {
		t.Errorf("%d connections", dials)
	}
}

// An image of a registry, without any watchdog: it never listens, but its files,
// user and command are its own.
func TestRunImage(t *testing.T) {
	t.Parallel()
	c, ref := stock(t), registryHost(t)+"/run/plain:1"
	res := solve(t, c, Request{
		Name: "plain", Output: Output{Push: []string{ref}},
		Context: files("Dockerfile", small(t)+"ENV WHO=you\nEXPOSE 9000/udp 7000\nCMD [\"sh\", \"-c\", \"echo hello $WHO; exit 7\"]\n"),
	})
	var out syncBuffer
	r := running(t, c, RunRequest{Name: "plain", Image: ref + "@" + res.Digest, Tunnel: realWatchdog(t), Stdout: &out})
	if code, err := r.Wait(t.Context()); code != 7 || err != nil || out.String() != "hello you\n" {
		t.Errorf("%d %v %q", code, err, out.String())
	}
	if r.Port() != 7000 || r.HasWatchdog() {
		t.Errorf("port %d, watchdog %v", r.Port(), r.HasWatchdog())
	}
	if _, err := crane.Digest(ref); err != nil {
		t.Error(err)
	}
	for _, tt := range []struct{ image, want string }{
		{ref, "has to have a digest"},
		{"a b", "image \"a b\""},
		{registryHost(t) + "/run/none@" + res.Digest, "run/none"},
	} {
		if _, err := c.Run(t.Context(), RunRequest{Name: "f", Image: tt.image}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.image, err)
		}
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	c := stock(t)
	t.Run("a step fails", func(t *testing.T) {
		t.Parallel()
		req := function(t, "cat")
		req.Build.Context = files("Dockerfile", small(t)+"RUN echo why; false\n")
		_, err := c.Run(t.Context(), req)
		var se *SolveError
		if !errors.As(err, &se) || !strings.Contains(strings.Join(se.Log, "\n"), "why") {
			t.Errorf("%T %v", err, err)
		}
	})
	t.Run("nothing to run", func(t *testing.T) {
		t.Parallel()
		for _, dockerfile := range []string{"FROM scratch\n", "FROM scratch\nCOPY Dockerfile /\n", "FROM scratch\nCOPY Dockerfile /\nCMD [\"/no/such\"]\n"} {
			req := RunRequest{Name: "f", Build: &Request{Context: files("Dockerfile", dockerfile)}}
			r, err := c.Run(t.Context(), req)
			if err == nil { // the process was started as far as the builder knows
				err = r.Ready(t.Context(), 10*time.Second)
				r.Close()
			}
			t.Logf("%q: %T %v", dockerfile, err, err)
			if err == nil {
				t.Errorf("%q: it runs", dockerfile)
			}
		}
	})
	t.Run("it ends at once", func(t *testing.T) {
		t.Parallel()
		for range 10 { // each time its end meets the connections otherwise
			r := running(t, c, shell(t, "echo no database >&2; exit 3\n"))
			var ee *ExitError
			if err := r.Ready(t.Context(), 20*time.Second); !errors.As(err, &ee) || ee.Code != 3 || strings.Join(ee.Log, "\n") != "no database" {
				t.Errorf("%T %v", err, err)
			}
			if code, err := r.Stop(t.Context(), time.Second); code != 3 && code != 0 && code != UnknownExitCode || err != nil {
				t.Errorf("stopped: %d %v", code, err)
			}
		}
	})
	t.Run("it never listens and ignores SIGTERM", func(t *testing.T) {
		t.Parallel()
		r := running(t, c, shell(t, "trap '' TERM\necho still here\nwhile :; do sleep 1; done\n"))
		eventually(t, 20*time.Second, "it has written", func() bool { return len(r.Tail()) > 0 })
		var ne *NotListeningError
		if err := r.Ready(t.Context(), 700*time.Millisecond); !errors.As(err, &ne) || ne.Port != 8080 || strings.Join(ne.Log, "\n") != "still here" {
			t.Errorf("%T %v", err, err)
		}
		if _, err := ask(t.Context(), r, ""); err == nil || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("a request: %v", err)
		}
		began := time.Now()
		if code, err := r.Stop(t.Context(), 300*time.Millisecond); code != 137 || err != nil {
			t.Errorf("stopped: %d %v", code, err)
		}
		if took := time.Since(began); took > 15*time.Second {
			t.Errorf("it took %s", took)
		}
	})
}

// A function that writes without end holds up neither its answers nor its end.
func TestRunFloods(t *testing.T) {
	t.Parallel()
	c := stock(t)
	req := function(t, "cat")
	req.Build.Context = files("Dockerfile", small(t)+"RUN mkdir /tmp\nCOPY f.sh /f.sh\n", "f.sh",
		"while :; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; done & exec /usr/bin/fwatchdog\n")
	req.Build.Config.Entrypoint, req.Build.Config.Env["fprocess"] = []string{"sh", "/f.sh"}, "cat"
	r := running(t, c, req)
	if err := r.Ready(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	for range 5 {
		if got, err := ask(t.Context(), r, "hi"); got != "hi" || err != nil {
			t.Errorf("%q %v", got, err)
		}
	}
	if n := len(r.Tail()); n != tailLines {
		t.Errorf("%d lines are kept", n)
	}
	began := time.Now()
	if _, err := r.Stop(t.Context(), 2*time.Second); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("it took %s to stop", took)
	}
}

// A reader that does not read holds up nobody else.
func TestRunSlowReader(t *testing.T) {
	t.Parallel()
	c := stock(t)
	r := running(t, c, function(t, "cat"))
	body := strings.Repeat("0123456789abcdef", 8<<16)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://f/", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := r.Transport().RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for range 3 {
		if got, err := ask(t.Context(), r, "hi"); got != "hi" || err != nil {
			t.Errorf("%q %v", got, err)
		}
	}
	if got, err := io.ReadAll(res.Body); err != nil || string(got) != body {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestRunBuilderDies(t *testing.T) {
	t.Parallel()
	d := servers.BuildkitdFor(t, servers.BuildkitdOptions{})
	c := dial(t, Options{Address: d.Address})
	r := running(t, c, function(t, "cat"))
	if err := r.Ready(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(d.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var ue *UnreachableError
	if _, err := r.Wait(ctx); !errors.As(err, &ue) {
		t.Errorf("%T %v", err, err)
	}
	if _, err := ask(ctx, r, ""); err == nil {
		t.Error("it answers")
	}
	if _, err := r.Stop(ctx, time.Second); !errors.As(err, &ue) {
		t.Errorf("stopping: %T %v", err, err)
	}
}

// With a connection that the end of the container cuts off BuildKit may lose the
// exit code; what is said then is no number that looks like one.
func TestRunLosesExitCode(t *testing.T) {
	t.Parallel()
	c := stock(t)
	for range 3 {
		r := running(t, c, function(t, "cat"))
		if err := r.Ready(t.Context(), 20*time.Second); err != nil {
			t.Fatal(err)
		}
		conn, err := r.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		code, err := r.Wait(t.Context())
		if code != UnknownExitCode && code != 137 || err != nil {
			t.Errorf("exit code %d, %v", code, err)
		}
		_ = conn.Close() // it was cut off
	}
	if e := (&ExitError{Code: UnknownExitCode}).Error(); strings.Contains(e, "-1") {
		t.Error(e)
	}
}

// The end of the context ends the making of a container, not the container.
func TestRunContext(t *testing.T) {
	t.Parallel()
	c := stock(t)
	slow := function(t, "cat")
	slow.Build.Context = files("Dockerfile", small(t)+"RUN sleep 600\n")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := c.Run(ctx, slow); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > soon {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	r, err := c.Run(ctx, function(t, "cat"))
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if got, err := ask(t.Context(), r, "hi"); got != "hi" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	r.Close()
	if _, err := r.Wait(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("waited: %v", err)
	}
}

func TestRunRefuses(t *testing.T) {
	t.Parallel()
	c := &Client{}
	for _, req := range []RunRequest{
		{},
		{Build: &Request{}, Image: "x@sha256:" + strings.Repeat("0", 64)},
		{Build: &Request{}},
		{Image: "x@sha256:" + strings.Repeat("0", 64), Secrets: map[string][]byte{"../x": nil}},
		{Image: "x@sha256:" + strings.Repeat("0", 64), Secrets: map[string][]byte{"": nil}},
	} {
		if _, err := c.Run(t.Context(), req); err == nil {
			t.Errorf("%+v was taken", req)
		}
	}
}
