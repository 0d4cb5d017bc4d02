package rootfs_test

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"fnb/images/rootfs"
)

const program = "the program of process 1"

func file(name, text string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Linkname: text, Size: int64(len(text))}
}

func dir(name string) tar.Header { return tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: 0o755} }

func link(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: to, Mode: 0o777}
}

func hard(name, to string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: to}
}

// layer is one of entries; what a file contains stands in its Linkname.
func layer(t testing.TB, entries ...tar.Header) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		text := ""
		if h.Typeflag == tar.TypeReg {
			text, h.Linkname = h.Linkname, ""
		}
		h.ModTime = time.Unix(1_600_000_000, 0)
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func image(t testing.TB, layers ...v1.Layer) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layers...)
	if err == nil {
		img, err = mutate.Config(img, v1.Config{Entrypoint: []string{"/usr/bin/fwatchdog"}, User: "app", Env: []string{"A=b"}})
	}
	if err == nil {
		img, err = mutate.CreatedAt(img, v1.Time{Time: time.Unix(315532801, 0)})
	}
	if err != nil {
		t.Fatal(err)
	}
	return img
}

// write writes an image's root file system, which e2fsck finds nothing wrong with.
func write(t *testing.T, img v1.Image) (path string, err error) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "root.ext4")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := rootfs.Write(t.Context(), f, img, []byte(program)); err != nil {
		return path, err
	}
	if out, err := exec.CommandContext(t.Context(), "e2fsck", "-f", "-n", path).CombinedOutput(); err != nil {
		if _, lerr := exec.LookPath("e2fsck"); lerr != nil {
			t.Skipf("%v; install it with: apt-get install e2fsprogs", lerr)
		}
		t.Errorf("e2fsck: %v\n%s", err, out)
	}
	return path, nil
}

func read(t *testing.T, path, command string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "debugfs", "-R", command, path).Output()
	if err != nil {
		t.Error(err)
	}
	return string(out)
}

// Layers lie over one another as container engines lay them.
func TestLayers(t *testing.T) {
	t.Parallel()
	path, err := write(t, image(t,
		layer(t, dir("etc/"), file("etc/kept", "kept"), file("etc/gone", "gone"), file("etc/changed", "old"), dir("etc/emptied/"), file("etc/emptied/old", "x"),
			dir("usr/lib/"), link("lib", "usr/lib"), link("here", "/usr/../usr/lib"), file("a", "linked"), hard("b", "a"), file("becomes", "a file"), dir("folder/in/"), link("up", "../../../../etc"), link("etc/resolv.conf", "/run/none")),
		layer(t, file("etc/changed", "new"), file("etc/.wh.gone", ""), file("etc/emptied/new", "new"), file("etc/emptied/.wh..wh..opq", ""), file("lib/added", "by way of a link"),
			file("here/too", "by way of two"), file("a", "another"), dir("becomes/"), file("becomes/one", "x"), file("folder", "now a file"), file("up/out", "inside")),
		layer(t, file("../../../outside", "inside"), file("/absolute", "inside"), hard("kept", "/etc/kept"), file("usr/bin/fwatchdog", program)),
	))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"/etc/kept": "kept", "/etc/changed": "new", "/etc/emptied/new": "new", "/usr/lib/added": "by way of a link", "/usr/lib/too": "by way of two",
		"/a": "another", "/b": "linked", "/becomes/one": "x", "/folder": "now a file", "/etc/out": "inside", "/outside": "inside", "/absolute": "inside", "/kept": "kept",
		"/etc/gone": "", "/etc/emptied/old": "", "/folder/in": "", "/etc/.wh.gone": "", "/usr/bin/fwatchdog": program, "/.fnb/init": program,
		"/.fnb/boot": "arg \"/usr/bin/fwatchdog\"\nenv \"A=b\"\nuser \"app\"\n",
	} {
		if got := read(t, path, "cat "+name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"/proc", "/sys", "/dev/console", "/dev/null", "/tmp", "/run", "/etc/resolv.conf"} {
		if out := read(t, path, "stat "+name); !strings.Contains(out, "Inode:") {
			t.Errorf("%s is not there", name)
		}
	}
}

// The same image makes the same bytes, another one another identity.
func TestSame(t *testing.T) {
	t.Parallel()
	watchdog := file("usr/bin/fwatchdog", program)
	img := image(t, layer(t, watchdog))
	sums := map[string]bool{}
	for range 2 {
		path, err := write(t, img)
		if err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		sums[fmt.Sprintf("%x", sha256.Sum256(data))] = true
	}
	if len(sums) != 1 {
		t.Errorf("the bytes differ: %v", sums)
	}
	path, err := write(t, img)
	if err != nil {
		t.Fatal(err)
	}
	other, err := write(t, image(t, layer(t, watchdog, file("x", "y"))))
	if err != nil {
		t.Fatal(err)
	}
	if a, b := uuid(read(t, path, "show_super_stats -h")), uuid(read(t, other, "show_super_stats -h")); a == b || a == "" {
		t.Errorf("the identities are %q and %q", a, b)
	}
}

func uuid(super string) string {
	_, rest, _ := strings.Cut(super, "Filesystem UUID:")
	id, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(id)
}

// What no engine would unpack is an error that names it.
func TestRefused(t *testing.T) {
	t.Parallel()
	user := file("x", "")
	user.Uid = -1
	for want, entries := range map[string][]tar.Header{
		`"a/b": /a is not a folder`:          {file("a", "x"), file("a/b", "y")},
		`too many symbolic links`:            {link("a", "b"), link("b", "a"), file("a/x", "y")},
		`the hard link's target: /no is not`: {hard("a", "no")},
		`a hard link of a folder`:            {dir("d"), hard("a", "d")},
		`of user -1`:                         {user},
		`the name has 300 bytes`:             {file(strings.Repeat("n", 300), "x")},
	} {
		if _, err := write(t, image(t, layer(t, entries...))); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := rootfs.Write(ctx, nil, image(t, layer(t, dir("d"))), nil); err == nil {
		t.Error("it was not interrupted")
	}
}
