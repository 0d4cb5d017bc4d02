package rollout_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"fnb/rollout"
	"fnb/schema/deploy"
)

// silent starts a gateway that takes all questions and ends no answer to those about functions, and to others if it knows nothing.
func silent(t *testing.T, knows bool) *rollout.Gateway {
	t.Helper()
	asked := 0
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/system/info" && knows:
			_, _ = io.WriteString(w, `{"provider": {"orchestration": "containerd"}}`)
			return
		case knows && asked == 0:
			asked++
			_, _ = io.WriteString(w, `{"image": "x/y@sha256:`+strings.Repeat("1", 64)+`", "replicas": 1}`)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // so that a client that goes away is noticed
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush() // the answer has begun
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	g, err := rollout.NewGateway(rollout.GatewayOptions{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// kubectl puts a script of that name into PATH.
func kubectl(t *testing.T, script string) *rollout.Cluster {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "kubectl"), []byte("#!/bin/sh\n"+script), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	platform, _ := deploy.Find(deploy.Platforms(), "kubernetes")
	return rollout.NewCluster(platform, rollout.ClusterOptions{})
}

// A platform that takes a question and does not answer is told from one that nobody reaches, and from a caller who has given up.
func TestUnanswered(t *testing.T) { //nolint:paralleltest // it has a PATH of its own
	for name, target := range map[string]rollout.Target{"a gateway": silent(t, false), "kubectl": kubectl(t, "echo open a browser >&2\nexec sleep 60\n")} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		_, err := target.Find(ctx, "hello")
		if e, ok := errors.AsType[*rollout.Error](err); !ok || e.Kind != rollout.Unanswered || !strings.Contains(e.Text, " does not answer within ") {
			t.Errorf("%s: %v", name, err)
		}
		if name == "kubectl" && !strings.HasSuffix(err.Error(), "s: open a browser") {
			t.Errorf("what kubectl has said is missing: %v", err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		if _, err := target.Find(ctx, "hello"); err != context.Canceled { //nolint:errorlint // it is that one
			t.Errorf("%s, given up: %v", name, err)
		}
	}
}

// Ctrl-C in a terminal ends kubectl too, perhaps before fnb hears of it.
func TestInterrupted(t *testing.T) { //nolint:paralleltest // it has a PATH of its own
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, cancel)
	if _, err := kubectl(t, "echo I am busy >&2\nkill -INT $$\n").Find(ctx, "hello"); err != context.Canceled { //nolint:errorlint // it is that one
		t.Errorf("%v", err)
	}
}

// A question that the end of the time has cut short says nothing: what the platform said before is told.
func TestCutShort(t *testing.T) {
	t.Parallel()
	f := deploy.Function{Name: "hello", Image: "x/y@sha256:" + strings.Repeat("1", 64)}
	// The time may have begun before, with what was applied.
	g := silent(t, true)
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	_, err := g.Wait(ctx, f, 2*time.Second)
	if e, ok := errors.AsType[*rollout.Error](err); !ok || e.Kind != rollout.Unready || e.Text != "it is not ready after 2s: 0 of 1 replicas are available" {
		t.Errorf("%v", err)
	}
	if _, err := g.Wait(ctx, f, 2*time.Second); err == nil || err.Error() != "it is not ready after 2s" {
		t.Errorf("no time was left: %v", err)
	}
}

// A gateway that is away for a moment while a function becomes ready is asked again.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	f := deploy.Function{Name: "hello", Image: "x/y@sha256:" + strings.Repeat("1", 64)}
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/system/info":
			_, _ = io.WriteString(w, `{"provider": {"orchestration": "containerd"}}`)
		case asked.Add(1) == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = io.WriteString(w, `{"image": "`+f.Image+`", "replicas": 1, "availableReplicas": 1}`)
		}
	}))
	defer s.Close()
	g, err := rollout.NewGateway(rollout.GatewayOptions{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Wait(t.Context(), f, time.Minute); err != nil {
		t.Error(err)
	}
}
