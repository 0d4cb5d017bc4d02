package builder_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"fnb/builder"
	"fnb/builder/buildcache"
	"fnb/builder/buildertest"
	"fnb/builder/display"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// Secrets reach the step that asks for them, and are neither in the image, nor
// in a log, a progress or an error.
func TestSecrets(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	secrets := map[string][]byte{
		"token": []byte("tok-5ecre7-one"),
		"key":   []byte("-----BEGIN KEY-----\nb64-line-5ecre7\n-----END KEY-----\n"),
	}
	fsys := fixture.Files("Dockerfile", buildertest.SmallBase(t)+`RUN --mount=type=secret,id=token --mount=type=secret,id=key,env=KEY \
  wc -c </run/secrets/token >/length && cat /run/secrets/token && echo && echo "$KEY" && for i in 1 2 3; do printf tok-5e; sleep 0.1; printf 'cre7-one '; done >&2
RUN --mount=type=secret,id=token test ! -e /fail || (cat /run/secrets/token; exit 3)
`, "fail", "")
	for _, mode := range []string{"plain", "json"} {
		out, store := &fixture.Buffer{}, t.TempDir()
		p, err := display.New(out, mode, true)
		if err != nil {
			t.Fatal(err)
		}
		req := builder.Request{Name: "f", Context: fsys, Inputs: builder.Inputs{Secrets: secrets}, Progress: p, Recipe: builder.Recipe{NoCache: true}, Output: builder.Output{Store: store}}
		buildertest.Solve(t, c, req)
		failing := fixture.Files("Dockerfile", buildertest.SmallBase(t)+"RUN --mount=type=secret,id=token cat /run/secrets/token; sh -c \"$(cat /run/secrets/token)\"; exit 3\n")
		req.Context = failing
		_, err = c.Solve(t.Context(), req)
		p.Close()
		var se *builder.SolveError
		if !errors.As(err, &se) || !strings.Contains(strings.Join(se.Log, "\n"), "***") {
			t.Fatalf("%T %v", err, err)
		}
		texts := append(documents(t, store), out.String(), se.Error(), se.Err.Error(), strings.Join(se.Log, "\n"), se.Step)
		for _, text := range texts {
			if strings.Contains(text, "5ecre7") {
				t.Errorf("%s: a secret shows in %s", mode, text)
			}
		}
		if !strings.Contains(out.String(), "***") {
			t.Errorf("%s: the log is not there: %s", mode, out)
		}
	}
	dir := buildertest.RootFS(t, c, builder.Request{Name: "f", Context: fsys, Inputs: builder.Inputs{Secrets: secrets}})
	if got := fixture.Read(t, dir, "length"); got != "14\n" {
		t.Errorf("the step saw %q", got)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "run/secrets")); err == nil && len(entries) > 0 {
		t.Errorf("the image has %v", entries)
	}
	_, err := c.Solve(t.Context(), builder.Request{Name: "f", Context: fixture.Files("Dockerfile", buildertest.SmallBase(t)+"RUN --mount=type=secret,id=nosuch,required=true true\n")})
	var se *builder.SolveError
	if !errors.As(err, &se) || !strings.Contains(se.Problem, "nosuch") {
		t.Errorf("a missing secret: %T %v", err, err)
	}
}

