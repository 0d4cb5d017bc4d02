package registry

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseReference(t *testing.T) {
	t.Parallel()
	digest := "sha256:" + strings.Repeat("a", 64)
	for in, want := range map[string]string{
		"hello":                           "docker.io/library/hello:latest",
		"acme/hello:1":                    "docker.io/acme/hello:1",
		"docker.io/acme/hello:1":          "docker.io/acme/hello:1",
		"index.docker.io/acme/hello:1":    "docker.io/acme/hello:1",
		"ghcr.io/acme/hello":              "ghcr.io/acme/hello:latest",
		"localhost:5000/hello:1":          "localhost:5000/hello:1",
		"localhost:5000/hello":            "localhost:5000/hello:latest",
		"ghcr.io/acme/hello@" + digest:    "ghcr.io/acme/hello@" + digest,
		"ghcr.io/acme/hello:1@" + digest:  "ghcr.io/acme/hello:1@" + digest,
		"localhost:5000/hello@" + digest:  "localhost:5000/hello@" + digest,
		"[::1]:5000/hello:1":              "[::1]:5000/hello:1",
		"":                                "error",
		"Hello":                           "error",
		"ghcr.io/acme/hello:":             "error",
		"ghcr.io/acme/hello@sha256:short": "error",
		"https://ghcr.io/acme/hello":      "error",
		"ghcr.io/acme/hello:a b":          "error",
		"ghcr.io/acme/../hello":           "error",
		"-x":                              "error",
		"ghcr.io/a\x1bb":                  "error",
	} {
		r, err := parseReference(in)
		got := "error"
		if err == nil {
			got = r.String()
		}
		if got != want {
			t.Errorf("%q is %q (%v), want %q", in, got, err, want)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	for _, s := range []string{"hello", "ghcr.io/a/b:1", "localhost:5000/x@sha256:" + strings.Repeat("0", 64), "a:b@c"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseReference(s)
		if err != nil {
			return
		}
		again, err := parseReference(r.String())
		if err != nil || again.String() != r.String() {
			t.Errorf("%q is %q, which is %q, %v", s, r, again, err)
		}
	})
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 9, 0, 0, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"":                              0,
		"5":                             5 * time.Second,
		" 7 ":                           7 * time.Second,
		"-3":                            0,
		"soon":                          0,
		"Fri, 20 Nov 2026 09:00:30 GMT": 30 * time.Second,
		"Fri, 20 Nov 2026 08:00:00 GMT": 0,
		"99999999999":                   (1 << 20) * time.Second,
	} {
		if diff := cmp.Diff(want, retryAfter(in, now)); diff != "" {
			t.Errorf("%q (-want +got): %s", in, diff)
		}
	}
}

// TestExplainBothSchemes reads the errors of a registry in a private network,
// which go-containerregistry would also speak plain HTTP to.
func TestExplainBothSchemes(t *testing.T) {
	t.Parallel()
	plain := &PlainHTTPError{Host: "10.0.0.7:5000"}
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	err := explain(t.Context(), errors.Join(refused, plain), "10.0.0.7:5000", "")
	if e, ok := errors.AsType[*UnavailableError](err); !ok || !strings.Contains(e.Error(), "connection refused") {
		t.Errorf("nobody listens: %v", err)
	}
	http := errors.New("http: server gave HTTP response to HTTPS client")
	for _, err := range []error{errors.Join(http, plain), http} {
		err := explain(t.Context(), err, "10.0.0.7:5000", "")
		if e, ok := errors.AsType[*PlainHTTPError](err); !ok || e.Host != "10.0.0.7:5000" {
			t.Errorf("it speaks plain HTTP: %v", err)
		}
	}
}
