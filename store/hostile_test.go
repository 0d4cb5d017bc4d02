package store_test

import (
	"bufio"
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/store"
	"fnb/store/git"
)

func TestPlainHTTPIsRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t, store.Options{})
	for _, ref := range []string{"http://git.example.com/x/y", "git://git.example.com/x/y", "http://10.0.0.1/x/y"} {
		_, _, _, err := s.Resolve(t.Context(), ref, store.Scope{Root: t.TempDir()})
		if _, ok := errors.AsType[*git.PlainHTTPError](err); !ok {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestBadServers(t *testing.T) {
	t.Parallel()
	outside := filepath.Join(t.TempDir(), "outside")
	for name, handler := range map[string]http.HandlerFunc{
		"keeps silent": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"stalls in the middle": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			_, _ = io.WriteString(w, "001e# service=git-upload-pack\n0000")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		},
		"answers 500":        func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "\x1b[2Joops", 500) },
		"answers a web page": func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>") },
		"answers nothing":    func(http.ResponseWriter, *http.Request) {},
		"leads to a file":    func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "file://"+outside, http.StatusFound) },
		"leads out of encryption": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://git.example.com/info/refs", http.StatusFound)
		},
		"cuts the connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"talks without end": func(w http.ResponseWriter, _ *http.Request) {
			for range 1 << 16 {
				if _, err := io.WriteString(w, strings.Repeat("fff0"+strings.Repeat("x", 0xffec), 1)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(handler)
			t.Cleanup(func() {
				server.CloseClientConnections()
				server.Close()
			})
			start := time.Now()
			s := newStore(t, store.Options{Timeout: 500 * time.Millisecond, Limits: git.Limits{Download: 1 << 20}})
			_, _, _, err := s.Resolve(t.Context(), server.URL+"/x/y", store.Scope{Root: t.TempDir()})
			if err == nil {
				t.Fatal("no error")
			}
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("took %v", d)
			}
			if strings.ContainsAny(err.Error(), "\x1b\n") {
				t.Errorf("control characters in %q", err)
			}
			t.Log(err)
		})
	}
}

// A raw entry of a tree, as no git would make it.
type raw struct {
	name    string
	mode    filemode.FileMode
	content string
	below   []raw // of a folder, instead of content
}

// A rawStore puts objects into a repository, whatever they are.
type rawStore struct {
	t    *testing.T
	repo *gogit.Repository
}

func (s rawStore) object(kind plumbing.ObjectType, content string) plumbing.Hash {
	s.t.Helper()
	o := s.repo.Storer.NewEncodedObject()
	o.SetType(kind)
	w, err := o.Writer()
	fixture.Must(s.t, err)
	_, err = io.WriteString(w, content)
	fixture.Must(s.t, errors.Join(err, w.Close()))
	h, err := s.repo.Storer.SetEncodedObject(o)
	fixture.Must(s.t, err)
	return h
}

func (s rawStore) tree(entries []raw) plumbing.Hash {
	s.t.Helper()
	var tree strings.Builder
	for _, e := range entries {
		h := plumbing.NewHash(strings.Repeat("12", 20))
		switch {
		case len(e.below) > 0:
			h = s.tree(e.below)
		case strings.HasPrefix(e.content, "= "):
			h = plumbing.NewHash(strings.TrimPrefix(e.content, "= "))
		case e.mode == filemode.Dir:
			h = s.object(plumbing.TreeObject, e.content)
		case e.mode != filemode.Submodule:
			h = s.object(plumbing.BlobObject, e.content)
		}
		fmt.Fprintf(&tree, "%o %s\x00%s", uint32(e.mode), e.name, h[:])
	}
	return s.object(plumbing.TreeObject, tree.String())
}

// hostile puts a commit with a template and the given entries into a new repository.
func hostile(t *testing.T, g *servers.Git, name string, entries ...raw) string {
	t.Helper()
	all := append([]raw{{"template.yml", filemode.Regular, "language: x\nfprocess: cat\n", nil}, {"Dockerfile", filemode.Regular, "FROM scratch\n", nil}}, entries...)
	return hostileRepo(t, g, name, all)
}

