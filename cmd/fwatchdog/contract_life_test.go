package main

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func writeFile(t *testing.T, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// running reports whether the process exists and has not ended.
func running(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

func TestContractDrain(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server", "healthcheck_interval=600ms")...).serving()
	d.signal(syscall.SIGTERM)
	if !eventually(time.Second, func() bool { return d.status("/_/health") == http.StatusServiceUnavailable }) {
		t.Error("health is not 503 after SIGTERM")
	}
	if _, err := os.Stat(d.lock); !os.IsNotExist(err) {
		t.Errorf("the lock file is still there: %v", err)
	}
	if code := d.exit(); code != 0 && !tested.foreign {
		t.Errorf("exit %d, want 0", code)
	}
}

func TestDrainAnswersRequestsUnderWay(t *testing.T) {
	ours(t)
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		for _, kind := range []string{"server", "stubborn"} {
			t.Run(s.String()+" "+kind, func(t *testing.T) {
				t.Parallel()
				d := launch(t, fn(t, kind, "healthcheck_interval=50ms", "write_timeout=3s", "read_timeout=3s")...).serving()
				done := make(chan int)
				go func() { done <- d.status("/slow/900") }()
				time.Sleep(200 * time.Millisecond)
				d.signal(s)
				time.Sleep(300 * time.Millisecond)
				if strings.Contains(d.errs.String(), "function got SIGTERM") {
					t.Error("the function was told before its request was done")
				}
				if status := <-done; status != http.StatusOK {
					t.Errorf("the request under way: %d, want 200", status)
				}
				if code := d.exit(); code != 0 {
					t.Errorf("exit %d, want 0", code)
				}
				if !strings.Contains(d.errs.String(), "function got SIGTERM") {
					t.Error("the function was not told")
				}
			})
		}
	}
}

func TestDrainServesDuringThePause(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server", "healthcheck_interval=800ms")...).serving()
	d.signal(syscall.SIGTERM)
	time.Sleep(200 * time.Millisecond)
	d.get("/").wantStatus(t, http.StatusOK)
	if code := d.exit(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
}

func TestSecondSignalEndsThePause(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server", "healthcheck_interval=1h")...).serving()
	d.signal(syscall.SIGTERM)
	time.Sleep(100 * time.Millisecond)
	d.signal(syscall.SIGTERM)
	if code := d.exit(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
}

func TestDrainIsBounded(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server", "write_timeout=700ms", "exec_timeout=0", "healthcheck_interval=0")...).serving()
	go d.status("/slow/60000")
	time.Sleep(200 * time.Millisecond)
	start := time.Now()
	d.signal(syscall.SIGTERM)
	if code := d.exit(); code != 0 || time.Since(start) > 5*time.Second {
		t.Errorf("exit %d after %v, want 0 after write_timeout", code, time.Since(start))
	}
}

func TestContractFunctionFails(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server")...).serving()
	d.status("/exit/3")
	if code := d.exit(); code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
}

func TestFunctionExitsWithoutError(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	d.status("/exit/0")
	if code := d.exit(); code == 0 {
		t.Error("exit 0, though the function is gone")
	}
	// before it ever listened
	d = launch(t, "mode=http", "fprocess="+self(t)+" 0", functionVariable+"=exit", "upstream_url=http://127.0.0.1:"+freePort(t))
	if code := d.exit(); code == 0 {
		t.Error("exit 0, though the function never listened")
	}
}

func TestHealthOnlyOnceTheFunctionListens(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "late")...)
	if !eventually(3*time.Second, func() bool { return d.status("/_/health") == http.StatusServiceUnavailable }) {
		t.Fatal("health is not 503 before the function listens")
	}
	start := time.Now()
	d.get("/").wantStatus(t, http.StatusOK) // it waits
	if took := time.Since(start); took < 200*time.Millisecond {
		t.Errorf("the request was answered after %v, before the function can have listened", took)
	}
	d.get("/_/health").wantStatus(t, http.StatusOK)
	d.get("/_/ready").wantStatus(t, http.StatusOK)
}

func TestRequestBeforeTheFunctionListensTimesOut(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "idle", "exec_timeout=300ms")...)
	eventually(3*time.Second, func() bool { return d.status("/_/health") != 0 })
	d.get("/").wantStatus(t, http.StatusGatewayTimeout)
	d.get("/_/health").wantStatus(t, http.StatusServiceUnavailable)
}

