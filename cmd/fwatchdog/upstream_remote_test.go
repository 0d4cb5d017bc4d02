package main

import (
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// tlsFunction is a function behind TLS, for the name example.com; its certificate's file is the second value.
func tlsFunction(t *testing.T) (server *httptest.Server, certificate string) {
	t.Helper()
	server = httptest.NewTLSServer(functionHandler())
	t.Cleanup(server.Close)
	certificate = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(certificate, block, 0o600); err != nil {
		t.Fatal(err)
	}
	return server, certificate
}

// idleProcess are the variables of a function whose process does not matter.
func idleProcess(t *testing.T, more ...string) []string {
	t.Helper()
	return append([]string{"fprocess=" + self(t), functionVariable + "=idle", "mode=http", "healthcheck_interval=0"}, more...)
}

func TestUpstreamOverTLS(t *testing.T) {
	ours(t)
	server, certificate := tlsFunction(t)
	d := launch(t, idleProcess(t, "upstream_url="+server.URL, "SSL_CERT_FILE="+certificate)...).serving()
	for range 3 {
		if s := saw(t, d.do(http.MethodPost, "/see", "b")); s.Body != "b" {
			t.Errorf("the function saw %+v", s)
		}
	}
	d = launch(t, idleProcess(t, "upstream_url="+server.URL, "SSL_CERT_FILE=/dev/null")...).serving()
	d.get("/").wantStatus(t, http.StatusInternalServerError)
}

func TestUpstreamThroughAProxy(t *testing.T) {
	ours(t)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.RequestURI+" "+r.Header.Get("Proxy-Authorization")) // the test sees it
	}))
	t.Cleanup(proxy.Close)
	d := launch(t, idleProcess(t, "upstream_url=http://fn.example/base", "http_proxy=http://u:p@"+proxy.Listener.Addr().String())...).serving()
	if got, want := d.get("/x?y=1").body, "http://fn.example/base/x?y=1 Basic dTpw"; got != want {
		t.Errorf("the proxy got %q, want %q", got, want)
	}
}

func TestUpstreamOverTLSThroughAProxy(t *testing.T) {
	ours(t)
	server, certificate := tlsFunction(t)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Host != "example.com:443" {
			http.Error(w, r.Method+" "+r.Host, http.StatusBadRequest)
			return
		}
		target, err := net.Dial("tcp", server.Listener.Addr().String())
		if err != nil {
			t.Error(err)
			return
		}
		client, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(client, "HTTP/1.1 200 OK\r\n\r\n") // the watchdog complains
		go func() { _, _ = io.Copy(target, client) }()           // either end may end it
		_, _ = io.Copy(client, target)                           // either end may end it
	}))
	t.Cleanup(proxy.Close)
	d := launch(t, idleProcess(t, "upstream_url=https://example.com", "https_proxy="+proxy.URL, "SSL_CERT_FILE="+certificate)...).serving()
	if got := d.get("/").body; got != "Hello, world" {
		t.Errorf("body %q", got)
	}
}

func TestBufferedBodyThatBreaksOff(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server", "buffer_http=true")...).serving()
	got := d.rawConn("POST /count HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhal", true)
	if strings.Contains(got, " 200 ") {
		t.Errorf("got\n%s", got)
	}
}

func TestWithoutRoot(t *testing.T) {
	ours(t)
	if os.Getuid() != 0 {
		t.Skip("only root can become somebody else; everybody else runs all tests without root")
	}
	d := prepare(t, "fprocess=cat", "suppress_lock=true", "healthcheck_interval=0", "TMPDIR=/nonexistent")
	d.cmd.Dir = "/"
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	start(t, d)
	d.serving()
	if got := d.do(http.MethodPost, "/", "x").body; got != "x" {
		t.Errorf("body %q", got)
	}
	d.signal(syscall.SIGTERM)
	if code := d.exit(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
}
