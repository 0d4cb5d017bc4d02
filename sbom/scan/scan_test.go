package scan_test

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"fnb/sbom"
	"fnb/sbom/scan"
)

// files are those of a layer; a program begins with "#!" or ELF's mark.
type files map[string]string

func layer(t testing.TB, all files) v1.Layer {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: int64(mode(all[name])), Size: int64(len(all[name])), ModTime: time.Unix(1, 0)}
		if to, ok := strings.CutPrefix(all[name], "link to "); ok {
			h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, to, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size > 0 {
			if _, err := io.WriteString(w, all[name]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b.Bytes())), nil }, tarball.WithCompressionLevel(gzip.NoCompression))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func mode(content string) fs.FileMode {
	if strings.HasPrefix(content, elf.ELFMAG) {
		return 0o755
	}
	return 0o644
}

func image(t testing.TB, layers ...files) v1.Image {
	t.Helper()
	img := empty.Image
	for _, l := range layers {
		var err error
		if img, err = mutate.AppendLayers(img, layer(t, l)); err != nil {
			t.Fatal(err)
		}
	}
	return img
}

func find(t testing.TB, layers ...files) scan.Found {
	t.Helper()
	found, err := scan.Image(t.Context(), image(t, layers...))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// names are "ecosystem name version" of what was found.
func names(found scan.Found) []string {
	var out []string
	for _, p := range found.Packages {
		out = append(out, strings.TrimSpace(p.Ecosystem+" "+p.Name+" "+p.Version))
	}
	slices.Sort(out)
	return out
}

// archive is one of Java.
func archive(t testing.TB, all files) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(all)) {
		w, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(w, all[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// auditable is a program with the list of crates that cargo-auditable puts into one.
func auditable(t testing.TB, list string) string {
	t.Helper()
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := io.WriteString(z, list); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return program(t, ".dep-v0", packed.String(), 200_000)
}

// language is a program that runs a language, with words before those that name its version.
func language(t testing.TB, words string) string {
	t.Helper()
	return program(t, ".rodata", strings.Repeat("Deno/0.80.0 Bun v1.x node.js/v", 100_000)+words, 8<<20)
}

// program is one with a section and some bytes more.
func program(t testing.TB, section, content string, more int) string {
	t.Helper()
	const head = 64
	names := "\x00" + section + "\x00.shstrtab\x00"
	at := uint64(head + len(names) + len(content))
	var b bytes.Buffer
	h := elf.Header64{Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: 1, Shoff: at, Ehsize: head, Shentsize: 64, Shnum: 3, Shstrndx: 2}
	copy(h.Ident[:], elf.ELFMAG+"\x02\x01\x01")
	sections := []elf.Section64{
		{},
		{Name: 1, Type: uint32(elf.SHT_PROGBITS), Off: head + uint64(len(names)), Size: uint64(len(content))},
		{Name: uint32(len(section) + 2), Type: uint32(elf.SHT_STRTAB), Off: head, Size: uint64(len(names))},
	}
	for _, part := range []any{h, []byte(names), []byte(content), sections, make([]byte, more)} {
		if err := binary.Write(&b, binary.LittleEndian, part); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

const crates = `{"packages":[{"name":"app","version":"0.1.0","source":"local","dependencies":[1],"root":true},
{"name":"serde","version":"1.0.2","source":"crates.io"},{"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"}]}`

// debian has what Debian's images have.
func debian() files {
	return files{
		"etc/os-release":                  "ID=debian\nVERSION_ID=\"12\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n",
		"var/lib/dpkg/status":             "Package: libc6\nStatus: install ok installed\nMaintainer: A <a@b>\nArchitecture: amd64\nSource: glibc (2.36-9)\nVersion: 2.36-9+deb12u1\nDescription: x\n Version: not this\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: zlib1g\nStatus: install ok installed\nArchitecture: amd64\nSource: zlib\nVersion: 1:1.2\n",
		"var/lib/dpkg/status.d/tz":        "Package: tzdata\nVersion: 2024a-0\nArchitecture: all\n",
		"var/lib/dpkg/status.d/a.md5sums": "Package: no\nVersion: 1\n",
		"usr/share/doc/x/package.json":    `{}`,
	}
}

// everything is an image with packages of all kinds.
func everything(t testing.TB) files {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	all := debian()
	maps.Copy(all, files{
		"home/app/venv/lib/python3.13/site-packages/requests-2.32.0.dist-info/METADATA":      "Metadata-Version: 2.1\nName: Requests\nVersion: 2.32.0\nLicense: Apache-2.0\nRequires-Dist: url_Lib3 (<3,>=1.21)\nRequires-Dist: PySocks ; extra == 'socks'\n\nName: body\n",
		"home/app/venv/lib/python3.13/site-packages/urllib3-2.0.dist-info/METADATA":          "Name: url.lib3\nVersion: 2.0\n",
		"home/app/venv/lib/python3.13/site-packages/setuptools/_vendor/w.dist-info/METADATA": "Name: wheel\nVersion: 0.4\n",
		"home/app/venv/lib/python3.13/site-packages/a/b/c.dist-info/METADATA":                "Name: hidden\nVersion: 1\n",
		"home/app/node_modules/left-pad/package.json":                                        `{"name":"left-pad","version":"1.3.0","license":{"type":"WTFPL"}}`,
		"home/app/node_modules/left-pad/test/package.json":                                   `{"name":"fixture","version":"1.3.0"}`,
		"home/app/node_modules/@types/node/package.json":                                     `{"name":"@types/node","version":"24.0.0"}`,
		"home/app/node_modules/.pnpm/ms@2.1.3/node_modules/ms/package.json":                  `{"name":"ms","version":"2.1.3"}`,
		"home/app/node_modules/a/node_modules/b/package.json":                                `{"name":"b","version":"1.0.0"}`,
		"home/app/package.json":                            `{"name":"handler","version":"9.9.9"}`,
		"home/app/vendor/jsr.io/@std/path/1.0.8_meta.json": `{}`,
		"home/app/lib/a.jar":                               archive(t, files{"META-INF/maven/org.x/a/pom.properties": "groupId=org.x\nartifactId=a\nversion=1.2\n", "lib/in.jar": archive(t, files{"META-INF/maven/org.y/in/pom.properties": "#x\nversion=3\nartifactId=in\ngroupId=org.y\n"})}),
		"home/app/lib/plain-2.1.jar":                       archive(t, files{"META-INF/MANIFEST.MF": "Manifest-Version: 1.0\r\nBundle-SymbolicName: com.\r\n example.plain;x=1\r\nImplementation-Version: 9\r\n"}),
		"home/app/function.jar":                            archive(t, files{"A.class": "x"}),
		"opt/java/openjdk/release":                         "IMPLEMENTOR=\"Eclipse Adoptium\"\nJAVA_RUNTIME_VERSION=\"21.0.5+11-LTS\"\nMODULES=\"java.base\"\n",
		"usr/local/include/python3.13/patchlevel.h":        "#define PY_VERSION      \t\t\"3.13.1\"\n",
		"usr/local/include/node/node_version.h":            "#define NODE_MAJOR_VERSION 24\n#define NODE_MINOR_VERSION 1\n#define NODE_PATCH_VERSION 0\n",
		"home/app/handler":                                 string(program),
		"home/app/rusty":                                   auditable(t, crates),
	})
	return all
}

func TestImage(t *testing.T) {
	t.Parallel()
	found := find(t, everything(t))
	if len(found.Unread) > 0 {
		t.Error(found.Unread)
	}
	if want := (sbom.System{ID: "debian", Version: "12", Name: "Debian GNU/Linux 12 (bookworm)"}); found.System != want {
		t.Errorf("the system is %+v", found.System)
	}
	got := slices.DeleteFunc(names(found), func(s string) bool {
		return strings.HasPrefix(s, "Go ") && !strings.HasPrefix(s, "Go stdlib 1.") // a test's program does not list its modules
	})
	for i, s := range got {
		if strings.HasPrefix(s, "Go ") {
			got[i] = s[:strings.LastIndex(s, " ")]
		}
	}
	want := []string{
		"Debian:12 libc6 2.36-9+deb12u1", "Debian:12 tzdata 2024a-0", "Debian:12 zlib1g 1:1.2", "Go stdlib", "JSR @std/path 1.0.8",
		"Maven com.example:plain 2.1", "Maven org.x:a 1.2", "Maven org.y:in 3", "PyPI requests 2.32.0", "PyPI url-lib3 2.0", "PyPI wheel 0.4",
		"crates.io app 0.1.0", "crates.io serde 1.0.2", "handler 9.9.9", "node 24.1.0", "npm @types/node 24.0.0", "npm b 1.0.0", "npm left-pad 1.3.0", "npm ms 2.1.3", "openjdk 21.0.5+11-LTS", "python 3.13.1",
	}
	if !slices.Equal(got, want) {
		t.Errorf("found\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for _, p := range found.Packages {
		switch p.Name {
		case "libc6":
			if p.PURL != "pkg:deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64&distro=debian-12&upstream=glibc%402.36-9" || p.Source != (sbom.Source{Name: "glibc", Version: "2.36-9"}) {
				t.Errorf("%+v", p)
			}
		case "zlib1g":
			if p.Source != (sbom.Source{Name: "zlib", Version: "1:1.2"}) {
				t.Errorf("%+v", p)
			}
		case "requests":
			if !slices.Equal(p.DependsOn, []string{"pkg:pypi/url-lib3@2.0"}) || p.Licence != "Apache-2.0" {
				t.Errorf("%+v", p)
			}
		case "handler":
			if p.PURL != "pkg:generic/handler@9.9.9" || p.Ecosystem != "" {
				t.Errorf("%+v", p)
			}
		case "@types/node":
			if p.PURL != "pkg:npm/%40types/node@24.0.0" {
				t.Errorf("%+v", p)
			}
		case "app":
			if !slices.Equal(p.DependsOn, []string{"pkg:cargo/serde@1.0.2"}) || p.Evidence != sbom.Compiled {
				t.Errorf("%+v", p)
			}
		}
	}
}

// What a layer above has removed or has another of is not there.
func TestLayers(t *testing.T) {
	t.Parallel()
	lower := files{"n/node_modules/a/package.json": `{"name":"a","version":"1.0.0"}`, "n/node_modules/b/package.json": `{"name":"b","version":"1.0.0"}`, "n/node_modules/c/package.json": `{"name":"c","version":"1.0.0"}`}
	for name, c := range map[string]struct {
		upper files
		want  string
	}{
		"a file":            {files{"n/node_modules/a/.wh.package.json": ""}, "npm b 1.0.0,npm c 1.0.0"},
		"a folder":          {files{"n/.wh.node_modules": ""}, ""},
		"a folder's files":  {files{"n/node_modules/.wh..wh..opq": "", "n/node_modules/d/package.json": `{"name":"d","version":"1.0.0"}`}, "npm d 1.0.0"},
		"another version":   {files{"n/node_modules/a/package.json": `{"name":"a","version":"2.0.0"}`}, "npm a 2.0.0,npm b 1.0.0,npm c 1.0.0"},
		"a link":            {files{"n/node_modules/a/package.json": "link to ../b/package.json"}, "npm b 1.0.0,npm c 1.0.0"},
		"a file for folder": {files{"n/node_modules": "x"}, ""},
		"out of the root":   {files{"../../n/node_modules/a/package.json": `{"name":"a","version":"3.0.0"}`}, "npm a 3.0.0,npm b 1.0.0,npm c 1.0.0"},
	} {
		if got := strings.Join(names(find(t, lower, c.upper)), ","); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// Alpine's and distributions that say nothing of themselves.
func TestApk(t *testing.T) {
	t.Parallel()
	found := find(t, files{"lib/apk/db/installed": "P:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\n\nP:libcrypto3\nV:3.3.1-r0\nA:x86_64\no:openssl\n", "usr/lib/os-release": "ID=alpine\nVERSION_ID=3.20.1\n"})
	if got := strings.Join(names(found), ","); got != "Alpine:v3.20 libcrypto3 3.3.1-r0,Alpine:v3.20 musl 1.2.5-r0" {
		t.Error(got)
	}
	if p := found.Packages[0]; p.Source.Name != "openssl" || p.PURL != "pkg:apk/alpine/libcrypto3@3.3.1-r0?arch=x86_64&distro=alpine-3.20.1&upstream=openssl" {
		t.Errorf("%+v", p)
	}
	found = find(t, files{"var/lib/dpkg/status": "Package: a\nVersion: 1\n"})
	if got := strings.Join(names(found), ","); got != "Debian a 1" {
		t.Error(got)
	}
}

// TestLanguages finds which version of a language an image has, where its program alone is installed, and the packages
// that Debian has of npm.
func TestLanguages(t *testing.T) {
	t.Parallel()
	all := files{
		"usr/bin/node": language(t, "node.js/v24.1.0"), "usr/local/include/node/node_version.h": "#define NODE_MAJOR_VERSION 24\n#define NODE_MINOR_VERSION 1\n#define NODE_PATCH_VERSION 0\n",
		"opt/node": language(t, "node.js/v22.0.1"), "usr/bin/deno": language(t, "Deno/2.9.6Deno/2.9.6+e518fbd"), "usr/local/bin/bun": language(t, "Bun v1.4.5 (Linux x64)"),
		"usr/bin/other": language(t, "node.js/v1.2.3"), "opt/x/deno": language(t, "no version"), "opt/x/bun": "#!/bin/sh\necho Bun v9.9.9 (\n" + strings.Repeat("#", 9<<20),
		"usr/share/nodejs/semver/package.json": `{"name":"semver","version":"7.3.5"}`, "usr/share/x/package.json": `{"name":"x","version":"1"}`, "usr/src/app/package.json": `{"name":"@acme/app","version":"0.1.0"}`,
	}
	found := find(t, all)
	if got := strings.Join(names(found), ","); got != "@acme/app 0.1.0,bun 1.4.5,deno 2.9.6,node 22.0.1,node 24.1.0,npm semver 7.3.5" || len(found.Unread) > 0 {
		t.Errorf("%s %q", got, found.Unread)
	}
}

// What is remembered of layers is what is in them, in this process and the next, and each is read once.
func TestCache(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	base := everything(t)
	base["pad"] = strings.Repeat("x", 100_000)
	upper := files{"home/app/node_modules/left-pad/package.json": `{"name":"left-pad","version":"2.0.0"}`, "home/app/lib/.wh.a.jar": "", "home/app/venv/lib/python3.13/site-packages/.wh.urllib3-2.0.dist-info": ""}
	img := image(t, base, upper)
	want, err := scan.Image(t.Context(), img)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		var reads atomic.Int32
		c := &scan.Cache{Dir: dir}
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				found, err := c.Image(t.Context(), counting{img, &reads})
				if err != nil || !reflect.DeepEqual(found, want) {
					t.Errorf("%d: %v, %+v", i, err, found)
				}
			})
		}
		wg.Wait()
		// The small one is not on disk.
		if got, want := reads.Load(), []int32{2, 1, 2}[i]; got != want {
			t.Errorf("%d: %d layers were read, not %d", i, got, want)
		}
		kept, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil || len(kept) != 1 {
			t.Errorf("%v, %v", kept, err)
		}
		if i == 1 {
			if err := os.WriteFile(kept[0], []byte("{"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// counting counts the layers of an image that are read.
type counting struct {
	v1.Image
	reads *atomic.Int32
}

func (c counting) Layers() ([]v1.Layer, error) {
	all, err := c.Image.Layers()
	for i, l := range all {
		all[i] = countedLayer{l, c.reads}
	}
	return all, err
}

type countedLayer struct {
	v1.Layer
	reads *atomic.Int32
}

func (c countedLayer) Uncompressed() (io.ReadCloser, error) {
	c.reads.Add(1)
	return c.Layer.Uncompressed()
}

// Of two entries of a name in one layer the last one counts.
func TestTwice(t *testing.T) {
	t.Parallel()
	const name = "n/node_modules/a/package.json"
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, version := range []string{"1.0.0", "2.0.0"} {
		text := `{"name":"a","version":"` + version + `"}`
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Mode: 0o644}); err != nil {
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
	img, err := mutate.AppendLayers(empty.Image, l)
	if err != nil {
		t.Fatal(err)
	}
	found, err := scan.Image(t.Context(), img)
	if got := strings.Join(names(found), ","); err != nil || got != "npm a 2.0.0" {
		t.Errorf("%s, %v", got, err)
	}
}

// What is broken or too large is named, and the rest is found.
func TestUnread(t *testing.T) {
	t.Parallel()
	bomb := archive(t, files{"META-INF/maven/g/a/pom.properties": strings.Repeat("#\n", 4<<20)})
	all := files{
		"a/node_modules/x/package.json":    `{"name":`,
		"a/broken.jar":                     "PK no",
		"a/bomb.jar":                       bomb,
		"a/prog":                           elf.ELFMAG + strings.Repeat("\xff", 200_000),
		"a/crates":                         auditable(t, `{"packages":[`),
		"var/lib/dpkg/status":              "Package: " + strings.Repeat("x", 65<<20),
		"a/node_modules/esc/package.json":  `{"name":"\u001b[31m","version":"1"}`,
		"a/node_modules/long/package.json": `{"name":"` + strings.Repeat("n", 400) + `","version":"1"}`,
		"a/node_modules/fine/package.json": `{"name":"fine","version":"1"}`,
	}
	found := find(t, all)
	if got := strings.Join(names(found), ","); got != "npm fine 1" {
		t.Error(got)
	}
	text := strings.Join(found.Unread, "\n")
	for _, want := range []string{
		"a/node_modules/x/package.json: unexpected end of JSON", "a/broken.jar: zip: not a valid zip", "a/bomb.jar: META-INF/maven/g/a/pom.properties: has more than the 4194304 bytes",
		"a/crates: its list of crates: unexpected end", "var/lib/dpkg/status: has 68157449 bytes, more than the 67108864",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
}

// A scan that is broken off ends.
func TestCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := scan.Image(ctx, image(t, debian())); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