func TestReadyAfterAnyServerListens(t *testing.T) {
	ours(t)
	address := "127.0.0.1:" + freePort(t)
	d := launch(t, before(t, address, "suppress_lock=true")...)
	eventually(3*time.Second, func() bool { return d.status("/_/health") == http.StatusServiceUnavailable })
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test is over
	// The target is 10 ms on a quiet machine; the benchmark measures it.
	if !eventually(10*time.Second, func() bool { return d.status("/_/health") == http.StatusOK }) {
		t.Fatal("it is not healthy")
	}
}

func TestBusyPort(t *testing.T) {
	ours(t)
	l, err := net.Listen("tcp", ":"+freePort(t))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close() //nolint:errcheck // the test is over
	_, port, _ := net.SplitHostPort(l.Addr().String())
	for _, name := range []string{"port", "metrics_port"} {
		code, _, errs := once(t, nil, fn(t, "server", name+"="+port))
		if code == 0 || !strings.Contains(errs, name+":") || !strings.Contains(errs, "in use") {
			t.Errorf("%s: exit %d, stderr %q", name, code, errs)
		}
	}
}

func TestUnwritableLock(t *testing.T) {
	ours(t)
	missing := filepath.Join(t.TempDir(), "missing")
	code, _, errs := once(t, nil, fn(t, "server", "TMPDIR="+missing))
	if code == 0 || !strings.Contains(errs, "lock file") || !strings.Contains(errs, "suppress_lock") {
		t.Errorf("exit %d, stderr %q", code, errs)
	}
	d := launch(t, fn(t, "server", "TMPDIR="+missing, "suppress_lock=true")...).serving()
	d.get("/_/ready").wantStatus(t, http.StatusOK)
	healthcheck := prepare(t)
	healthcheck.cmd.Env = d.cmd.Env
	healthcheck.cmd.Args = append(healthcheck.cmd.Args, "--run-healthcheck")
	if err := healthcheck.cmd.Run(); err != nil {
		t.Errorf("--run-healthcheck with suppress_lock: %v: %s", err, healthcheck.errs.String())
	}
}

// TestLockIsNobodyElsesFile puts what an earlier run or somebody else left in the lock file's place.
func TestLockIsNobodyElsesFile(t *testing.T) {
	ours(t)
	victim := filepath.Join(t.TempDir(), "victim")
	writeFile(t, filepath.Dir(victim), "victim", "precious")
	healthcheck := func(t *testing.T, d *dog) error {
		check := prepare(t)
		check.cmd.Env = append(slices.Clone(d.cmd.Env), "port=0", "TMPDIR="+filepath.Dir(d.lock))
		check.cmd.Args = append(check.cmd.Args, "--run-healthcheck")
		return check.cmd.Run()
	}
	for name, leave := range map[string]func(lock string) error{
		"a stale file":    func(lock string) error { return os.WriteFile(lock, []byte("stale"), 0o400) },
		"a link":          func(lock string) error { return os.Symlink(victim, lock) },
		"a hard link":     func(lock string) error { return os.Link(victim, lock) },
		"a dangling link": func(lock string) error { return os.Symlink(victim+".new", lock) },
	} {
		t.Run(name, func(t *testing.T) {
			d := prepare(t, fn(t, "server")...)
			if err := leave(d.lock); err != nil {
				t.Fatal(err)
			}
			start(t, d)
			d.serving()
			if info, err := os.Lstat(d.lock); err != nil || !info.Mode().IsRegular() || info.Size() != 0 {
				t.Errorf("the lock file: %v, %v", info, err)
			}
			if err := healthcheck(t, d); err != nil {
				t.Errorf("--run-healthcheck: %v", err)
			}
			if err := errors.Join(os.Remove(d.lock), os.Symlink(victim, d.lock)); err != nil {
				t.Fatal(err)
			}
			d.get("/_/health").wantStatus(t, http.StatusServiceUnavailable)
			if err := healthcheck(t, d); err == nil {
				t.Error("--run-healthcheck takes a link for the lock file")
			}
			d.signal(syscall.SIGTERM)
			d.exit()
			text, err := os.ReadFile(victim)
			_, made := os.Lstat(victim + ".new")
			if err != nil || string(text) != "precious" || made == nil {
				t.Errorf("the link's file holds %q, %v; the one that was not there: %v", text, err, made)
			}
		})
	}
	d := prepare(t, fn(t, "server")...)
	if err := os.Mkdir(d.lock, 0o755); err != nil { //nolint:gosec // it is empty
		t.Fatal(err)
	}
	start(t, d)
	if code := d.exit(); code != 1 || !strings.Contains(d.errs.String(), "lock file") {
		t.Errorf("a folder in its place: exit %d, stderr %q", code, d.errs.String())
	}
	if _, err := os.Stat(d.lock); err != nil {
		t.Errorf("the folder is gone: %v", err)
	}
}

