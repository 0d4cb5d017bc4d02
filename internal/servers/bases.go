package servers

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// BasesOptions say where stand-ins are kept and who is told of them.
type BasesOptions struct {
	// CacheDir is where stand-ins are kept; empty means fnb-standins in the
	// user's cache folder. It may be deleted at any time.
	CacheDir string
	// Log is told, a line at a time, what is used and what is being made; nil
	// means that nobody is.
	Log func(format string, args ...any)
	// Always serves stand-ins even where the real registries can be reached.
	Always bool
	// Only are the references of those that are made; nil is all.
	Only []string
	// Emulated are further architectures, in Go's words, whose programs the stand-ins
	// have beside those of this machine. They are in a registry of their own, without
	// those images that compile on the builder's platform alone.
	Emulated []string
	// Layers makes no more than the layers of stand-ins, which takes longest, and
	// serves nothing.
	Layers bool
}

// Bases are the base images that templates build on. Where a public registry
// can be reached they are the real ones, and there is nothing to set up. Where
// it cannot, a registry on this machine serves stand-ins under the same names,
// and Mirrors leads there.
type Bases struct {
	// Mirrors maps the names of the registries that cannot be reached to the
	// host that has the stand-ins: what [BuildkitdOptions].Mirrors takes. It is
	// empty where every registry can be reached.
	Mirrors map[string]string
	// Images are the references that the stand-ins answer to.
	Images []string

	registry *Registry
}

// TemplateBases are the references of the images that fnb's own templates build on, as stand-ins answer to them.
func TemplateBases() []string {
	return []string{
		"docker.io/library/debian:bookworm-slim", "docker.io/library/golang:1.26-bookworm", "gcr.io/distroless/static-debian12:nonroot",
		"docker.io/library/python:3.13-slim-bookworm", "docker.io/library/node:24-bookworm-slim", "docker.io/oven/bun:1.4-slim",
		"docker.io/denoland/deno:debian-2.9.6", "docker.io/library/rust:1.95-bookworm", "gcr.io/distroless/cc-debian12:nonroot",
		"docker.io/library/maven:3.9-eclipse-temurin-21", "docker.io/library/eclipse-temurin:21-jre",
	}
}

// publicRegistries are the registries that stand-ins stand in for: the name in
// a reference, and the host that serves it.
func publicRegistries() map[string]string {
	return map[string]string{"docker.io": "registry-1.docker.io", "gcr.io": "gcr.io", "ghcr.io": "ghcr.io"}
}

// Reachable reports whether the host answers as an OCI registry within two
// seconds.
func Reachable(ctx context.Context, host string) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+host+"/v2/", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	// The status line is all that is wanted of the answer.
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK || resp.StatusCode == http.StatusUnauthorized
}

// registriesAway are the names of the public registries that cannot be reached, or of all.
func registriesAway(ctx context.Context, all bool) []string {
	var away []string
	var mu sync.Mutex
	var asked sync.WaitGroup
	for name, host := range publicRegistries() {
		asked.Go(func() {
			if all || !Reachable(ctx, host) {
				mu.Lock()
				defer mu.Unlock()
				away = append(away, name)
			}
		})
	}
	asked.Wait()
	slices.Sort(away)
	return away
}

// StartBases finds out which public registries can be reached, and for the
// others makes the stand-ins, once, and serves them. The first time takes a
// minute or two and needs mmdebstrap and npm; several processes that ask at
// the same time wait for one of them.
func StartBases(ctx context.Context, opts BasesOptions) (_ *Bases, err error) {
	if opts.Log == nil {
		opts.Log = func(string, ...any) {}
	}
	away := registriesAway(ctx, opts.Always)
	b := &Bases{Mirrors: map[string]string{}}
	if len(away) == 0 {
		opts.Log("base images come from their own registries")
		return b, nil
	}
	if opts.CacheDir, err = cacheDir(opts.CacheDir); err != nil {
		return nil, err
	}
	opts.Log("%s cannot be reached: stand-in base images are used, from %s", strings.Join(away, ", "), opts.CacheDir)
	m := &standinMaker{dir: opts.CacheDir, log: opts.Log, only: opts.Only, arch: runtime.GOARCH, emulated: opts.Emulated}
	unlock, err := m.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	layers := map[string]map[string]string{}
	for _, arch := range append([]string{runtime.GOARCH}, opts.Emulated...) {
		if layers[arch], err = m.of(arch).makeLayers(ctx); err != nil {
			return nil, fmt.Errorf("making stand-in base images for %s: %w", arch, err)
		}
	}
	if opts.Layers {
		return b, nil
	}
	b.registry, err = StartRegistry(ctx, RegistryOptions{Dir: m.registry()})
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Close())
		}
	}()
	m.host = b.registry.Host
	if err := m.ensure(ctx, layers); err != nil {
		return nil, fmt.Errorf("making stand-in base images: %w", err)
	}
	for _, name := range away {
		b.Mirrors[name] = b.registry.Host
	}
	for _, s := range m.wanted() {
		b.Images = append(b.Images, s.ref)
	}
	return b, nil
}

// Close stops the registry of stand-ins; what is in the cache stays.
func (b *Bases) Close() error {
	if b.registry == nil {
		return nil
	}
	return b.registry.Close()
}

// BasesFor has the base images for one test, and says in its log which they are.
func BasesFor(tb testing.TB, opts BasesOptions) *Bases {
	tb.Helper()
	opts.Log = tb.Logf
	b, err := StartBases(tb.Context(), opts)
	Require(tb, "bases", err)
	closeAtEnd(tb, b.Close)
	return b
}

// cacheDir returns the folder of stand-ins, absolute.
func cacheDir(dir string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	base, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("finding a cache folder for stand-in base images: %w", err)
	}
	return filepath.Join(base, "fnb-standins"), nil
}
