package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fnb/internal/servers"
)

// functionVariable makes the test binary a function's process: its value says which.
const functionVariable = "FWATCHDOG_TEST_FUNCTION"

// watchdogs is where the tests find the watchdog: FWATCHDOG names any binary, to hold it against the
// contract; without it this folder is built.
type watchdogs struct {
	path    string
	foreign bool
}

var tested watchdogs //nolint:gochecknoglobals // TestMain has no other way to hand it on

func TestMain(m *testing.M) {
	if kind := os.Getenv(functionVariable); kind != "" {
		os.Exit(runFunction(kind, os.Args[1:]))
	}
	os.Exit(buildAndRun(m))
}

func buildAndRun(m *testing.M) int {
	if path := os.Getenv("FWATCHDOG"); path != "" {
		tested.path, tested.foreign = path, true
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "fwatchdog")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)                      //nolint:errcheck // a temporary folder
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // another user runs it
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	tested.path = filepath.Join(dir, "fwatchdog")
	args, cgo := []string{"build", "-o", tested.path, "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w -X main.version=test"}, "0"
	if raceEnabled {
		args, cgo = append(args, "-race"), "1"
	}
	build := exec.Command("go", append(args, ".")...)
	build.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "building the watchdog:", err)
		return 1
	}
	code := m.Run()
	endFunctions()
	return code
}

// endFunctions ends the functions of watchdogs that were killed, which nobody else does.
func endFunctions() {
	own, err := os.Executable()
	if err != nil {
		return
	}
	all, err := filepath.Glob("/proc/[0-9]*/exe")
	if err != nil {
		return
	}
	for _, link := range all {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(link)))
		if program, gone := os.Readlink(link); err != nil || gone != nil || program != own || pid == os.Getpid() {
			continue
		}
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
}

// parallel is t.Parallel, but for a watchdog that has one port for metrics and one lock file.
func parallel(t *testing.T) {
	t.Helper()
	if !tested.foreign {
		t.Parallel()
	}
}

// ours skips a test of what the contract does not ask of other watchdogs.
func ours(t *testing.T) {
	t.Helper()
	if tested.foreign {
		t.Skip("not part of the contract for other watchdogs")
	}
	t.Parallel()
}

// dog is a running watchdog.
type dog struct {
	t       *testing.T
	cmd     *exec.Cmd
	url     string
	address string
	metrics string
	lock    string
	done    chan struct{}
	out     syncBuffer
	errs    syncBuffer
}

// syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// freePort returns a port that nothing listens on, and that no outgoing connection will take.
func freePort(t *testing.T) string {
	t.Helper()
	port, err := servers.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// launch starts the watchdog with variables (NAME=value) beside the ones that every test needs.
func launch(t *testing.T, variables ...string) *dog {
	t.Helper()
	d := prepare(t, variables...)
	start(t, d)
	return d
}

// in is the same watchdog for a subtest.
func (d *dog) in(t *testing.T) *dog {
	return &dog{t: t, cmd: d.cmd, url: d.url, address: d.address, metrics: d.metrics, lock: d.lock, done: d.done}
}

func tail(s string) string {
	return s[max(0, len(s)-4000):]
}

func prepare(t *testing.T, variables ...string) *dog {
	t.Helper()
	port, metrics := freePort(t), "8081"
	if !tested.foreign {
		metrics = freePort(t)
	}
	for _, v := range variables {
		if p, ok := strings.CutPrefix(v, "port="); ok {
			port = p
		}
		if p, ok := strings.CutPrefix(v, "PORT="); ok {
			port = p
		}
		if p, ok := strings.CutPrefix(v, "metrics_port="); ok {
			metrics = p
		}
	}
	temp := t.TempDir()
	d := &dog{
		t: t, address: "127.0.0.1:" + port, url: "http://127.0.0.1:" + port, metrics: "http://127.0.0.1:" + metrics + "/metrics",
		lock: filepath.Join(temp, ".lock"), done: make(chan struct{}),
	}
	d.cmd = exec.Command(tested.path)
	d.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + temp, "port=" + port, "metrics_port=" + metrics}, variables...)
	for i, v := range d.cmd.Env {
		if strings.HasPrefix(v, "PORT=") {
			d.cmd.Env[2] = d.cmd.Env[i]
		}
	}
	d.cmd.Stdout, d.cmd.Stderr = &d.out, &d.errs
	return d
}

// fn returns the variables of an http function that the test binary runs, listening on address.
func fn(t *testing.T, kind string, more ...string) []string {
	t.Helper()
	port := freePort(t)
	return append([]string{
		"fprocess=" + self(t) + " 127.0.0.1:" + port, functionVariable + "=" + kind, "upstream_url=http://127.0.0.1:" + port, "mode=http",
		"healthcheck_interval=1ms",
	}, more...)
}