func TestErrorNamesEveryVariable(t *testing.T) {
	ours(t)
	code, _, errs := once(t, nil, []string{"fprocess=cat", "exec_timeout=soon", "max_inflight=many", "suppress_lock=perhaps"})
	if code != 1 {
		t.Errorf("exit %d, want 1", code)
	}
	for _, name := range []string{"exec_timeout", "max_inflight", "suppress_lock"} {
		if !strings.Contains(errs, name+`: "`) {
			t.Errorf("stderr %q does not name %s", errs, name)
		}
	}
}

func TestPlatformPort(t *testing.T) {
	ours(t)
	upstream := freePort(t)
	d := prepare(t, "fprocess="+self(t)+" 127.0.0.1:"+upstream, functionVariable+"=server", "upstream_url=http://127.0.0.1:"+upstream,
		"PORT="+freePort(t), "K_SERVICE=hello")
	start(t, d)
	d.serving()
	if got := d.get("/environment/PORT").body; got != upstream {
		t.Errorf("the function's PORT is %q, want its own, %s", got, upstream)
	}
	if got := d.get("/environment/healthcheck_interval").body; got != "1ms" {
		t.Errorf("the function's healthcheck_interval is %q", got)
	}
	begun := time.Now()
	d.signal(syscall.SIGTERM)
	if code := d.exit(); code != 0 || time.Since(begun) > 3*time.Second {
		t.Errorf("exit %d after %v, want 0 at once", code, time.Since(begun))
	}
}

// start starts a prepared watchdog.
func start(t *testing.T, d *dog) {
	t.Helper()
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.done)
		_ = d.cmd.Wait() // its state is looked at
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill() // it may have ended
		<-d.done
		log := d.errs.String() + d.out.String()
		for _, sign := range []string{"panic", "DATA RACE", "fatal error"} {
			if at := strings.Index(log, sign); !tested.foreign && at >= 0 {
				t.Errorf("the watchdog's log tells of a failure of its own: %s", log[at:min(len(log), at+4000)])
			}
		}
		if t.Failed() {
			t.Logf("stdout:\n%s\nstderr:\n%s", tail(d.out.String()), tail(d.errs.String()))
		}
	})
}

func TestUnixSocketUpstream(t *testing.T) {
	ours(t)
	socket := filepath.Join(t.TempDir(), "f.sock")
	d := launch(t, "fprocess="+self(t)+" unix:"+socket, functionVariable+"=server", "upstream_url=unix:"+socket, "mode=http",
		"healthcheck_interval=0").serving()
	if s := saw(t, d.do(http.MethodPost, "/see?x=1", "b", "Host: h.example")); s.URI != "/see?x=1" || s.Host != "h.example" || s.Body != "b" {
		t.Errorf("the function saw %+v", s)
	}
}

func TestQueue(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server", "max_inflight=1", "queue_depth=1", "queue_timeout=700ms")...).serving()
	first, second := make(chan int, 1), make(chan int, 1)
	go func() { first <- d.status("/slow/400") }()
	time.Sleep(100 * time.Millisecond)
	go func() { second <- d.status("/slow/1200") }()
	time.Sleep(100 * time.Millisecond)
	d.get("/").wantStatus(t, http.StatusTooManyRequests) // the queue is full
	if a, b := <-first, (<-second); a != 200 || b != 200 {
		t.Errorf("statuses %d and %d, want 200 for both", a, b)
	}
	go d.status("/slow/2000")
	time.Sleep(100 * time.Millisecond)
	begun := time.Now()
	d.get("/").wantStatus(t, http.StatusTooManyRequests) // it waited in vain
	if took := time.Since(begun); took < 600*time.Millisecond {
		t.Errorf("refused after %v, want queue_timeout", took)
	}
}