// hostileRepo puts a commit with exactly the entries into a new repository. The content
// "= HASH" stands for an object that is there already.
func hostileRepo(t *testing.T, g *servers.Git, name string, entries []raw) string {
	t.Helper()
	commit(t, g, name, servers.Commit{Files: "-- x --\n"})
	repo, err := gogit.PlainOpen(filepath.Join(g.Dir, name+".git"))
	fixture.Must(t, err)
	sig := object.Signature{Name: "x", Email: "x@example.com", When: time.Unix(0, 0)}
	c := &object.Commit{Author: sig, Committer: sig, Message: "x", TreeHash: rawStore{t, repo}.tree(entries)}
	o := repo.Storer.NewEncodedObject()
	fixture.Must(t, c.Encode(o))
	h, err := repo.Storer.SetEncodedObject(o)
	fixture.Must(t, err)
	fixture.Must(t, repo.Storer.SetReference(plumbing.NewHashReference("refs/heads/main", h)))
	return g.RepoURL(name)
}

// chain is a link to a link and so on, n of them, and a file at last.
func chain(n int) []raw {
	all := []raw{{"l0", filemode.Regular, "x", nil}}
	for i := range n {
		all = append(all, raw{fmt.Sprintf("l%d", i+1), filemode.Symlink, fmt.Sprintf("l%d", i), nil})
	}
	return all
}

// deep is a file in n folders, one in the other.
func deep(n int) raw {
	e := raw{"f", filemode.Regular, "x", nil}
	for range n {
		e = raw{"d", filemode.Dir, "", []raw{e}}
	}
	return e
}

// long is a file in n folders with long names.
func long(n int) raw {
	e := raw{"f", filemode.Regular, "x", nil}
	for range n {
		e = raw{strings.Repeat("d", 200), filemode.Dir, "", []raw{e}}
	}
	return e
}

