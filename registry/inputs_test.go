package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"

	"fnb/images/imagestest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema"
	"fnb/schema/words"
)

func TestAskAndTag(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	s, c := imagestest.NewStore(t), newClient(t, Options{})
	ref := reg.Host + "/acme/hello:1"
	if _, err := c.Ask(t.Context(), ref); !fixture.Is[*NotFoundError](err) {
		t.Errorf("asking for nothing: %v", err)
	}
	index, ok := mutate.Annotations(imagestest.NewIndex(t), map[string]string{words.LabelInput: "sha256:abc"}).(v1.ImageIndex)
	if !ok {
		t.Fatal("no index")
	}
	desc := imagestest.Put(t, s, ref, index)
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
	fixture.Must(t, err)
	for i, d := range images {
		img, err := s.Image(d)
		fixture.Must(t, err)
		m, err := img.Manifest()
		fixture.Must(t, err)
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
	if err := c.Tag(t.Context(), known, reg.Host+"/other/hello:2"); !fixture.Is[*schema.ImageError](err) {
		t.Errorf("in another repository: %v", err)
	}
	reg.Fail(servers.Fault{Method: http.MethodGet, Path: regexp.MustCompile("/manifests/"), Status: http.StatusInternalServerError, Times: 100})
	if _, err := c.Ask(t.Context(), ref); !fixture.Is[*UnavailableError](err) {
		t.Errorf("asking a registry that fails: %v", err)
	}
}

// A registry that takes the very first question and never answers is not waited for as one that takes a large manifest is.
func TestFirstSilence(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fixture.Must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	c := newClient(t, Options{})
	c.trans.first = 300 * time.Millisecond
	start := time.Now()
	_, err = c.Head(t.Context(), l.Addr().String()+"/acme/hello:1")
	if e, ok := errors.AsType[*UnavailableError](err); !ok || e.Host != l.Addr().String() || !strings.Contains(err.Error(), "no answer within 300ms") {
		t.Errorf("%T %v", err, err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %v", took)
	}

	// It is not asked about each of many images.
	c.trans.first = longPing + 100*time.Millisecond
	start = time.Now()
	for i := range 20 {
		if _, err := c.Head(t.Context(), fmt.Sprintf("%s/acme/f%d:1", l.Addr(), i)); !fixture.Is[*UnavailableError](err) {
			t.Errorf("%T %v", err, err)
		}
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("20 images took %v", took)
	}
}

// TestAskSilence: a registry that takes a question and never answers holds nobody up for
// long, and no answer of it is taken for a refusal.
func TestAskSilence(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	fixture.Must(t, err)
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
	if _, err := c.Ask(ctx, l.Addr().String()+"/acme/hello:2"); !errors.Is(err, context.DeadlineExceeded) || fixture.Is[*UnavailableError](err) {
		t.Errorf("a caller who has no time: %v", err)
	}
	wg.Wait()
}
