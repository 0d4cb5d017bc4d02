package containers_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/containers"
	"fnb/builder/watchdog"
	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema"
)

// function is a function that runs a shell script for each request.
func function(t *testing.T, script string) containers.Request {
	t.Helper()
	w := buildertest.BuiltWatchdog(t)
	r := containers.Request{Name: "f", Tunnel: w, Build: &builder.Request{
		Name: "f", Context: fixture.Files("Dockerfile", buildertest.SmallBase(t)+"COPY f.sh /f.sh\nRUN mkdir -m 1777 /tmp\nWORKDIR /work\nUSER 1000\n", "f.sh", script),
		Watchdog: w, Config: schema.ImageConfig{Entrypoint: []string{watchdog.Path}, Env: map[string]string{"fprocess": "sh /f.sh", "mode": "streaming"}},
	}}
	return r
}

// shell is an image whose process is a shell script, without a watchdog.
func shell(t *testing.T, script string) containers.Request {
	t.Helper()
	return containers.Request{Name: "f", Tunnel: buildertest.BuiltWatchdog(t), Build: &builder.Request{
		Name: "f", Context: fixture.Files("Dockerfile", buildertest.SmallBase(t)+"COPY f.sh /f.sh\nCMD [\"sh\", \"/f.sh\"]\n", "f.sh", script),
	}}
}

func running(t *testing.T, c *builder.Client, req containers.Request) *containers.Container {
	t.Helper()
	r, err := containers.Run(t.Context(), c, req)
	if err != nil {
		t.Fatalf("%T: %v", err, err)
	}
	t.Cleanup(r.Close)
	return r
}

