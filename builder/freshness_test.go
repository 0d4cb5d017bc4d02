package builder_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"fnb/builder"
	"fnb/builder/buildcontext"
	"fnb/builder/buildertest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// padded is a build context that is too large to travel inside the LLB.
func padded(m fstest.MapFS) fstest.MapFS {
	m = maps.Clone(m)
	m["padding"] = &fstest.MapFile{Data: bytes.Repeat([]byte("p"), buildcontext.InlineBytes), Mode: 0o644}
	return m
}

// crowded is one that has too many files.
func crowded(m fstest.MapFS, n int) fstest.MapFS {
	m = maps.Clone(m)
	for i := range n {
		m[fmt.Sprintf("many/%03d/%d", i%100, i)] = &fstest.MapFile{Data: []byte(fmt.Sprint("file ", i)), Mode: 0o644}
	}
	return m
}

// A file that changes and keeps its size and its time is built as it is now.
func TestNeverStale(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	tests := map[string]func(fstest.MapFS) fstest.MapFS{
		"inline":  func(m fstest.MapFS) fstest.MapFS { return m },
		"large":   padded,
		"crowded": func(m fstest.MapFS) fstest.MapFS { return crowded(m, buildcontext.InlineFiles+1) },
	}
	for name, grow := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const dockerfile = "FROM scratch\nCOPY handler* /\nCOPY sub /sub\n"
			for _, text := range []string{"AAAA", "BBBB", "CCCC", "AAAA", "BBBB"} {
				m := fixture.Files("Dockerfile", dockerfile, "handler", text, "sub/x", "x"+text)
				m["sub/link"] = &fstest.MapFile{Data: []byte(text), Mode: fs.ModeSymlink | 0o777}
				if text == "CCCC" { // and what goes away is gone
					delete(m, "sub/x")
					m["handler-too"] = &fstest.MapFile{Data: []byte("new"), Mode: 0o644}
				}
				dir := buildertest.RootFS(t, c, builder.Request{Name: "stale-" + name, Context: grow(m)})
				link, err := os.Readlink(filepath.Join(dir, "sub/link"))
				if err != nil || link != text || fixture.Read(t, dir, "handler") != text {
					t.Fatalf("want %s, built %s and a link to %s", text, fixture.Read(t, dir, "handler"), link)
				}
				_, noSub := os.Stat(filepath.Join(dir, "sub/x"))
				_, noToo := os.Stat(filepath.Join(dir, "handler-too"))
				if gone := text == "CCCC"; gone != errors.Is(noSub, fs.ErrNotExist) || gone == errors.Is(noToo, fs.ErrNotExist) {
					t.Fatalf("%s: sub/x: %v, handler-too: %v", text, noSub, noToo)
				}
			}
		})
	}
}

// Two fresh builders, one a stock buildkitd and one fnb's own, make the same
// image, and so does the other way to send the build context. RUN steps look at
// the files' times.
func TestSameDigest(t *testing.T) {
	t.Parallel()
	w := buildertest.NewWatchdog(t, "linux/amd64")
	own := buildertest.StartManaged(t, buildertest.NewManaged(t, nil))
	other := servers.BuildkitdFor(t, servers.BuildkitdOptions{})
	want := buildertest.DigestOf(t, own, buildertest.Everything(t), w.Watchdog)
	if got := buildertest.DigestOf(t, buildertest.Connect(t, builder.Options{Address: other.Address}), buildertest.Everything(t), w.Watchdog); got != want {
		t.Errorf("a stock buildkitd makes %s, fnb's own %s", got, want)
	}
	if got := buildertest.DigestOf(t, buildertest.Stock(t), padded(buildertest.Everything(t)), w.Watchdog); got != want {
		t.Errorf("through the session %s, inline %s", got, want)
	}
}

