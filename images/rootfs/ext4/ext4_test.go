package ext4_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/images/rootfs/ext4"
)

var day = time.Unix(1_700_000_000, 123_456_789)

func dir(children map[string]*ext4.Node) *ext4.Node {
	if children == nil {
		children = map[string]*ext4.Node{}
	}
	return &ext4.Node{Mode: ext4.TypeDir | 0o755, Time: day, Children: children}
}

func file(size int64) *ext4.Node {
	return &ext4.Node{Mode: ext4.TypeFile | 0o640, UID: 70000, GID: 1000, Size: size, Time: day}
}

// everything has each kind of node.
func everything() *ext4.Node {
	linked := file(5000)
	return dir(map[string]*ext4.Node{
		"etc":                    dir(map[string]*ext4.Node{"empty": file(0), "one": linked, "two": linked}),
		"deep":                   dir(map[string]*ext4.Node{"a": dir(map[string]*ext4.Node{"b": dir(nil)})}),
		"short":                  {Mode: ext4.TypeLink | 0o777, Link: "etc/one", Time: day},
		"exact":                  {Mode: ext4.TypeLink | 0o777, Link: strings.Repeat("x", 60), Time: day},
		"long":                   {Mode: ext4.TypeLink | 0o777, Link: strings.Repeat("../x/", 200), Time: day},
		"null":                   {Mode: ext4.TypeChar | 0o666, Device: ext4.Device(1, 3), Time: day},
		"vast":                   {Mode: ext4.TypeBlock | 0o600, Device: ext4.Device(259, 1048575), Time: day},
		"fifo":                   {Mode: ext4.TypeFIFO | 0o600, Time: day},
		"ping":                   {Mode: ext4.TypeFile | 0o755, Size: 3, Time: day, Xattrs: map[string]string{"security.capability": strings.Repeat("\x01", 20)}},
		"spoken":                 {Mode: ext4.TypeFile | 0o755, Time: time.Unix(1<<32+5, 0), Xattrs: map[string]string{"user.long": strings.Repeat("v", 3000), "user.a": "1", "trusted.x": "", "system.posix_acl_access": "left out"}},
		strings.Repeat("n", 255): file(1),
	})
}

// write writes a tree, with content for each file, into a file that is removed with the test.
func write(t *testing.T, root *ext4.Node, o ext4.Options) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fs")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fs, err := ext4.Lay(root, o)
	if err == nil {
		err = f.Truncate(fs.Size())
	}
	if err != nil {
		t.Fatal(err)
	}
	var fill func(n *ext4.Node)
	fill = func(n *ext4.Node) {
		if n.IsFile() && n.Size < 1<<20 {
			if err := fs.PutContent(f, n, bytes.NewReader(bytes.Repeat([]byte("content\n"), int(n.Size)/8+1))); err != nil {
				t.Fatal(err)
			}
		}
		for _, c := range n.Children {
			fill(c)
		}
	}
	fill(root)
	if err := fs.Finish(f); err != nil {
		t.Fatal(err)
	}
	return path
}