func ask(ctx context.Context, r *containers.Container, body string) (string, error) {
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
	c := buildertest.Stock(t)
	req := function(t, `cat; echo " $GREETING $(cat /var/openfaas/secrets/token) $(pwd) $(id -u)"; echo a line of the log >&2
`)
	var out, log fixture.Buffer
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
	r := running(t, buildertest.Stock(t), function(t, "cat\n"))
	if err := r.Ready(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	for _, body := range []string{"one", "two"} {
		if got, err := ask(t.Context(), r, body); got != body || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if n := r.Tunnels(); n != 1 {
			t.Errorf("%d connections after the request %s", n, body)
		}
	}
}

// An image of a registry, without any watchdog: it never listens, but its files,
// user and command are its own.
func TestRunImage(t *testing.T) {
	t.Parallel()
	c, ref := buildertest.Stock(t), buildertest.RegistryHost(t)+"/run/plain:1"
	res := buildertest.Solve(t, c, builder.Request{
		Name: "plain", Output: builder.Output{Push: []string{ref}},
		Context: fixture.Files("Dockerfile", buildertest.SmallBase(t)+"ENV WHO=you\nEXPOSE 9000/udp 7000\nCMD [\"sh\", \"-c\", \"echo hello $WHO; exit 7\"]\n"),
	})
	var out fixture.Buffer
	r := running(t, c, containers.Request{Name: "plain", Image: ref + "@" + res.Digest, Tunnel: buildertest.BuiltWatchdog(t), Stdout: &out})
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
		{ref, "must have a digest"},
		{"a b", "\"a b\" is not an image reference"},
		{buildertest.RegistryHost(t) + "/run/none@" + res.Digest, "run/none"},
	} {
		if _, err := containers.Run(t.Context(), c, containers.Request{Name: "f", Image: tt.image}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.image, err)
		}
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	t.Run("a step fails", func(t *testing.T) {
		t.Parallel()
		req := function(t, "cat")
		req.Build.Context = fixture.Files("Dockerfile", buildertest.SmallBase(t)+"RUN echo why; false\n")
		_, err := containers.Run(t.Context(), c, req)
		var se *builder.SolveError
		if !errors.As(err, &se) || !strings.Contains(strings.Join(se.Log, "\n"), "why") {
			t.Errorf("%T %v", err, err)
		}
	})
	t.Run("nothing to run", func(t *testing.T) {
		t.Parallel()
		for _, dockerfile := range []string{"FROM scratch\n", "FROM scratch\nCOPY Dockerfile /\n", "FROM scratch\nCOPY Dockerfile /\nCMD [\"/no/such\"]\n"} {
			req := containers.Request{Name: "f", Build: &builder.Request{Context: fixture.Files("Dockerfile", dockerfile)}}
			r, err := containers.Run(t.Context(), c, req)
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
			var ee *containers.ExitError
			if err := r.Ready(t.Context(), 20*time.Second); !errors.As(err, &ee) || ee.Code != 3 || strings.Join(ee.Log, "\n") != "no database" {
				t.Errorf("%T %v", err, err)
			}
			if code, err := r.Stop(t.Context(), time.Second); code != 3 && code != 0 && code != containers.UnknownExitCode || err != nil {
				t.Errorf("stopped: %d %v", code, err)
			}
		}
	})
	t.Run("it never listens and ignores SIGTERM", func(t *testing.T) {
		t.Parallel()
		r := running(t, c, shell(t, "trap '' TERM\necho still here\nwhile :; do sleep 1; done\n"))
		fixture.Eventually(t, 20*time.Second, "it has written", func() bool { return len(r.Tail()) > 0 })
		var ne *containers.NotListeningError
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
	c := buildertest.Stock(t)
	req := function(t, "cat")
	req.Build.Context = fixture.Files("Dockerfile", buildertest.SmallBase(t)+"RUN mkdir /tmp\nCOPY f.sh /f.sh\n", "f.sh",
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
	if n := len(r.Tail()); n != containers.TailLines {
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
	c := buildertest.Stock(t)
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
	c := buildertest.Connect(t, builder.Options{Address: d.Address})
	r := running(t, c, function(t, "cat"))
	if err := r.Ready(t.Context(), 20*time.Second); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(d.Pid(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var ue *builder.UnreachableError
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
	c := buildertest.Stock(t)
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
		if code != containers.UnknownExitCode && code != 137 || err != nil {
			t.Errorf("exit code %d, %v", code, err)
		}
		_ = conn.Close() // it was cut off
	}
	if e := (&containers.ExitError{Code: containers.UnknownExitCode}).Error(); strings.Contains(e, "-1") {
		t.Error(e)
	}
}

// The end of the context ends the making of a container, not the container.
func TestRunContext(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	slow := function(t, "cat")
	slow.Build.Context = fixture.Files("Dockerfile", buildertest.SmallBase(t)+"RUN sleep 600\n")
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began := time.Now()
	if _, err := containers.Run(ctx, c, slow); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > buildertest.Soon {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	ctx, cancel = context.WithCancel(t.Context())
	r, err := containers.Run(ctx, c, function(t, "cat"))
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
	c := &builder.Client{}
	for _, req := range []containers.Request{
		{},
		{Build: &builder.Request{}, Image: "x@sha256:" + strings.Repeat("0", 64)},
		{Build: &builder.Request{}},
		{Image: "x@sha256:" + strings.Repeat("0", 64), Secrets: map[string][]byte{"../x": nil}},
		{Image: "x@sha256:" + strings.Repeat("0", 64), Secrets: map[string][]byte{"": nil}},
	} {
		if _, err := containers.Run(t.Context(), c, req); err == nil {
			t.Errorf("%+v was taken", req)
		}
	}
}

// TestCloseBringsTheLog: what a container had written before it was closed is there when it is gone, however slow who reads it.
func TestCloseBringsTheLog(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	long := fmt.Sprintf("60.%d", time.Now().UnixNano())
	req := shell(t, "echo one; sleep 0.3; echo last; sleep "+long+"\n")
	log := &heldBuffer{begun: make(chan struct{}), release: make(chan struct{})}
	req.Stdout = log
	r := running(t, c, req)
	<-log.begun
	fixture.Eventually(t, time.Minute, "it has written all", func() bool { return runs(t, "sleep\x00"+long) })
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		r.Close()
	}()
	select {
	case <-closed:
	case <-time.After(time.Second):
	}
	close(log.release)
	<-closed
	if got := log.String(); got != "one\nlast\n" {
		t.Errorf("%q", got)
	}
}

// runs reports whether a program runs on this machine, in a container or not, whose command line
// contains a text.
func runs(t *testing.T, text string) bool {
	t.Helper()
	all, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(all, func(file string) bool {
		line, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(line), text)
	})
}

// A heldBuffer takes what is written to it once it is released.
type heldBuffer struct {
	fixture.Buffer
	once           sync.Once
	begun, release chan struct{}
}

func (b *heldBuffer) Write(p []byte) (int, error) {
	b.once.Do(func() { close(b.begun) })
	<-b.release
	return b.Buffer.Write(p)
}
