package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// forking are the variables of a function that runs anew for each request.
func forking(t *testing.T, mode, kind string, more ...string) []string {
	t.Helper()
	return append([]string{"fprocess=" + self(t), functionVariable + "=" + kind, "mode=" + mode, "healthcheck_interval=1ms"}, more...)
}

func TestContractForkModes(t *testing.T) {
	parallel(t)
	for _, mode := range []string{modeStreaming, modeSerializing} {
		t.Run(mode, func(t *testing.T) {
			d := launch(t, forking(t, mode, "cat")...).serving()
			r := d.do(http.MethodPost, "/", "in and out", "Content-Type: text/x-own") // which is the request's
			r.wantStatus(t, http.StatusOK)
			if r.body != "in and out" || r.Header.Get("Content-Type") != "application/octet-stream" || r.Header.Get("X-Duration-Seconds") == "" {
				t.Errorf("body %q, headers %v", r.body, r.Header)
			}
			big := strings.Repeat("0123456789abcdef", 200<<10/16)
			if r := d.do(http.MethodPost, "/", big); r.body != big {
				t.Errorf("a body of 200 KiB came back with %d bytes", len(r.body))
			}
			if r := d.do("PURGE", "/", "any method"); r.body != "any method" {
				t.Errorf("body %q", r.body)
			}
			if r := d.get("/"); r.body != "" {
				t.Errorf("no body came back as %q", r.body)
			}
		})
	}
}

func TestContractStreamingIsTheDefault(t *testing.T) {
	parallel(t)
	d := launch(t, "fprocess=cat", "healthcheck_interval=1ms").serving()
	if r := d.do(http.MethodPost, "/", "x"); r.body != "x" {
		t.Errorf("body %q", r.body)
	}
}

func TestContractForkContentType(t *testing.T) {
	parallel(t)
	for _, mode := range []string{modeStreaming, modeSerializing} {
		d := launch(t, forking(t, mode, "cat", "content_type=text/csv")...).serving()
		if got := d.do(http.MethodPost, "/", "a,b").Header.Get("Content-Type"); got != "text/csv" {
			t.Errorf("%s: Content-Type %q", mode, got)
		}
	}
}