// A step can ask a real agent, and no key gets to the builder.
func TestSSHAgent(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	for _, program := range []string{"ssh-agent", "ssh-add", "ssh-keygen"} {
		if _, err := exec.LookPath(program); err != nil {
			servers.Require(t, "ssh", err)
		}
	}
	dir := t.TempDir()
	run := func(name string, args ...string) {
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Env = append(os.Environ(), "SSH_AUTH_SOCK="+filepath.Join(dir, "s"))
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	agent := exec.CommandContext(t.Context(), "ssh-agent", "-D", "-a", filepath.Join(dir, "s"))
	agent.Cancel = func() error { return agent.Process.Signal(syscall.SIGTERM) }
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = agent.Wait() })
	fixture.Eventually(t, 5e9, "the agent listens", func() bool { _, err := os.Stat(filepath.Join(dir, "s")); return err == nil })
	run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "the-key", "-f", filepath.Join(dir, "key"))
	run("ssh-add", "-q", filepath.Join(dir, "key"))
	// The stand-in has no ssh-add; asking for the identities is five bytes.
	fsys := fixture.Files("Dockerfile", buildertest.Debian+`RUN --mount=type=ssh printf '\0\0\0\1\13' | perl -MIO::Socket::UNIX -e '$s=IO::Socket::UNIX->new($ENV{SSH_AUTH_SOCK}) or die "no agent: $!"; $s->print(<STDIN>); $s->flush; $s->read($h,4); $s->read($b,unpack("N",$h)); print $b' >/answer
FROM scratch
COPY --from=0 /answer /
`)
	root := buildertest.RootFS(t, c, builder.Request{Name: "f", Context: fsys, Inputs: builder.Inputs{SSH: []builder.SSHAgent{{ID: "default", Paths: []string{filepath.Join(dir, "s")}}}}})
	if got := fixture.Read(t, root, "answer"); !strings.Contains(got, "the-key") {
		t.Errorf("the agent answered %q", got)
	}
	_, err := c.Solve(t.Context(), builder.Request{Name: "f", Context: fsys, Inputs: builder.Inputs{SSH: []builder.SSHAgent{{ID: "default", Paths: []string{"/no/such/agent"}}}}})
	if err == nil || !strings.Contains(err.Error(), "/no/such/agent") {
		t.Errorf("no agent: %v", err)
	}
}

// Build cache carries a build from one builder to another, between BuildKit's daemon
// and fnb's own in both directions.
func TestRemoteCache(t *testing.T) {
	t.Parallel()
	host, base, w := buildertest.RegistryHost(t), buildertest.SmallBase(t), buildertest.NewWatchdog(t, "linux/amd64")
	github, s3 := servers.ActionsCacheFor(t), servers.S3For(t, "cache")
	kinds := map[string]func(scope string) (from, to buildcache.Cache){
		"registry": func(scope string) (from, to buildcache.Cache) {
			ref := host + "/cache/" + scope + ":1"
			return cacheOf("registry", "ref", ref), cacheOf("registry", "ref", ref, "mode", "max", "image-manifest", "true", "oci-mediatypes", "true")
		},
		"local": func(string) (from, to buildcache.Cache) {
			dir := t.TempDir()
			return cacheOf("local", "src", dir), cacheOf("local", "dest", dir, "mode", "max")
		},
		"gha": func(scope string) (from, to buildcache.Cache) {
			at := []string{"url", github.URL, "token", github.Token, "scope", scope}
			return cacheOf("gha", at...), cacheOf("gha", append(at, "mode", "max")...)
		},
		"s3": func(scope string) (from, to buildcache.Cache) {
			at := []string{
				"endpoint_url", s3.URL, "use_path_style", "true", "region", s3.Region, "bucket", "cache", "name", scope,
				"prefix", "caches/", "access_key_id", s3.KeyID, "secret_access_key", s3.Secret,
			}
			return cacheOf("s3", at...), cacheOf("s3", append(at, "mode", "max")...)
		},
	}
	builders := map[string]*builder.Client{"buildkitd": buildertest.Stock(t), "fnb": buildertest.StartManaged(t, buildertest.NewManaged(t, nil)), "another fnb": buildertest.StartManaged(t, buildertest.NewManaged(t, nil))}
	for kind, open := range kinds {
		for _, way := range [][2]string{{"buildkitd", "fnb"}, {"fnb", "buildkitd"}, {"fnb", "another fnb"}} {
			scope := strings.ReplaceAll(way[0]+"-"+way[1], " ", "-")
			from, to := open(scope)
			req := builder.Request{
				Name: "f", Watchdog: w.Watchdog, Platforms: buildertest.ThreePlatforms()[:1], Caches: builder.Caches{CacheFrom: []buildcache.Cache{from}},
				// The scope keeps it apart from what the builders know from the other ways.
				Context: fixture.Files("Dockerfile", base+"RUN cat /proc/sys/kernel/random/uuid >/uuid && : "+kind+scope+"\nFROM scratch\nCOPY --from=0 /uuid /\n"),
			}
			first, second := req, req
			first.CacheTo, first.CacheFrom, first.Output = []buildcache.Cache{to}, nil, builder.Output{Local: t.TempDir()}
			if res := buildertest.Solve(t, builders[way[0]], first); len(res.Warnings) > 0 {
				t.Errorf("%s, written by %s: %q", kind, way[0], res.Warnings)
			}
			second.Output = builder.Output{Local: t.TempDir()}
			res := buildertest.Solve(t, builders[way[1]], second)
			if a, b := fixture.Read(t, first.Output.Local, "uuid"), fixture.Read(t, second.Output.Local, "uuid"); a != b || res.CachedPart != 1 || len(res.Warnings) > 0 {
				t.Errorf("%s, from %s to %s: %q and %q, cached part %v %q", kind, way[0], way[1], a, b, res.CachedPart, res.Warnings)
			}
			// Written once more, what is there is found, and a new index takes the old one's place.
			second.CacheTo, second.CacheFrom, second.Output = []buildcache.Cache{to}, nil, builder.Output{Local: t.TempDir()}
			if res := buildertest.Solve(t, builders[way[1]], second); len(res.Warnings) > 0 {
				t.Errorf("%s, written again by %s: %q", kind, way[1], res.Warnings)
			}
		}
	}
}