// Where no step can see how old a file is, the times of a large build context
// are left to the exporter, which makes the same image of it.
func TestTimesLeftToExporter(t *testing.T) {
	t.Parallel()
	const dockerfile = "FROM scratch\nCOPY src /src\nCMD [\"/src/c\"]\n"
	if (&buildcontext.Context{}).Seen([]byte(dockerfile), "") {
		t.Fatal("a COPY step is taken for one that runs")
	}
	m := fixture.Files("Dockerfile", dockerfile, "src/a/b", "1", "src/c*", "2")
	for i := range 50 { // some would be older than the exporter's time
		m[fmt.Sprint("src/a/f", i)] = &fstest.MapFile{Data: []byte{byte(i)}, Mode: 0o644}
	}
	var want string
	for name, c := range map[string]*builder.Client{"stock": buildertest.Stock(t), "managed": buildertest.StartManaged(t, buildertest.NewManaged(t, nil))} {
		for size, m := range map[string]fstest.MapFS{"small": m, "large": padded(m)} {
			got := buildertest.DigestOf(t, c, m, builder.Watchdog{})
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%s, %s: %s, want %s", name, size, got, want)
			}
		}
	}
}

func TestContextPaths(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fsys  fs.FS
		small bool
	}{
		"small": {buildertest.Everything(t), true}, "large": {padded(buildertest.Everything(t)), false}, "crowded": {crowded(buildertest.Everything(t), buildcontext.InlineFiles), false},
	} {
		bc, err := buildcontext.Read(t.Context(), tt.fsys)
		if err != nil || bc.Small() != tt.small {
			t.Errorf("%s: it should be small: %t; %v", name, tt.small, err)
		}
	}
}

// A build context close to the limit travels inside the LLB, to three platforms
// and through several steps, without reaching gRPC's message limit.
func TestNearlyLarge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*builder.Client{"stock": buildertest.Stock(t), "managed": buildertest.StartManaged(t, buildertest.NewManaged(t, nil))} {
		m := fstest.MapFS{"Dockerfile": {Data: []byte("FROM scratch AS a\nCOPY . /\nFROM scratch\nCOPY --from=a / /\nCOPY . /again\n"), Mode: 0o644}}
		for i := range buildcontext.InlineFiles - 1 {
			m[fmt.Sprint("f", i)] = &fstest.MapFile{Data: bytes.Repeat([]byte{byte(i)}, buildcontext.InlineBytes/buildcontext.InlineFiles), Mode: 0o644}
		}
		if bc, err := buildcontext.Read(t.Context(), m); err != nil || !bc.Small() {
			t.Fatalf("it goes through the session, %v", err)
		}
		w := buildertest.NewWatchdog(t, "linux/amd64", "linux/arm64", "linux/arm/v7")
		res := buildertest.Solve(t, c, builder.Request{Name: "near", Context: m, Platforms: buildertest.ThreePlatforms(), Watchdog: w.Watchdog, Output: builder.Output{Push: []string{buildertest.RegistryHost(t) + "/near/" + name + ":1"}, PlainHTTP: true}})
		if res.Digest == "" {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

// Of ten thousand files, one that changed is the only one to be read again.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	opened := &countingFS{MapFS: crowded(fixture.Files("Dockerfile", "FROM scratch AS all\nCOPY many /many\nFROM scratch\nCOPY --from=all /many/099 /\nCOPY one /\n", "one", "AAAA"), 10000)}
	req := builder.Request{Name: "ten-thousand", Context: opened}
	buildertest.Solve(t, c, req)
	first := opened.reset()
	opened.MapFS = maps.Clone(opened.MapFS)
	opened.MapFS["one"] = &fstest.MapFile{Data: []byte("BBBB"), Mode: 0o644}
	dir := buildertest.RootFS(t, c, req)
	if got := fixture.Read(t, dir, "one"); got != "BBBB" {
		t.Errorf("built %s", got)
	}
	second := opened.reset()
	// Each file is read once to know its content, and what is sent once more.
	if hashed := len(opened.MapFS); first < 2*hashed-110 || second > hashed+10 {
		t.Errorf("%d files opened first, %d then, of %d", first, second, len(opened.MapFS))
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 101 {
		t.Errorf("%d files, %v", len(entries), err)
	}
}

// A countingFS counts the files that are opened.
type countingFS struct {
	fstest.MapFS
	opened atomic.Int64
}

func (c *countingFS) Open(name string) (fs.File, error) {
	c.opened.Add(1)
	return c.MapFS.Open(name)
}

func (c *countingFS) reset() int { return int(c.opened.Swap(0)) }
