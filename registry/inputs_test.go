package registry

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"fnb/internal/servers"
	"fnb/schema"
)

func TestAskAndTag(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	s, c := newStore(t), newClient(t, Options{})
	ref := reg.Host + "/acme/hello:1"
	if _, err := c.Ask(t.Context(), ref); !is[*NotFoundError](err) {
		t.Errorf("asking for nothing: %v", err)
	}
	index, ok := mutate.Annotations(newIndex(t), map[string]string{schema.InputLabel: "sha256:abc"}).(v1.ImageIndex)
	if !ok {
		t.Fatal("no index")
	}
	desc := put(t, s, ref, index)
	if _, err := c.Push(t.Context(), s, ref); err != nil {
		t.Fatal(err)
	}
	known, err := c.Ask(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	if known.Descriptor.Digest != desc.Digest || known.Input() != "sha256:abc" || len(known.Platforms) == 0 || known.Platforms[0].Digest == "" {
		t.Errorf("the registry has %+v", known)
	}
	c.Measure(t.Context(), known)
	images, err := s.Platforms(t.Context(), desc)
	must(t, err)
	for i, d := range images {
		img, err := s.Image(d)
		must(t, err)
		m, err := img.Manifest()
		must(t, err)
		var size int64
		for _, l := range m.Layers {
			size += l.Size
		}
		if p := known.Platforms[i]; p.Digest != d.Digest.String() || p.Size != size || size == 0 {
			t.Errorf("%+v, want %d bytes of %s", p, size, d.Digest)
		}
	}
	if err := c.Tag(t.Context(), known, reg.Host+"/acme/hello:2"); err != nil {
		t.Fatal(err)
	}
	again, err := c.Ask(t.Context(), reg.Host+"/acme/hello:2")
	if err != nil || again.Descriptor.Digest != desc.Digest {
		t.Errorf("the other tag names %+v, %v", again, err)
	}
	if err := c.Tag(t.Context(), known, reg.Host+"/other/hello:2"); !is[*ReferenceError](err) {
		t.Errorf("in another repository: %v", err)
	}
	reg.Fail(servers.Fault{Method: http.MethodGet, Path: regexp.MustCompile("/manifests/"), Status: http.StatusInternalServerError, Times: 100})
	if _, err := c.Ask(t.Context(), ref); !is[*UnavailableError](err) {
		t.Errorf("asking a registry that fails: %v", err)
	}
}

func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// What is damaged is not found by its inputs.
func TestFind(t *testing.T) {
	t.Parallel()
	s := newStore(t)
	desc := put(t, s, "example.org/a:1", newIndex(t))
	desc.Annotations = map[string]string{schema.InputLabel: "sha256:abc"}
	if err := s.Put(t.Context(), "example.org/a:2", desc); err != nil {
		t.Fatal(err)
	}
	found, err := s.Find(t.Context(), "sha256:abc")
	if err != nil || len(found) != 1 || found[0].Reference != "example.org/a:2" {
		t.Errorf("found %v, %v", found, err)
	}
	tr, err := s.walk(t.Context(), desc)
	if err != nil {
		t.Fatal(err)
	}
	path, err := s.blobPath(tr.Blobs[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Find(t.Context(), "sha256:abc"); err != nil || len(found) != 0 {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestRepository(t *testing.T) {
	t.Parallel()
	for ref, want := range map[string]string{
		"hello": "docker.io/library/hello", "ghcr.io/acme/hello:1": "ghcr.io/acme/hello", "localhost:5000/a@sha256:" + string(make([]byte, 64)): "",
		"A B": "",
	} {
		if got := Repository(ref); got != want {
			t.Errorf("%q is in %q, want %q", ref, got, want)
		}
	}
	if got := Host("ghcr.io/acme/hello"); got != "ghcr.io" {
		t.Errorf("the host is %q", got)
	}
}

// TestAskSilence: a registry that takes a question and never answers holds nobody up for
// long, and no answer of it is taken for a refusal.
func TestAskSilence(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	c := newClient(t, Options{})
	var wg sync.WaitGroup
	wg.Go(func() {
		start := time.Now()
		_, err := c.Ask(t.Context(), l.Addr().String()+"/acme/hello:1")
		if e, ok := errors.AsType[*UnavailableError](err); !ok || e.Host != l.Addr().String() || !strings.Contains(err.Error(), "no answer within 15s") {
			t.Errorf("%T %v", err, err)
		}
		if took := time.Since(start); took > 2*questionLimit {
			t.Errorf("it took %v", took)
		}
	})
	wg.Go(func() {
		if err := c.MayPush(t.Context(), l.Addr().String()+"/acme/hello:1"); err != nil {
			t.Errorf("pushing: %v", err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := c.Ask(ctx, l.Addr().String()+"/acme/hello:2"); !errors.Is(err, context.DeadlineExceeded) || is[*UnavailableError](err) {
		t.Errorf("a caller who has no time: %v", err)
	}
	wg.Wait()
}