func TestHostileRepositories(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	file := func(name, content string) raw { return raw{name, filemode.Regular, content, nil} }
	link := func(name, to string) raw { return raw{name, filemode.Symlink, to, nil} }
	folder := func(name string, below ...raw) raw { return raw{name, filemode.Dir, "", below} }
	var many []raw
	for i := range 60 {
		many = append(many, file(fmt.Sprintf("f%d", i), "x"))
	}
	for i, test := range []struct {
		name    string
		entries []raw
		want    string // in the error; "" for none
		limit   bool
	}{
		{"a path that leaves", []raw{folder("..", file("evil", "x"))}, "..: leaves its folder", false},
		{"a path with a slash", []raw{file("../../evil", "x")}, "leaves its folder", false},
		{"an absolute path", []raw{file("/evil", "x")}, "evil: leaves its folder", false},
		{"git's own folder", []raw{folder(".GIT", file("config", "x"))}, ".GIT: would be git's own folder", false},
		{"git's own folder, below", []raw{folder("a", folder(".git", file("config", "x")))}, "a/.git: would be git's own folder", false},
		{"git's own folder on Windows", []raw{folder("git~1", file("config", "x"))}, "would be git's own folder", false},
		{"git's own folder, with dots", []raw{folder(".git. .", file("config", "x"))}, "would be git's own folder", false},
		{"git's own folder, with what is not seen", []raw{folder(".g\u200cit", file("config", "x"))}, "characters that a file's name must not have", false},
		{"a backslash", []raw{file(`a\b`, "x")}, `a\b: leaves its folder`, false},
		{"two names that differ in case", []raw{file("README", "x"), file("readme", "y")}, `readme: "readme" is the same name as "README"`, false},
		{"two folders that differ in case", []raw{folder("A", file("x", "x")), folder("a", file("x", "y"))}, `"a" is the same name as "A"`, false},
		{"two names that differ in Unicode form", []raw{file("e\u0301", "x"), file("\u00e9", "y")}, `"\u00e9" is the same name as "e\u0301"`, false},
		{"one name twice", []raw{file("x", "x"), file("x", "y")}, "is the same name as", false},
		{"a name with an escape", []raw{file("a\x1b[2J", "x")}, `"a\x1b[2J": has characters`, false},
		{"a name that is not UTF-8", []raw{file("a\xff", "x")}, `"a\xff": has characters`, false},
		{"a link that leaves", []raw{link("l", "../../etc/passwd")}, "l: is a link that leaves the template, to ../../etc/passwd", false},
		{"an absolute link", []raw{link("l", "/etc/passwd")}, "l: is a link that leaves the template, to /etc/passwd", false},
		{"a link that leaves by another", []raw{folder("s", link("up", "..")), link("x", "s/up/../etc/passwd")}, "x: is a link that leaves the template by way of another", false},
		{"a file below a link", []raw{link("out", "function"), folder("out", file("evil", "x"))}, "is the same name as", false},
		{"links in a circle", []raw{link("a", "b"), link("b", "a")}, "a: is a link in a circle", false},
		{"a chain of links", chain(9), "l9: is a link in a circle, or by way of more others than the limit of 8", false},
		{"a shorter chain of links", chain(8), "", false},
		{"a link to nothing", []raw{link("l", "nothing/here")}, "", false},
		{"a submodule", []raw{{"sub", filemode.Submodule, "", nil}}, "sub: is a submodule, which templates cannot have", false},
		{"a pointer to LFS", []raw{file("big", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")}, "big: is kept in Git LFS", false},
		{"a kind that does not exist", []raw{{"odd", 0o140000, "x", nil}}, "odd: is ", false},
		{"a FIFO", []raw{{"pipe", 0o010644, "x", nil}}, "pipe: is ", false},
		{"a device", []raw{{"null", 0o020666, "x", nil}}, "null: is ", false},
		{"a large file", []raw{file("zeros", strings.Repeat("\x00", 3<<20))}, " than the limit of 1048576", true},
		{"many files", many, "the template has more files than the limit of 50", true},
		{"many folders in each other", []raw{deep(70)}, "nested deeper than the limit of 64", true},
		{"a long path", []raw{long(6)}, "a path is longer than the limit of 1024", true},
		{"a long name", []raw{file(strings.Repeat("a", 256), "x")}, "a name is longer than the limit of 255", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url := hostile(t, g, fmt.Sprintf("h%d", i), test.entries...)
			for _, u := range []string{url, "file://" + filepath.Join(g.Dir, fmt.Sprintf("h%d.git", i))} {
				home := t.TempDir()
				cache := filepath.Join(home, "a", "b", "cache") // out of which something might lead
				limits := git.Limits{File: 1 << 20, Files: 80}
				if test.name == "many files" {
					limits.Files = 50
				}
				s := newStore(t, store.Options{CacheDir: cache, Limits: limits})
				_, _, _, err := s.Resolve(t.Context(), u, store.Scope{Root: t.TempDir()})
				checkRefused(t, err, test.want, test.limit)
				if test.want != "" && templatesIn(t, cache) != 0 {
					t.Error("the cache keeps it")
				}
				for _, dir := range []string{home, filepath.Join(home, "a"), filepath.Join(home, "a", "b")} {
					if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
						t.Errorf("%s has %v, %v", dir, entries, err)
					}
				}
			}
		})
	}
	t.Cleanup(func() {
		if _, err := os.Lstat("/evil"); err == nil {
			t.Error("/evil is there")
		}
	})
}

// checkRefused wants an error for what a repository has, of one line.
func checkRefused(t *testing.T, err error, want string, limit bool) {
	t.Helper()
	if want == "" {
		fixture.Must(t, err)
		return
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Fatalf("%v, want %q", err, want)
	}
	if fixture.Is[*git.LimitError](err) != limit || !limit && !fixture.Is[*git.RefusedError](err) {
		t.Errorf("it is %T", err)
	}
	if strings.ContainsAny(err.Error(), "\x1b\n") {
		t.Errorf("control characters in %q", err)
	}
}

// TestManyFiles has a template with 100 000 files, and one of ten folders in each of ten
// folders and so on, which has more than any disk.
func TestManyFiles(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	const x = "= 587be6b4c3f93f93c489c0111bba5596147a26cb" // "x\n"
	many := []raw{{"x", filemode.Regular, "x\n", nil}}
	for i := range 100_000 {
		many = append(many, raw{fmt.Sprintf("f%06d", i), filemode.Regular, x, nil})
	}
	commit(t, g, "bomb", servers.Commit{Files: "-- x --\n"})
	repo, err := gogit.PlainOpen(filepath.Join(g.Dir, "bomb.git"))
	fixture.Must(t, err)
	bomb := []raw{{"x", filemode.Regular, "x\n", nil}}
	for range 30 {
		h := rawStore{t, repo}.tree(bomb)
		bomb = nil
		for i := range 10 {
			bomb = append(bomb, raw{fmt.Sprintf("d%d", i), filemode.Dir, "= " + h.String(), nil})
		}
	}
	for name, entries := range map[string][]raw{"many": many, "bomb": bomb} {
		url := hostile(t, g, name, entries...)
		cache := filepath.Join(t.TempDir(), "cache")
		_, _, _, err := newStore(t, store.Options{CacheDir: cache}).Resolve(t.Context(), url, store.Scope{Root: t.TempDir()})
		checkRefused(t, err, "the template has more files than the limit of 10000", true)
		if left, err := os.ReadDir(filepath.Join(cache, "unfinished")); err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v %v", name, left, err)
		}
	}
}