// Who reads a cache in S3 writes nothing, since his keys may not be for that; who
// writes it makes layers young again that are used.
func TestCacheInS3StaysYoung(t *testing.T) {
	t.Parallel()
	s3 := servers.S3For(t, "cache")
	at := []string{
		"endpoint_url", s3.URL, "use_path_style", "true", "region", s3.Region, "bucket", "cache", "touch_refresh", "1ns",
		"access_key_id", s3.KeyID, "secret_access_key", s3.Secret,
	}
	from, to := cacheOf("s3", at...), cacheOf("s3", append(at, "mode", "max")...)
	req := builder.Request{Name: "f", Output: builder.Output{Store: t.TempDir()}, Context: fixture.Files("Dockerfile", buildertest.SmallBase(t)+"RUN cat /proc/sys/kernel/random/uuid >/uuid\n")}
	written := func() map[string]time.Time {
		times := map[string]time.Time{}
		blobs, err := os.ReadDir(filepath.Join(s3.Dir, "cache", "blobs"))
		if err != nil {
			t.Fatal(err)
		}
		for _, b := range blobs {
			info, err := b.Info()
			if err != nil {
				t.Fatal(err)
			}
			// The server notes in the file's attributes that an object was written anew.
			stat, _ := info.Sys().(*syscall.Stat_t)
			times[b.Name()] = time.Unix(stat.Ctim.Unix())
		}
		return times
	}
	one, other := buildertest.StartManaged(t, buildertest.NewManaged(t, nil)), buildertest.StartManaged(t, buildertest.NewManaged(t, nil))
	writes, reads := req, req
	writes.CacheTo, reads.CacheFrom = []buildcache.Cache{to}, []buildcache.Cache{from}
	buildertest.Solve(t, one, writes)
	first := written()
	if len(first) == 0 {
		t.Fatal("no layer was written")
	}
	if res := buildertest.Solve(t, other, reads); res.CachedPart != 1 || len(res.Warnings) > 0 {
		t.Errorf("reading: %+v", res)
	}
	if now := written(); !maps.Equal(first, now) {
		t.Errorf("reading changed %v to %v", first, now)
	}
	buildertest.Solve(t, one, writes)
	for name, when := range written() {
		if !when.After(first[name]) {
			t.Errorf("%s was not made young", name)
		}
	}
}

func cacheOf(typ string, attrs ...string) buildcache.Cache {
	c := buildcache.Cache{Type: buildcache.Type(typ), Attrs: map[string]string{}}
	for i := 0; i < len(attrs); i += 2 {
		c.Attrs[attrs[i]] = attrs[i+1]
	}
	return c
}

