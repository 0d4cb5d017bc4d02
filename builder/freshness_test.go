package builder

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

	"fnb/internal/servers"
	"fnb/schema"
)

// padded is a build context that is too large to travel inside the LLB.
func padded(m fstest.MapFS) fstest.MapFS {
	m = maps.Clone(m)
	m["padding"] = &fstest.MapFile{Data: bytes.Repeat([]byte("p"), inlineBytes), Mode: 0o644}
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
	c := stock(t)
	tests := map[string]func(fstest.MapFS) fstest.MapFS{
		"inline":  func(m fstest.MapFS) fstest.MapFS { return m },
		"large":   padded,
		"crowded": func(m fstest.MapFS) fstest.MapFS { return crowded(m, inlineFiles+1) },
	}
	for name, grow := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const dockerfile = "FROM scratch\nCOPY handler* /\nCOPY sub /sub\n"
			for _, text := range []string{"AAAA", "BBBB", "CCCC", "AAAA", "BBBB"} {
				m := files("Dockerfile", dockerfile, "handler", text, "sub/x", "x"+text)
				m["sub/link"] = &fstest.MapFile{Data: []byte(text), Mode: fs.ModeSymlink | 0o777}
				if text == "CCCC" { // and what goes away is gone
					delete(m, "sub/x")
					m["handler-too"] = &fstest.MapFile{Data: []byte("new"), Mode: 0o644}
				}
				dir := rootFS(t, c, Request{Name: "stale-" + name, Context: grow(m)})
				link, err := os.Readlink(filepath.Join(dir, "sub/link"))
				if err != nil || link != text || read(t, dir, "handler") != text {
					t.Fatalf("want %s, built %s and a link to %s", text, read(t, dir, "handler"), link)
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

// everything is a function that uses what the paths of a build context could
// treat differently: links, modes, empty folders, names, and times that steps
// can see.
func everything(t *testing.T) fstest.MapFS {
	t.Helper()
	m := files("Dockerfile", small(t)+`WORKDIR /home/app
COPY ctx /home/app/context/
RUN ls -lnR --time-style=+%s.%N context >listing && chmod 700 listing && date +%s%N >/gone && rm /gone
RUN mkdir -p /var/lib/new /tmp/x && ln -s new /var/lib/old && echo someone:x:1000:1000::/:/bin/sh >/etc/passwd && date >/dev/null
USER someone
CMD ["cat"]
`, "ctx/handler/main.py", "print()", "ctx/run.sh*", "#!/bin/sh", "ctx/a/b-c/d", "1", "ctx/a/b/c", "2", "ctx/zoë and space", "3", "ctx/empty", "")
	m["ctx/a/link"] = &fstest.MapFile{Data: []byte("../run.sh"), Mode: fs.ModeSymlink | 0o777}
	m["ctx/dangling"] = &fstest.MapFile{Data: []byte("/no/such"), Mode: fs.ModeSymlink | 0o777}
	m["ctx/nothing-in-it"] = &fstest.MapFile{Mode: fs.ModeDir | 0o755}
	return m
}

func digestOf(t *testing.T, c *Client, fsys fs.FS, w Watchdog) string {
	t.Helper()
	return solve(t, c, Request{
		Name: "everything", Context: fsys, Platforms: threePlatforms[:1], Watchdog: w,
		Config: schema.ImageConfig{Entrypoint: []string{"/usr/bin/fwatchdog"}, Labels: map[string]string{"a": "b", "c": "d"}, Env: map[string]string{"x": "y"}},
		Output: Output{Push: []string{registryHost(t) + "/same/digest:1"}, PlainHTTP: true},
	}).Digest
}

// Two fresh builders, one a stock buildkitd and one fnb's own, make the same
// image, and so does the other way to send the build context. RUN steps look at
// the files' times.
func TestSameDigest(t *testing.T) {
	t.Parallel()
	w := newWatchdog(t, "linux/amd64")
	own := startManaged(t, managed(t, nil))
	other := servers.BuildkitdFor(t, servers.BuildkitdOptions{})
	want := digestOf(t, own, everything(t), w.Watchdog)
	if got := digestOf(t, dial(t, Options{Address: other.Address}), everything(t), w.Watchdog); got != want {
		t.Errorf("a stock buildkitd makes %s, fnb's own %s", got, want)
	}
	if got := digestOf(t, stock(t), padded(everything(t)), w.Watchdog); got != want {
		t.Errorf("through the session %s, inline %s", got, want)
	}
}

// Where no step can see how old a file is, the times of a large build context
// are left to the exporter, which makes the same image of it.
func TestTimesLeftToExporter(t *testing.T) {
	t.Parallel()
	const dockerfile = "FROM scratch\nCOPY src /src\nCMD [\"/src/c\"]\n"
	if observes([]byte(dockerfile), nil, "") {
		t.Fatal("a COPY step is taken for one that runs")
	}
	m := files("Dockerfile", dockerfile, "src/a/b", "1", "src/c*", "2")
	for i := range 50 { // some would be older than the exporter's time
		m[fmt.Sprint("src/a/f", i)] = &fstest.MapFile{Data: []byte{byte(i)}, Mode: 0o644}
	}
	var want string
	for name, c := range map[string]*Client{"stock": stock(t), "managed": startManaged(t, managed(t, nil))} {
		for size, m := range map[string]fstest.MapFS{"small": m, "large": padded(m)} {
			got := digestOf(t, c, m, Watchdog{})
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
		"small": {everything(t), true}, "large": {padded(everything(t)), false}, "crowded": {crowded(everything(t), inlineFiles), false},
	} {
		bc, err := readContext(t.Context(), tt.fsys)
		if err != nil || bc.small() != tt.small {
			t.Errorf("%s: small is %t, %v", name, bc.small(), err)
		}
	}
}

// A build context close to the limit travels inside the LLB, to three platforms
// and through several steps, without reaching gRPC's message limit.
func TestNearlyLarge(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]*Client{"stock": stock(t), "managed": startManaged(t, managed(t, nil))} {
		m := fstest.MapFS{"Dockerfile": {Data: []byte("FROM scratch AS a\nCOPY . /\nFROM scratch\nCOPY --from=a / /\nCOPY . /again\n"), Mode: 0o644}}
		for i := range inlineFiles - 1 {
			m[fmt.Sprint("f", i)] = &fstest.MapFile{Data: bytes.Repeat([]byte{byte(i)}, inlineBytes/inlineFiles), Mode: 0o644}
		}
		bc, err := readContext(t.Context(), m)
		if err != nil || !bc.small() || bc.bytes < inlineBytes*9/10 {
			t.Fatalf("%d bytes, %v", bc.bytes, err)
		}
		w := newWatchdog(t, "linux/amd64", "linux/arm64", "linux/arm/v7")
		res := solve(t, c, Request{Name: "near", Context: m, Platforms: threePlatforms, Watchdog: w.Watchdog, Output: Output{Push: []string{registryHost(t) + "/near/" + name + ":1"}, PlainHTTP: true}})
		if res.Digest == "" {
			t.Errorf("%s: %+v", name, res)
		}
	}
}

// Of ten thousand files, one that changed is the only one to be read again.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	c := stock(t)
	opened := &countingFS{MapFS: crowded(files("Dockerfile", "FROM scratch AS all\nCOPY many /many\nFROM scratch\nCOPY --from=all /many/099 /\nCOPY one /\n", "one", "AAAA"), 10000)}
	req := Request{Name: "ten-thousand", Context: opened}
	solve(t, c, req)
	first := opened.reset()
	opened.MapFS = maps.Clone(opened.MapFS)
	opened.MapFS["one"] = &fstest.MapFile{Data: []byte("BBBB"), Mode: 0o644}
	dir := rootFS(t, c, req)
	if got := read(t, dir, "one"); got != "BBBB" {
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
