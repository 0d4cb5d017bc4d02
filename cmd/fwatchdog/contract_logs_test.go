package main

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

func TestContractLogPrefix(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server")...).serving()
	d.do(http.MethodPost, "/say", "a line of the function's")
	if !d.logged("stdout: a line of the function's") {
		t.Error("no line with its stream")
	}
	d.get("/log/10")
	if !d.logged("stderr: xxxxxxxxxx") {
		t.Error("no line of standard error")
	}
	if strings.Contains(d.errs.String(), "a line of the function's") || strings.Contains(d.out.String(), "xxxxxxxxxx") {
		t.Error("the streams are mixed up")
	}
	stamp := regexp.MustCompile(`(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d stdout: a line of the function's$`)
	if !stamp.MatchString(d.out.String()) {
		t.Errorf("stdout %q has no date and time", d.out.String())
	}
}

func TestContractNoLogPrefix(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server", "prefix_logs=false")...).serving()
	d.do(http.MethodPost, "/say", "plain line")
	if !eventually(3e9, func() bool { return strings.Contains("\n"+d.out.String(), "\nplain line\n") }) {
		t.Errorf("stdout %q", d.out.String())
	}
}

func TestContractAccessLog(t *testing.T) {
	parallel(t)
	d := launch(t, fn(t, "server", "log_callid=true")...).serving()
	d.get("/?q=1", "X-Call-Id: id-7")
	if !d.logged("[id-7]") {
		t.Error("no line of the request")
	}
	stamp := regexp.MustCompile(`(?m)^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d GET /\?q=1 - 200 OK - ContentLength: 12B \(\d+\.\d{4}s\) \[id-7\]$`)
	if !stamp.MatchString(d.errs.String()) {
		t.Errorf("stderr %q has no line of the request in its form", d.errs.String())
	}
	d.get("/probed", "User-Agent: kube-probe/1.30")
	d.get("/after")
	if !d.logged("GET /after ") || strings.Contains(d.errs.String(), "/probed") {
		t.Error("the probe is logged")
	}
	d.get("/_/health")
	if strings.Contains(d.errs.String(), "/_/health") {
		t.Error("health is logged")
	}
}

func TestCallIDByTheManualsName(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server", "log_call_id=true")...).serving()
	d.get("/", "X-Call-Id: id-8")
	if !d.logged("[id-8]") {
		t.Error("log_call_id does nothing")
	}
}

func TestLongLogLines(t *testing.T) {
	ours(t)
	for _, more := range []string{"prefix_logs=true", "prefix_logs=false", "log_format=json", "log_buffer_size=-1", "log_buffer_size=100"} {
		t.Run(more, func(t *testing.T) {
			t.Parallel()
			d := launch(t, fn(t, "server", more)...).serving()
			for range 3 {
				d.get("/log/300000").wantStatus(t, http.StatusOK)
			}
			if !eventually(5e9, func() bool { return strings.Count(d.errs.String(), "x") >= 900000 }) {
				t.Errorf("%d bytes of the long lines arrived, want 900000", strings.Count(d.errs.String(), "x"))
			}
			if !eventually(3e9, func() bool { return strings.Count(d.out.String(), "after the long line") == 3 }) {
				t.Error("the log ended with the long line")
			}
		})
	}
}

func TestForkLongLogLines(t *testing.T) {
	ours(t)
	d := launch(t, `fprocess=sh -c "head -c 300000 /dev/zero | tr '\\0' x >&2; echo done"`, "mode=serializing").serving()
	if r := d.get("/"); r.body != "done\n" {
		t.Errorf("body %q", r.body)
	}
	if !eventually(3e9, func() bool { return strings.Count(d.errs.String(), "x") >= 300000 }) {
		t.Errorf("%d bytes of the long line arrived", strings.Count(d.errs.String(), "x"))
	}
}

func TestJSONLogs(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server", "log_format=json", "OPENFAAS_NAME=hello")...).serving()
	d.do(http.MethodPost, "/say", `say "this"`)
	d.do(http.MethodPost, "/say", `{"level":"warn","msg":"own"}`)
	d.get("/status/500", "X-Call-Id: id-9", "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	d.logged("id-9")
	lines := strings.Split(strings.TrimSpace(d.errs.String()+d.out.String()), "\n")
	var request, said, own map[string]any
	for _, line := range lines {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%q is not JSON: %v", line, err)
			continue
		}
		switch {
		case entry["call_id"] == "id-9":
			request = entry
		case entry["msg"] == `say "this"`:
			said = entry
		case entry["msg"] == "own":
			own = entry
		}
	}
	if request["status"] != 500.0 || request["path"] != "/status/500" || request["function"] != "hello" || request["level"] != "ERROR" ||
		request["trace_id"] != "4bf92f3577b34da6a3ce929d0e0e4736" {
		t.Errorf("the request's line: %v", request)
	}
	if said["stream"] != "stdout" || said["function"] != "hello" || said["time"] == nil {
		t.Errorf("the function's line: %v", said)
	}
	if own["level"] != "warn" || own["stream"] != nil {
		t.Errorf("the function's own JSON line: %v", own)
	}
}

// TestRequestsCannotForgeTheLog sends text that would begin a line, drive a terminal or fill a disk.
func TestRequestsCannotForgeTheLog(t *testing.T) {
	ours(t)
	g := newGateway(t)
	g.rotate(t, "k1")
	for _, format := range []string{"text", "json"} {
		d := withToken(t, g, "jwt_auth_debug=1", "log_call_id=1", "log_format="+format)
		d.get("/a%0a2026/11/28%2020:15:03%20POST%20/forged%20-%20200%20OK%1b%5b2J").wantStatus(t, http.StatusUnauthorized)
		long := strings.Repeat("x", 200_000)
		d.raw("GET /\xc2\x9b31m\xff HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Call-Id: i\xc2\x9b\t]\r\nUser-Agent: \xc2\x9b\r\nTraceparent: \xc2\x9b\r\n\r\n")
		d.raw("GET /" + long + " HTTP/1.1\r\nHost: h\r\nConnection: close\r\nUser-Agent: " + long + "\r\nX-Call-Id: " + long + "\r\nTraceparent: " + long + "\r\n\r\n")
		d.raw(strings.Repeat("M", 200_000) + " / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		if !d.logged("MMMM") {
			t.Fatalf("the requests are not in the log: %.500q", d.errs.String())
		}
		for line := range strings.Lines(d.errs.String()) {
			if strings.Contains(line, "POST /forged") || strings.HasPrefix(line, "2026/11/28 20:15:03") || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\t\u009b") || strings.Contains(line, "\xff") {
				t.Errorf("%s: a request wrote %.300q", format, line)
			}
			if len(line) > 6*longestText {
				t.Errorf("%s: a request wrote a line of %d bytes", format, len(line))
			}
		}
	}
}