// A cache that cannot be read or written is a warning, and the image is made.
func TestCacheFaults(t *testing.T) {
	t.Parallel()
	c, other, host, github := buildertest.Stock(t), buildertest.StartManaged(t, buildertest.NewManaged(t, nil)), buildertest.RegistryHost(t), servers.ActionsCacheFor(t).Token
	locked := servers.RegistryFor(t, servers.RegistryOptions{User: "u", Password: "p"})
	damaged := t.TempDir()
	if err := os.WriteFile(filepath.Join(damaged, "index.json"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	to := cacheOf
	s3 := servers.S3For(t, "cache")
	if err := os.MkdirAll(filepath.Join(s3.Dir, "cache", "manifests"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(s3.Dir, "cache", "manifests", "damaged"), []byte(`{"layers":[{"blob":"../../etc/passwd","annotations":{"diffID":"sha256:0"}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	inS3 := func(attrs ...string) buildcache.Cache {
		at := []string{"endpoint_url", s3.URL, "use_path_style", "true", "region", s3.Region, "access_key_id", s3.KeyID, "secret_access_key", s3.Secret}
		return to("s3", append(at, attrs...)...)
	}
	tests := []struct {
		name     string
		c        *builder.Client
		from, to buildcache.Cache
		want     string
	}{
		{"nothing there", c, to("registry", "ref", host+"/no/cache:1"), buildcache.Cache{}, "the build cache " + host + "/no/cache:1 cannot be read: "},
		{"no registry", c, to("registry", "ref", "127.0.0.1:1/no/cache:1"), buildcache.Cache{}, "connection refused"},
		{"no folder", c, to("local", "src", "/no/such"), buildcache.Cache{}, "the build cache local /no/such cannot be read: no such file or directory"},
		{"a damaged folder", c, to("local", "src", damaged), buildcache.Cache{}, "the build cache local " + damaged + " cannot be read: "},
		{"a service that is away", c, to("gha", "url", "http://127.0.0.1:1/", "token", github, "scope", "s"), buildcache.Cache{}, "the build cache gha s cannot be read: "},
		{"no registry to write to", c, buildcache.Cache{}, to("registry", "ref", "127.0.0.1:1/no/cache:1"), "the build cache cannot be written to registry: "},
		{"a locked one", other, buildcache.Cache{}, to("registry", "ref", locked.Host+"/no/cache:1"), "the build cache cannot be written to registry: "},
		{"no service to write to", c, buildcache.Cache{}, to("gha", "url", "http://127.0.0.1:1/", "token", github, "scope", "s"), "the build cache cannot be written to "},
		{"a bad token", c, buildcache.Cache{}, to("gha", "url", "http://127.0.0.1:1/", "token", "secret-token", "scope", "s"), "the build cache of the type gha cannot be written: "},
		{"no bucket", c, buildcache.Cache{}, to("s3", "region", "eu"), "the build cache of the type s3 cannot be written: bucket"},
		{"a type of nobody", c, buildcache.Cache{}, to("tape"), "this builder has no build cache of the type tape"},
		{"nor to be read", c, to("tape"), buildcache.Cache{}, "this builder has no build cache of the type tape"},
		{"a bad token, own", other, buildcache.Cache{}, to("gha", "url", "http://127.0.0.1:1/", "token", "secret-token", "scope", "s"), "the build cache of the type gha cannot be written: "},
		{"no bucket, own", other, buildcache.Cache{}, to("s3", "region", "eu"), "the build cache of the type s3 cannot be written: it needs bucket"},
		{"a bad endpoint", other, buildcache.Cache{}, to("s3", "region", "eu", "bucket", "cache", "endpoint_url", "ftp://127.0.0.1"), "the build cache of the type s3 cannot be written: endpoint_url=ftp://127.0.0.1: "},
		{"no S3 to read", other, to("s3", "region", "eu", "bucket", "cache", "endpoint_url", "http://127.0.0.1:1", "access_key_id", "a", "secret_access_key", "secret-token"), buildcache.Cache{}, "the build cache s3 cache cannot be read: "},
		{"no bucket to read", other, inS3("bucket", "none"), buildcache.Cache{}, "the build cache s3 none cannot be read: "},
		{"no bucket of the name", other, buildcache.Cache{}, inS3("bucket", "none"), "the build cache cannot be written to Amazon S3: "},
		{"a wrong key", other, inS3("bucket", "cache", "secret_access_key", "secret-token"), inS3("bucket", "cache", "secret_access_key", "secret-token"), "the build cache s3 cache cannot be read: "},
		{"a damaged index", other, inS3("bucket", "cache", "name", "damaged"), buildcache.Cache{}, "the build cache s3 damaged cannot be read: reading the index: "},
		{"a type of others", other, to("azblob"), to("azblob"), "this builder has no build cache of the type azblob"},
	}
	for _, tt := range tests {
		req := builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /"+strings.ReplaceAll(tt.name, " ", "")+"\n"), Output: builder.Output{Store: t.TempDir()}}
		if tt.from.Type != "" {
			req.CacheFrom = append(req.CacheFrom, tt.from)
		}
		if tt.to.Type != "" {
			req.CacheTo = append(req.CacheTo, tt.to)
		}
		res, err := tt.c.Solve(t.Context(), req)
		if err != nil || !strings.Contains(fmt.Sprint(res.Warnings), tt.want) || strings.Contains(fmt.Sprint(res.Warnings), "secret-token") {
			t.Errorf("%s: %+v %v", tt.name, res, err)
			continue
		}
		t.Logf("%s: %q", tt.name, res.Warnings)
	}
	// Whoever wants a failure gets one.
	_, err := other.Solve(t.Context(), builder.Request{
		Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"), Caches: builder.Caches{CacheTo: []buildcache.Cache{to("registry", "ref", "127.0.0.1:1/no/where:1", "ignore-error", "false")}},
	})
	var ee *builder.ExportError
	if !errors.As(err, &ee) || !strings.Contains(ee.Problem, "connection refused") {
		t.Errorf("a cache that cannot be written: %T %v", err, err)
	}
	for _, b := range []*builder.Client{c, other} {
		_, err := b.Solve(t.Context(), builder.Request{
			Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n"), Caches: builder.Caches{CacheTo: []buildcache.Cache{to("reel", "ignore-error", "false")}},
		})
		var te *builder.CacheTypeError
		if !errors.As(err, &te) || te.Type != "reel" {
			t.Errorf("a type of cache that the builder lacks: %T %v", err, err)
		}
	}
}

// What a registry refuses, and what a disk has no room for, is not the
// function's fault.
func TestExportErrors(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	locked := servers.RegistryFor(t, servers.RegistryOptions{User: "u", Password: "p"})
	faulty := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	req := builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")}
	push := func(ref string) *builder.ExportError {
		req.Output = builder.Output{Push: []string{ref}}
		_, err := c.Solve(t.Context(), req)
		var ee *builder.ExportError
		if !errors.As(err, &ee) {
			t.Fatalf("%s: %T %v", ref, err, err)
		}
		return ee
	}
	ref := locked.Host + "/a/b:1"
	if ee := push(ref); ee.Status != http.StatusUnauthorized || ee.Host != locked.Host || ee.Reference != ref {
		t.Errorf("without credentials: %+v %s", ee.Status, ee)
	}
	req.Credentials = func(_ context.Context, host string) (string, string, error) {
		if host != locked.Host {
			return "", "", fmt.Errorf("asked for %s", host)
		}
		return "u", "wrong", nil
	}
	if ee := push(ref); ee.Status != http.StatusUnauthorized {
		t.Errorf("with wrong credentials: %s", ee)
	}
	req.Credentials = func(context.Context, string) (string, string, error) { return "u", "p", nil }
	req.Output = builder.Output{Push: []string{ref}}
	buildertest.Solve(t, c, req)
	req.Credentials = nil
	for _, status := range []int{http.StatusForbidden, http.StatusNotFound, http.StatusInternalServerError} {
		faulty.Fail(servers.Fault{Method: http.MethodPut, Path: regexp.MustCompile("/manifests/"), Status: status})
		// The registry's words stand in the place of the status.
		if ee := push(faulty.Host + "/a/b:1"); ee.Host != faulty.Host || !strings.HasSuffix(ee.Problem, ": a fault put in by the test") {
			t.Errorf("HTTP %d: got %d %s", status, ee.Status, ee)
		}
		faulty.Heal()
	}
	if ee := push("127.0.0.1:1/a/b:1"); ee.Status != 0 || ee.Host != "127.0.0.1:1" || !strings.Contains(ee.Problem, "connection refused") {
		t.Errorf("no registry: %s", ee)
	}
}

func TestFullImageStore(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	store := t.TempDir()
	if err := syscall.Mount("tmpfs", store, "tmpfs", 0, "size=256k"); err != nil {
		servers.Require(t, "buildkit", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(store, syscall.MNT_DETACH) })
	req := builder.Request{Name: "f", Context: fixture.Files("Dockerfile", buildertest.SmallBase(t)+"RUN head -c 1000000 /dev/urandom >/big\n"), Output: builder.Output{Store: store}}
	_, err := c.Solve(t.Context(), req)
	var ee *builder.ExportError
	if !errors.As(err, &ee) || !strings.Contains(ee.Problem, "no space left on device") || !strings.Contains(ee.Problem, store) {
		t.Errorf("%T %v", err, err)
	}
	buildertest.NoLeftovers(t, store)
}
