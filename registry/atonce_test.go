package registry

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// A writer is a client that has a way of its own to a registry.
type writer struct {
	*Client
	ref string
	// list answers each request that writes the list of an image, of which it is told how many came before.
	list func(n int, forward http.HandlerFunc, w http.ResponseWriter, r *http.Request)
}

func newWriter(t *testing.T, reg *servers.Registry) *writer {
	t.Helper()
	out := &writer{Client: newClient(t, Options{})}
	forward := newForward(t, reg.URL)
	var lists atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/sha256-") && out.list != nil {
			out.list(int(lists.Add(1))-1, forward.ServeHTTP, w, r)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	out.ref = strings.TrimPrefix(s.URL, "http://") + "/acme/hello:1"
	return out
}

func (w *writer) attach(t *testing.T, subject v1.Descriptor, text string) {
	t.Helper()
	if _, err := w.Attach(t.Context(), w.ref, subject, note(text)); err != nil {
		t.Error(err)
	}
}

// TestAttachLate has a writer write the list that it has read before another one wrote its own, and had seen
// that it is there.
func TestAttachLate(t *testing.T) {
	t.Parallel()
	for name, swift := range map[string]bool{"while the other looks": true, "after the other wrote": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			reg := servers.RegistryFor(t, servers.RegistryOptions{})
			late, early := newWriter(t, reg), newWriter(t, reg)
			subject := pushed(t, early.Client, early.ref)
			hasRead, goOn, wrote := make(chan struct{}), make(chan struct{}), make(chan struct{})
			late.list = func(n int, forward http.HandlerFunc, w http.ResponseWriter, r *http.Request) {
				if n == 0 {
					close(hasRead)
					<-goOn
					defer close(wrote)
				}
				forward(w, r)
			}
			var wg sync.WaitGroup
			wg.Go(func() { late.attach(t, subject, "late") })
			<-hasRead
			texts := 2
			if swift { // what it attached before is in no list but that which it read
				early.attach(t, subject, "before")
				texts++
			}
			early.list = func(n int, forward http.HandlerFunc, w http.ResponseWriter, r *http.Request) {
				switch {
				case n > 0:
				case swift:
					forward(w, r)
					close(goOn)
					<-wrote
					return
				default: // it takes its time, and so it looks again after some
					time.Sleep(500 * time.Millisecond)
					forward(w, r)
					time.AfterFunc(100*time.Millisecond, func() { close(goOn) })
					return
				}
				forward(w, r)
			}
			early.attach(t, subject, "early")
			wg.Wait()
			got, err := newClient(t, Options{}).Referrers(t.Context(), early.ref, subject.Digest.String(), "")
			fixture.Must(t, err)
			if len(got) != texts {
				t.Errorf("%d of %d are listed", len(got), texts)
			}
		})
	}
}