// zeros puts a blob of two gigabytes into a repository and returns its name.
func zeros(t *testing.T, g *servers.Git, repo string) string {
	t.Helper()
	const size, name = 2 << 30, "77e9132b46cb9535f286f18974872f40049d1a89" // of that many
	file := filepath.Join(g.Dir, repo+".git", "objects", name[:2], name[2:])
	fixture.Must(t, os.MkdirAll(filepath.Dir(file), 0o755))
	f, err := os.Create(file)
	fixture.Must(t, err)
	// A mebibyte, compressed once, stands for each.
	var block bytes.Buffer
	z, err := flate.NewWriter(&block, flate.BestSpeed)
	fixture.Must(t, err)
	_, err = z.Write(make([]byte, 1<<20))
	fixture.Must(t, errors.Join(err, z.Flush()))
	header := fmt.Sprintf("blob %d\x00", size)
	w := bufio.NewWriter(f)
	_, err = w.Write([]byte{0x78, 0x01, 0, byte(len(header)), 0, ^byte(len(header)), 0xff})
	fixture.Must(t, err)
	_, err = w.WriteString(header)
	fixture.Must(t, err)
	for range size >> 20 {
		_, err := w.Write(block.Bytes())
		fixture.Must(t, err)
	}
	_, err = w.Write([]byte{1, 0, 0, 0xff, 0xff, 0, 0, 0, 0}) // the end; nobody gets as far as the sum
	fixture.Must(t, errors.Join(err, w.Flush(), f.Close()))
	return name
}

// TestHugeFile has a file of two gigabytes in a template and in a store: its size is
// looked at, and no more. Nothing runs at the same time, so that memory can be measured.
func TestHugeFile(t *testing.T) {
	g := gitServer(t, servers.GitOptions{})
	record := []raw{{"v", filemode.Dir, "", []raw{{"1.0.0.json", filemode.Regular, "", nil}}}}
	for _, kind := range []string{"template", "store"} {
		commit(t, g, kind, servers.Commit{Files: "-- y --\n"})
		huge := "= " + zeros(t, g, kind)
		record[0].below[0].content = huge
		if kind == "template" {
			hostile(t, g, kind, raw{"huge", filemode.Regular, huge, nil})
		} else {
			hostileRepo(t, g, kind, []raw{
				{"store.json", filemode.Regular, `{"v": 1}`, nil},
				{"templates", filemode.Dir, "", []raw{{"acme", filemode.Dir, "", []raw{{"echo", filemode.Dir, "", record}}}}},
			})
		}
		for _, url := range []string{g.RepoURL(kind), "file://" + filepath.Join(g.Dir, kind+".git")} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			s := withStores(t, store.Options{})
			if kind == "template" {
				_, _, _, err := s.Resolve(t.Context(), url, store.Scope{Root: t.TempDir()})
				checkRefused(t, err, "than the limit of 33554432", true)
				t.Log(err)
			} else {
				_, notes, err := s.AddStore(t.Context(), "main", url, nil)
				if err != nil || len(notes) != 1 || !strings.Contains(notes[0], "1.0.0.json: the file has more bytes than the limit of 262144") {
					t.Errorf("%s: %q %v", url, notes, err)
				}
			}
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 256<<20 {
				t.Errorf("%s: took %d MiB", url, took>>20)
			}
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0") + "-- template/acme/more --\n" + strings.Repeat("0123456789abcdef", 1000) + "\n"})
	for name, limits := range map[string]git.Limits{
		"download": {Download: 200}, "unpacked": {Unpacked: 1000}, "file": {File: 1000}, "template": {Template: 1000},
		"files": {Files: 3}, "objects": {Objects: 3},
	} {
		_, _, _, err := newStore(t, store.Options{Limits: limits}).Resolve(t.Context(), g.RepoURL("one"), store.Scope{Root: t.TempDir()})
		if e, ok := errors.AsType[*git.LimitError](err); !ok || !strings.Contains(err.Error(), fmt.Sprint(e.Limit)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