// before returns the variables of a watchdog before a server of the test's own.
func before(t *testing.T, address string, more ...string) []string {
	t.Helper()
	return append([]string{"fprocess=" + self(t), functionVariable + "=idle", "upstream_url=http://" + address, "mode=http", "healthcheck_interval=1ms"}, more...)
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// serving waits until the watchdog is healthy.
func (d *dog) serving() *dog {
	d.t.Helper()
	if !eventually(10*time.Second, func() bool { return d.status("/_/health") == http.StatusOK }) {
		d.t.Fatalf("the watchdog is not healthy; stderr: %s", d.errs.String())
	}
	return d
}

func eventually(limit time.Duration, ok func() bool) bool {
	for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(3 * time.Millisecond) {
		if ok() {
			return true
		}
	}
	return ok()
}

// status is the status of GET path; 0 where there is none.
func (d *dog) status(path string) int {
	answer, err := plainClient().Get(d.url + path)
	if err != nil {
		return 0
	}
	_ = answer.Body.Close() // only the status is wanted
	return answer.StatusCode
}

// plainClient does nothing to requests and answers on its own.
func plainClient() *http.Client {
	return &http.Client{
		Timeout:       20 * time.Second,
		Transport:     &http.Transport{DisableCompression: true, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// reply is an answer that has been read.
type reply struct {
	*http.Response
	body string
}

// do sends a request, and fails the test if no whole answer comes.
func (d *dog) do(method, path, body string, header ...string) reply {
	d.t.Helper()
	r, err := http.NewRequestWithContext(d.t.Context(), method, d.url+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	for _, h := range header {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
		} else {
			r.Header.Add(name, value)
		}
	}
	answer, err := plainClient().Do(r)
	if err != nil {
		d.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		d.t.Fatalf("%s %s: reading the answer: %v", method, path, err)
	}
	return reply{answer, string(text)}
}

func (d *dog) get(path string, header ...string) reply {
	d.t.Helper()
	return d.do(http.MethodGet, path, "", header...)
}

// wantStatus checks an answer's status.
func (r reply) wantStatus(t *testing.T, status int) {
	t.Helper()
	if r.StatusCode != status {
		t.Errorf("status %d, want %d; body %q", r.StatusCode, status, r.body)
	}
}

// raw sends text over one connection and returns everything that comes back until the connection ends
// or nothing comes for a while.
func (d *dog) raw(text string) string {
	d.t.Helper()
	return d.rawConn(text, false)
}

func (d *dog) rawConn(text string, halfClose bool) string {
	d.t.Helper()
	conn := d.dial()
	if _, err := io.WriteString(conn, text); err != nil {
		d.t.Fatal(err)
	}
	if halfClose {
		closeWrite(conn)
	}
	_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second)) // it is open
	got, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && !errors.Is(err, syscall.ECONNRESET) {
		d.t.Fatal(err)
	}
	return string(got)
}

func (d *dog) dial() *net.TCPConn {
	d.t.Helper()
	conn, err := net.Dial("tcp", d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = conn.Close() }) // the test may have closed it
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		d.t.Fatal("not a TCP connection")
	}
	return tcp
}

// signal sends the watchdog a signal.
func (d *dog) signal(s syscall.Signal) {
	d.t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		d.t.Fatal(err)
	}
}

// exit waits for the watchdog's end and returns its exit code.
func (d *dog) exit() int {
	d.t.Helper()
	select {
	case <-d.done:
		return d.cmd.ProcessState.ExitCode()
	case <-time.After(15 * time.Second):
		d.t.Fatal("the watchdog does not exit")
		return 0
	}
}

// logged waits until stderr and stdout together contain text.
func (d *dog) logged(text string) bool {
	return eventually(3*time.Second, func() bool {
		return strings.Contains(d.errs.String(), text) || strings.Contains(d.out.String(), text)
	})
}

// loggedTimes waits until stderr contains text so many times.
func (d *dog) loggedTimes(text string, times int) bool {
	return eventually(3*time.Second, func() bool { return strings.Count(d.errs.String(), text) == times })
}

// metric returns the value of one series of the metrics, and whether it is there.
func (d *dog) metric(series string) (float64, bool) {
	d.t.Helper()
	answer, err := plainClient().Get(d.metrics)
	if err != nil {
		d.t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), series+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				d.t.Fatal(err)
			}
			return n, true
		}
	}
	return 0, false
}

// once runs the watchdog with arguments until it ends by itself.
func once(t *testing.T, args, variables []string) (code int, stdout, stderr string) {
	t.Helper()
	d := prepare(t, variables...)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, tested.path, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = d.cmd.Env, &d.out, &d.errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	if ctx.Err() != nil {
		t.Fatalf("it does not end; stderr: %s", d.errs.String())
	}
	return cmd.ProcessState.ExitCode(), d.out.String(), d.errs.String()
}