func TestContractForkEnvironment(t *testing.T) {
	parallel(t)
	d := launch(t, forking(t, modeStreaming, "env", "OWN=value")...).serving()
	r := d.do(http.MethodPost, "/some/path?q=1&r=2", "body", "X-Custom-Header: first", "X-Custom-Header: second",
		"Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	environment := strings.Split(r.body, "\n")
	for _, want := range []string{
		"Http_X_Custom_Header=first", "Http_Method=POST", "Http_Query=q=1&r=2", "Http_Path=/some/path", "OWN=value",
		"Http_Traceparent=00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
	} {
		if !contains(environment, want) {
			t.Errorf("no %s", want)
		}
	}
	answer := d.raw("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\na\r\n0\r\n\r\n")
	if !strings.Contains(answer, "Http_Transfer_Encoding=chunked") {
		t.Error("no Http_Transfer_Encoding")
	}
}

func contains(list []string, want string) bool {
	for _, s := range list {
		if s == want {
			return true
		}
	}
	return false
}

func TestContractForkFailure(t *testing.T) {
	parallel(t)
	d := launch(t, forking(t, modeStreaming, "fail")...).serving()
	r := d.get("/")
	r.wantStatus(t, http.StatusOK)
	if r.body != "partial" {
		t.Errorf("body %q", r.body)
	}
	if !d.logged("something broke") {
		t.Error("standard error is not in the log")
	}
	d = launch(t, forking(t, modeSerializing, "fail")...).serving()
	r = d.do(http.MethodPost, "/", "x")
	r.wantStatus(t, http.StatusInternalServerError)
	if !strings.Contains(r.body, "exit status 3") {
		t.Errorf("body %q does not say how the process ended", r.body)
	}
}

func TestContractForkTimeout(t *testing.T) {
	parallel(t)
	for _, mode := range []string{modeStreaming, modeSerializing} {
		d := launch(t, forking(t, mode, "hang", "exec_timeout=300ms")...).serving()
		start := time.Now()
		answer, err := plainClient().Get(d.url)
		if err == nil {
			_, _ = io.Copy(io.Discard, answer.Body) // how it ends is the next test's
			_ = answer.Body.Close()                 // it was only read
		}
		if took := time.Since(start); took < 250*time.Millisecond || took > 5*time.Second {
			t.Errorf("%s: it took %v, want exec_timeout", mode, took)
		}
	}
}

func TestForkTimeoutIsSeen(t *testing.T) {
	ours(t)
	d := launch(t, forking(t, modeSerializing, "hang", "exec_timeout=200ms")...).serving()
	d.get("/").wantStatus(t, http.StatusGatewayTimeout)
	// The streaming answer has begun when the time is up: it is cut off, not ended.
	d = launch(t, forking(t, modeStreaming, "hang", "exec_timeout=4s", "write_timeout=30s")...).serving()
	answer, err := plainClient().Get(d.url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	if body, err := io.ReadAll(answer.Body); err == nil {
		t.Errorf("half an answer, %q, looks whole", body)
	}
}

func TestForkTraceContext(t *testing.T) {
	ours(t)
	const parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	d := launch(t, forking(t, modeStreaming, "env")...).serving()
	environment := strings.Split(d.get("/", "Traceparent: "+parent, "Tracestate: k=v").body, "\n")
	for _, want := range []string{"TRACEPARENT=" + parent, "TRACESTATE=k=v"} {
		if !contains(environment, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestForkTimeoutKillsDescendants(t *testing.T) {
	ours(t)
	d := launch(t, forking(t, modeSerializing, "hangfamily", "exec_timeout=300ms")...).serving()
	d.get("/").wantStatus(t, http.StatusGatewayTimeout)
	if !d.logged("child ") {
		t.Fatal("the process did not start its child")
	}
	_, after, _ := strings.Cut(d.errs.String(), "child ")
	pid, _, _ := strings.Cut(after, "\n")
	if !eventually(3*time.Second, func() bool { return !running(pid) }) {
		t.Errorf("process %s outlives the request", pid)
	}
}

func TestForkStreamsAsItComes(t *testing.T) {
	ours(t)
	d := launch(t, forking(t, modeStreaming, "drip")...).serving()
	answer, err := plainClient().Get(d.url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	buf := make([]byte, 100)
	n, err := answer.Body.Read(buf)
	if err != nil || string(buf[:n]) != "drop 0\n" {
		t.Errorf("first read: %q, %v; want the first line alone", buf[:n], err)
	}
}

func TestForkDoesNotWaitForUnreadInput(t *testing.T) {
	ours(t)
	d := launch(t, forking(t, modeStreaming, "sink")...).serving()
	if r := d.do(http.MethodPost, "/", strings.Repeat("x", 1<<20)); r.body != "done" {
		t.Errorf("body %q", r.body)
	}
}

func TestForkQuotedCommand(t *testing.T) {
	ours(t)
	d := launch(t, "fprocess="+self(t)+` "two words" 'single  quoted' plain\ escaped ""`, functionVariable+"=args", "mode=streaming").serving()
	if got, want := strings.TrimSpace(d.get("/").body), `["two words","single  quoted","plain escaped",""]`; got != want {
		t.Errorf("arguments %s, want %s", got, want)
	}
	d = launch(t, `fprocess=sh -c "echo hi | tr a-z A-Z"`).serving()
	if got := d.get("/").body; got != "HI\n" {
		t.Errorf("body %q", got)
	}
}

func TestForkHeadersDoNotMaskTheRequest(t *testing.T) {
	ours(t)
	d := launch(t, forking(t, modeStreaming, "env")...).serving()
	r := d.get("/real", "Method: FORGED", "Path: /forged", "Query: forged")
	if strings.Contains(strings.ToLower(r.body), "forged") || !strings.Contains(r.body, "Http_Path=/real") {
		t.Errorf("environment:\n%s", r.body)
	}
}

// The variables of a process name the proxy of its HTTP clients, and Python's and Perl's read those names in upper and lower case.
func TestForkHeadersNameNoProxy(t *testing.T) {
	ours(t)
	for _, mode := range []string{modeStreaming, modeSerializing} {
		d := launch(t, forking(t, mode, "env")...).serving()
		r := d.get("/", "Proxy: http://evil.example", "pROXY: http://evil.example", "Http-Proxy: http://kept.example")
		if strings.Contains(r.body, "evil.example") || !strings.Contains(r.body, "Http_Http_Proxy=http://kept.example") {
			t.Errorf("%s: environment:\n%s", mode, r.body)
		}
	}
}

func TestContractStatic(t *testing.T) {
	parallel(t)
	dir := t.TempDir()
	writeFile(t, dir, "index.html", "<p>index</p>")
	writeFile(t, dir, "a.txt", "file")
	d := launch(t, "mode=static", "static_path="+dir, "healthcheck_interval=1ms").serving()
	if r := d.get("/"); r.StatusCode != 200 || r.body != "<p>index</p>" || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/html") {
		t.Errorf("%d %q %v", r.StatusCode, r.body, r.Header)
	}
	if r := d.get("/a.txt"); r.StatusCode != 200 || r.body != "file" || r.Header.Get("Content-Length") != "4" {
		t.Errorf("%d %q %v", r.StatusCode, r.body, r.Header)
	}
	if r := d.get("/a.txt", "Range: bytes=1-2"); r.StatusCode != 206 || r.body != "il" {
		t.Errorf("%d %q", r.StatusCode, r.body)
	}
	if err := os.Mkdir(filepath.Join(dir, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	writeFile(t, dir, "folder/listed.txt", "file")
	if r := d.get("/folder/"); r.StatusCode != 200 || !strings.Contains(r.body, "listed.txt") {
		t.Errorf("a folder: %d %q", r.StatusCode, r.body)
	}
	d.get("/missing").wantStatus(t, http.StatusNotFound)
	d.get("/../../../etc/passwd").wantStatus(t, http.StatusNotFound)
	if n, _ := d.metric(`http_requests_total{code="200",method="get"}`); n != 3 {
		t.Errorf("http_requests_total: %v, want 3", n)
	}
}

func TestForkConcurrently(t *testing.T) {
	ours(t)
	d := launch(t, forking(t, modeSerializing, "cat")...).serving()
	errs := make(chan error, 20)
	for i := range cap(errs) {
		go func() {
			body := fmt.Sprintf("request %d", i)
			r, err := plainClient().Post(d.url, "text/plain", strings.NewReader(body))
			if err == nil {
				var got []byte
				got, err = io.ReadAll(r.Body)
				_ = r.Body.Close() // it was only read
				if err == nil && string(got) != body {
					err = fmt.Errorf("%q came back as %q", body, got)
				}
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestForkOutputOfDescendants(t *testing.T) {
	ours(t)
	for _, mode := range []string{modeStreaming, modeSerializing} {
		d := launch(t, `fprocess=sh -c "echo one; (sleep 0.05; echo two) &"`, "mode="+mode).serving()
		if got := d.get("/").body; got != "one\ntwo\n" {
			t.Errorf("%s: body %q, want what a process left running has written as well", mode, got)
		}
		d = launch(t, `fprocess=sh -c "echo one; sleep 60 >&- &"`, "mode="+mode).serving()
		start := time.Now()
		if got := d.get("/").body; got != "one\n" || time.Since(start) > 5*time.Second {
			t.Errorf("%s: body %q after %v: a process that is left running keeps the log, and with it the answer", mode, got, time.Since(start))
		}
	}
}

func TestForkEndsBySignal(t *testing.T) {
	ours(t)
	for _, pause := range []string{"", "sleep 0.05;"} { // ended while its thread waits, and later
		d := launch(t, `fprocess=sh -c "`+pause+` kill -9 $$"`, "mode=serializing").serving()
		r := d.get("/")
		r.wantStatus(t, http.StatusInternalServerError)
		if r.body != "signal: killed" {
			t.Errorf("body %q does not say how the process ended", r.body)
		}
	}
}

// TestInterpreterIsNotThere: a script written on Windows is there, and its interpreter is not.
func TestInterpreterIsNotThere(t *testing.T) {
	ours(t)
	script := filepath.Join(t.TempDir(), "run.sh")
	if err := os.WriteFile(script, []byte("#!/bin/sh\r\necho hi\r\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	d := launch(t, "fprocess="+script, "healthcheck_interval=1ms").serving()
	if got := d.get("/"); got.StatusCode != http.StatusInternalServerError {
		t.Errorf("%d", got.StatusCode)
	}
	if why := script + ": the interpreter that its first line names is not there"; !eventually(5*time.Second, func() bool { return strings.Contains(d.errs.String(), why) }) {
		t.Errorf("the log is %q", d.errs.String())
	}
}