// tool runs a program of e2fsprogs, where there is one.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%v; install it with: apt-get install e2fsprogs", err)
	}
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func TestEverything(t *testing.T) {
	t.Parallel()
	path := write(t, everything(), ext4.Options{UUID: [16]byte{1, 2, 3}, HashSeed: [16]byte{4}, Label: "hello", Time: day, Free: 1 << 20})
	out := tool(t, "e2fsck", "-f", "-n", path)
	for _, bad := range []string{"ix?", "WARNING"} {
		if strings.Contains(out, bad) {
			t.Errorf("e2fsck:\n%s", out)
		}
	}
	for cmd, want := range map[string]string{
		"cat /etc/two":             "content",
		"stat /etc/one":            "Links: 2",
		"stat /etc/empty":          "User: 70000   Group:  1000",
		"stat /long":               "Size: 1000",
		"stat /short":              `Fast link dest: "etc/one"`,
		"stat /null":               "Device major/minor number: 01:03",
		"stat /vast":               "Device major/minor number: 259:1048575",
		"stat /spoken":             "2106", // a year that 32 bits do not have
		"ea_get /spoken user.long": "vvvv",
		"ea_list /ping":            "security.capability (20)",
		"stat /deep/a/b":           "Type: directory",
		"show_super_stats -h":      "01020300-0000-0000-0000-000000000000",
		"ls -l /":                  "lost+found",
	} {
		if out := tool(t, "debugfs", "-R", cmd, path); !strings.Contains(out, want) {
			t.Errorf("%s: %q is not in\n%s", cmd, want, out)
		}
	}
	if out := tool(t, "debugfs", "-R", "ea_list /spoken", path); strings.Contains(out, "posix_acl") {
		t.Errorf("an access list, which has another form: %s", out)
	}
}

// A file system has many folders, large folders, and files in more pieces than an inode holds.
func TestLarge(t *testing.T) {
	t.Parallel()
	many := map[string]*ext4.Node{}
	for i := range 40_000 {
		many[fmt.Sprintf("file-%d", i)] = file(1)
	}
	root := dir(map[string]*ext4.Node{"many": dir(many), "a": file(600 << 20), "b": file(2 << 30), "c": file(5000)})
	for i := range 300 {
		root.Children[fmt.Sprint("dir", i)] = dir(nil)
	}
	path := write(t, root, ext4.Options{Time: day, Free: 1 << 20})
	tool(t, "e2fsck", "-f", "-n", path)
	if out := tool(t, "debugfs", "-R", "stat /b", path); !strings.Contains(out, "(ETB0)") {
		t.Errorf("it has no block of extents: %s", out)
	}
}

// Sizes around the borders of groups.
func TestBorders(t *testing.T) {
	t.Parallel()
	for _, mb := range []int64{120, 126, 127, 128, 129, 255, 256, 257, 385} {
		for _, free := range []int64{0, 4096, 300 << 10} {
			path := write(t, dir(map[string]*ext4.Node{"a": file(mb << 20)}), ext4.Options{Time: day, Free: free})
			if tool(t, "e2fsck", "-f", "-n", path); t.Failed() {
				t.Fatalf("%d MB and %d bytes", mb, free)
			}
			_ = os.Remove(path)
		}
	}
}

// The same tree makes the same bytes.
func TestSame(t *testing.T) {
	t.Parallel()
	var sums [2]string
	for i := range sums {
		f, err := os.Open(write(t, everything(), ext4.Options{Time: day}))
		if err != nil {
			t.Fatal(err)
		}
		h := sha256.New()
		_, err = io.Copy(h, f)
		_ = f.Close()
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = fmt.Sprintf("%x", h.Sum(nil))
	}
	if sums[0] != sums[1] {
		t.Error(sums)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for want, n := range map[string]*ext4.Node{
		"the name has 256 bytes":         dir(map[string]*ext4.Node{strings.Repeat("n", 256): file(1)}),
		"a link's target has 0 bytes":    dir(map[string]*ext4.Node{"l": {Mode: ext4.TypeLink}}),
		"a link's target has 4096 bytes": dir(map[string]*ext4.Node{"l": {Mode: ext4.TypeLink, Link: strings.Repeat("l", 4096)}}),
		"this file system takes":         dir(map[string]*ext4.Node{"f": file(1 << 50)}),
		"lost+found is not a folder":     dir(map[string]*ext4.Node{"lost+found": file(1)}),
		"the root is not a folder":       file(1),
		"attributes do not fit":          dir(map[string]*ext4.Node{"f": {Mode: ext4.TypeFile, Xattrs: map[string]string{"user.a": strings.Repeat("x", 5000)}}}),
	} {
		if _, err := ext4.Lay(n, ext4.Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, not %q", err, want)
		}
	}
}
