package store

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"

	"fnb/internal/servers"
)

func TestPlainHTTPIsRefused(t *testing.T) {
	t.Parallel()
	s := newStore(t, Options{})
	for _, ref := range []string{"http://git.example.com/x/y", "git://git.example.com/x/y", "http://10.0.0.1/x/y"} {
		_, _, _, err := s.Resolve(t.Context(), ref, Where{Root: t.TempDir()})
		if _, ok := errors.AsType[*PlainHTTPError](err); !ok {
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
			s := newStore(t, Options{Timeout: 500 * time.Millisecond, Limits: Limits{Download: 1 << 20}})
			_, _, _, err := s.Resolve(t.Context(), server.URL+"/x/y", Where{Root: t.TempDir()})
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
}

// hostile puts a commit with a template and the given entries into a new repository.
func hostile(t *testing.T, g *servers.Git, name string, entries ...raw) string {
	t.Helper()
	commit(t, g, name, servers.Commit{Files: "-- x --\n"})
	repo, err := git.PlainOpen(filepath.Join(g.Dir, name+".git"))
	must(t, err)
	store := func(kind plumbing.ObjectType, content string) plumbing.Hash {
		o := repo.Storer.NewEncodedObject()
		o.SetType(kind)
		w, err := o.Writer()
		must(t, err)
		_, err = io.WriteString(w, content)
		must(t, errors.Join(err, w.Close()))
		h, err := repo.Storer.SetEncodedObject(o)
		must(t, err)
		return h
	}
	all := append([]raw{{"template.yml", filemode.Regular, "language: x\nfprocess: cat\n"}, {"Dockerfile", filemode.Regular, "FROM scratch\n"}}, entries...)
	var tree strings.Builder
	for _, e := range all {
		h := plumbing.NewHash(strings.Repeat("12", 20))
		if e.mode != filemode.Submodule {
			kind := plumbing.BlobObject
			if e.mode == filemode.Dir {
				kind = plumbing.TreeObject
			}
			h = store(kind, e.content)
		}
		fmt.Fprintf(&tree, "%o %s\x00%s", uint32(e.mode), e.name, h[:])
	}
	sig := object.Signature{Name: "x", Email: "x@example.com", When: time.Unix(0, 0)}
	c := &object.Commit{Author: sig, Committer: sig, Message: "x", TreeHash: store(plumbing.TreeObject, tree.String())}
	o := repo.Storer.NewEncodedObject()
	must(t, c.Encode(o))
	h, err := repo.Storer.SetEncodedObject(o)
	must(t, err)
	must(t, repo.Storer.SetReference(plumbing.NewHashReference("refs/heads/main", h)))
	return g.RepoURL(name)
}

func TestHostileRepositories(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	zeros := strings.Repeat("\x00", 3<<20)
	var many []raw
	for i := range 60 {
		many = append(many, raw{fmt.Sprintf("f%d", i), filemode.Regular, "x"})
	}
	for i, test := range []struct {
		name    string
		entries []raw
		limit   bool
	}{
		{"a path that leaves", []raw{{"..", filemode.Dir, ""}}, false},
		{"a path with a slash", []raw{{"../../evil", filemode.Regular, "x"}}, false},
		{"an absolute path", []raw{{"/evil", filemode.Regular, "x"}}, false},
		{"git's own folder", []raw{{".GIT", filemode.Dir, ""}}, false},
		{"git's own folder on Windows", []raw{{"git~1", filemode.Dir, ""}}, false},
		{"a backslash", []raw{{`a\b`, filemode.Regular, "x"}}, false},
		{"two names that differ in case", []raw{{"README", filemode.Regular, "x"}, {"readme", filemode.Regular, "y"}}, false},
		{"two names that differ in Unicode form", []raw{{"e\u0301", filemode.Regular, "x"}, {"\u00e9", filemode.Regular, "y"}}, false},
		{"a name with an escape", []raw{{"a\x1b[2J", filemode.Regular, "x"}}, false},
		{"a name that is not UTF-8", []raw{{"a\xff", filemode.Regular, "x"}}, false},
		{"a link that leaves", []raw{{"l", filemode.Symlink, "../../etc/passwd"}}, false},
		{"an absolute link", []raw{{"l", filemode.Symlink, "/etc/passwd"}}, false},
		{"a submodule", []raw{{"sub", filemode.Submodule, ""}}, false},
		{"a pointer to LFS", []raw{{"big", filemode.Regular, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"}}, false},
		{"a kind that does not exist", []raw{{"odd", 0o140000, "x"}}, false},
		{"a large file", []raw{{"zeros", filemode.Regular, zeros}}, true},
		{"many files", many, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			url := hostile(t, g, fmt.Sprintf("h%d", i), test.entries...)
			for _, u := range []string{url, "file://" + filepath.Join(g.Dir, fmt.Sprintf("h%d.git", i))} {
				dir := filepath.Join(t.TempDir(), "cache")
				s := newStore(t, Options{CacheDir: dir, Limits: Limits{File: 1 << 20, Files: 50}})
				_, _, _, err := s.Resolve(t.Context(), u, Where{Root: t.TempDir()})
				_, refused := errors.AsType[*RefusedError](err)
				_, limited := errors.AsType[*LimitError](err)
				_, unreadable := errors.AsType[*UnreachableError](err)
				if limited != test.limit || !limited && !refused && !unreadable {
					t.Errorf("%T %v", err, err)
				}
				if err != nil && strings.ContainsAny(err.Error(), "\x1b\n") {
					t.Errorf("control characters in %q", err)
				}
				if kept, _ := os.ReadDir(filepath.Join(dir, "templates")); len(kept) != 0 {
					t.Errorf("the cache has %v", kept)
				}
				t.Log(err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	g := gitServer(t, servers.GitOptions{})
	commit(t, g, "one", servers.Commit{Files: tree("template/acme=1.0.0") + "-- template/acme/more --\n" + strings.Repeat("0123456789abcdef", 1000) + "\n"})
	for name, limits := range map[string]Limits{
		"download": {Download: 200}, "unpacked": {Unpacked: 1000}, "file": {File: 1000}, "template": {Template: 1000},
		"files": {Files: 3}, "objects": {Objects: 3},
	} {
		_, _, _, err := newStore(t, Options{Limits: limits}).Resolve(t.Context(), g.RepoURL("one"), Where{Root: t.TempDir()})
		if e, ok := errors.AsType[*LimitError](err); !ok || !strings.Contains(err.Error(), fmt.Sprint(e.Limit)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDeltaBomb checks a pack whose small delta stands for a gigabyte.
func TestDeltaBomb(t *testing.T) {
	t.Parallel()
	var pack bytes.Buffer
	pack.WriteString("PACK\x00\x00\x00\x02\x00\x00\x00\x02")
	object := func(kind byte, size int, base, content []byte) {
		first := kind<<4 | byte(size&15)
		if size >>= 4; size > 0 {
			first |= 0x80
		}
		pack.WriteByte(first)
		for ; size > 0; size >>= 7 {
			b := byte(size & 0x7f)
			if size > 0x7f {
				b |= 0x80
			}
			pack.WriteByte(b)
		}
		pack.Write(base)
		z := zlib.NewWriter(&pack)
		_, err := z.Write(content)
		must(t, errors.Join(err, z.Close()))
	}
	object(3, 2, nil, []byte("hi"))
	h := plumbing.ComputeHash(plumbing.BlobObject, []byte("hi"))
	delta := []byte{2, 0x80, 0x80, 0x80, 0x80, 0x04, 0x90, 2} // from 2 bytes to 1 GiB
	object(7, len(delta), h[:], delta)
	sum := sha1.Sum(pack.Bytes())
	pack.Write(sum[:])
	err := checkPack(t.Context(), bytes.NewReader(pack.Bytes()), "bomb", Limits{}.withDefaults())
	if e, ok := errors.AsType[*LimitError](err); !ok || !strings.Contains(e.What, "1073741824") {
		t.Errorf("%v", err)
	}
	for cut := range pack.Len() - 20 {
		if err := checkPack(t.Context(), bytes.NewReader(pack.Bytes()[:cut]), "cut", Limits{}.withDefaults()); err == nil {
			t.Errorf("cut after %d bytes: no error", cut)
		}
	}
}

func TestDeltaTarget(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		in   []byte
		want int64
	}{
		{[]byte{5, 7, 0x90}, 7},
		{[]byte{0x80, 0x01, 0xff, 0xff, 0xff, 0x7f}, 0x0fffffff},
		{[]byte{5}, -1},
		{nil, -1},
		{[]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, -1},
	} {
		b := &beginning{}
		if _, err := b.Write(test.in); err != nil {
			t.Fatal(err)
		}
		if got := b.target(); got != test.want {
			t.Errorf("%x: %d, want %d", test.in, got, test.want)
		}
	}
}
