package locks_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/growth"
	"fnb/sbom"
	"fnb/sbom/locks"
)

var zeros = strings.Repeat("0", 64)

// told is a package in one line: name, version, hashes, what it needs, and a star where the function asks for it.
func told(all []sbom.Package) []string {
	var out []string
	for _, p := range all {
		s := p.Ecosystem + " " + p.Name + " " + p.Version
		for _, h := range p.Hashes {
			s += " " + h.Algorithm + ":" + h.Value[:4]
		}
		for _, d := range p.DependsOn {
			s += " ->" + d
		}
		if p.Direct {
			s += " *"
		}
		out = append(out, s)
	}
	return out
}

// Each lock, and the manifest beside it.
func TestRead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"npm": {map[string]string{
			"package.json": `{"dependencies":{"a":"1"}}`,
			"package-lock.json": `{"lockfileVersion":3,"packages":{"":{"dependencies":{"a":"1"}},"node_modules/a":{"version":"1.0.0","integrity":"sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA=","dependencies":{"b":"^1"}},
			"node_modules/b":{"version":"2.0.0"},"node_modules/a/node_modules/b":{"version":"1.0.0"},"node_modules/d":{"version":"1.0.0","dev":true},"node_modules/l":{"link":true,"resolved":"l"}}}`,
		}, []string{"npm a 1.0.0 SHA-1:0000 ->pkg:npm/b@1.0.0 *", "npm b 1.0.0", "npm b 2.0.0"}},
		"yarn 1": {map[string]string{
			"yarn.lock": "# yarn lockfile v1\n\n\"@a/b@^1.0\", \"@a/b@~1\":\n  version \"1.0.1\"\n  resolved \"https://x\"\n  integrity sha512-AAAA\n  dependencies:\n    version \"^9\"\n\nc@^2:\n  version \"2.0.0\"\n",
		}, []string{"npm @a/b 1.0.1 SHA-512:0000", "npm c 2.0.0"}},
		"yarn 4": {map[string]string{
			"yarn.lock": "__metadata:\n  version: 8\n\n\"alias@npm:c@^2\":\n  version: 2.0.0\n  resolution: \"c@npm:2.0.0\"\n  checksum: 10c0/00\n\n\"me@workspace:.\":\n  version: 0.0.0-use.local\n  resolution: \"me@workspace:.\"\n",
		}, []string{"npm c 2.0.0"}},
		"pnpm": {map[string]string{
			"pnpm-lock.yaml": "lockfileVersion: '9.0'\n\npackages:\n\n  '@a/b@1.0.1':\n    resolution: {integrity: sha512-AAAA}\n\n  c@2.0.0:\n    resolution: {integrity: sha512-AAAA, tarball: x}\n    engines: {node: '>=8'}\n\nsnapshots:\n\n  z@1.0.0: {}\n",
		}, []string{"npm @a/b 1.0.1 SHA-512:0000", "npm c 2.0.0 SHA-512:0000"}},
		"bun": {map[string]string{
			"bun.lock": "{\n  // a comment\n  \"lockfileVersion\": 1,\n  \"packages\": {\n    \"c\": [\"c@2.0.0\", \"\", { \"dependencies\": { \"d\": \"^1\", }, }, \"sha512-AAAA\"],\n    \"me\": [\"me@workspace:packages/me\"],\n  },\n}\n",
		}, []string{"npm c 2.0.0 SHA-512:0000"}},
		"deno": {map[string]string{
			"deno.lock": `{"version":"5","jsr":{"@std/path@1.0.8":{"integrity":"` + zeros + `"}},"npm":{"c@2.0.0_peer@1.0.0":{"integrity":"sha512-AAAA"}}}`,
		}, []string{"JSR @std/path 1.0.8 SHA-256:0000", "npm c 2.0.0 SHA-512:0000"}},
		"uv": {map[string]string{
			"pyproject.toml": "[project]\nname='me'\ndependencies=['Requests>=2; python_version>\"3\"']\n",
			"uv.lock":        "[[package]]\nname='me'\nversion='0'\nsource={virtual='.'}\ndependencies=[{name='requests'}]\n[[package]]\nname='requests'\nversion='2.0'\nsource={registry='x'}\ndependencies=[{name='url-lib3'}]\nwheels=[{hash='sha256:" + zeros + "'}]\n[[package]]\nname='url_lib3'\nversion='1'\n",
		}, []string{"PyPI requests 2.0 SHA-256:0000 ->pkg:pypi/url-lib3@1 *", "PyPI url-lib3 1"}},
		"poetry": {map[string]string{
			"poetry.lock": "[[package]]\nname='a'\nversion='1'\nfiles=[{file='x',hash='sha256:" + zeros + "'},{file='y',hash='sha256:" + zeros + "'}]\n[package.dependencies]\nb='>=1'\n[[package]]\nname='b'\nversion='2'\n",
		}, []string{"PyPI a 1 ->pkg:pypi/b@2", "PyPI b 2"}},
		"pylock": {map[string]string{
			"requirements.txt": "# what it needs\n-r other.txt\nA.b==1 --hash=sha256:00\n",
			"pylock.toml":      "lock-version='1.0'\n[[packages]]\nname='a-b'\nversion='1'\nwheels=[{hashes={sha256='" + zeros + "'}}]\n",
		}, []string{"PyPI a-b 1 SHA-256:0000 *"}},
		"pipenv": {map[string]string{
			"Pipfile.lock": `{"default":{"a":{"version":"==1","hashes":["sha256:` + zeros + `"]}},"develop":{"b":{"version":"==1"}}}`,
		}, []string{"PyPI a 1 SHA-256:0000"}},
		"cargo": {map[string]string{
			"Cargo.lock": "version=4\n[[package]]\nname='me'\nversion='0.1.0'\ndependencies=['a']\n[[package]]\nname='a'\nversion='1.0.0'\nsource='registry+x'\nchecksum='" + zeros + "'\ndependencies=['b 0.1.0','c']\n[[package]]\nname='b'\nversion='0.1.0'\nsource='registry+x'\n[[package]]\nname='b'\nversion='0.2.0'\nsource='registry+x'\n[[package]]\nname='c'\nversion='3.0.0'\nsource='registry+x'\n",
		}, []string{"crates.io a 1.0.0 SHA-256:0000 ->pkg:cargo/b@0.1.0 ->pkg:cargo/c@3.0.0 *", "crates.io b 0.1.0", "crates.io c 3.0.0"}}, // nobody needs b 0.2.0
		"cargo's tests": {map[string]string{
			"Cargo.toml": "[package]\nname='me'\n[dependencies]\na='1'\nrenamed={package='d',version='1'}\n[dev-dependencies]\na='1'\nt='1'\n[target.'cfg(unix)'.dependencies]\nu='1'\n[build-dependencies]\nd='1'\nu='1'\nz='1'\n",
			"Cargo.lock": "[[package]]\nname='me'\nversion='0.1.0'\ndependencies=['a','d','t','u','z']\n" + crates("a 1.0.0 windows-sys", "windows-sys 0.5.0", "d 1.0.0", "t 1.0.0 v", "v 1.0.0", "u 1.0.0", "z 1.0.0"),
		}, []string{"crates.io a 1.0.0 ->pkg:cargo/windows-sys@0.5.0 *", "crates.io d 1.0.0 *", "crates.io u 1.0.0 *"}},
	} {
		files := fstest.MapFS{}
		for file, text := range c.files {
			files["function/"+file] = &fstest.MapFile{Data: []byte(text)}
		}
		l := locks.Read(files, "function", "packages")
		if len(l.Unread) > 0 {
			t.Errorf("%s: %v", name, l.Unread)
		}
		if diff := cmp.Diff(c.want, told(l.Packages)); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

// crates are entries of a Cargo.lock: "name version need need".
func crates(all ...string) string {
	var b strings.Builder
	for _, c := range all {
		w := strings.Fields(c)
		fmt.Fprintf(&b, "[[package]]\nname='%s'\nversion='%s'\nsource='registry+x'\n", w[0], w[1])
		if len(w) > 2 {
			fmt.Fprintf(&b, "dependencies=['%s']\n", strings.Join(w[2:], "','"))
		}
	}
	return b.String()
}

// TestCompiled adds what a template's own program brings along, so far as the function has no such version.
func TestCompiled(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{
		"function/Cargo.lock": {Data: []byte("[[package]]\nname='me'\nversion='0.1.0'\ndependencies=['a','b','c']\n" + crates("a 1.2.0", "b 0.3.1", "c 2.0.0"))},
		"entry/Cargo.lock":    {Data: []byte("[[package]]\nname='entry'\nversion='1.0.0'\ndependencies=['a','b','c','d']\n" + crates("a 1.9.0", "b 0.4.0", "c 1.0.0", "d 0.0.1 e", "e 0.0.2"))},
	}
	l := locks.Read(files, "function")
	l.Compiled(files, "entry")
	want := []string{"crates.io a 1.2.0 *", "crates.io b 0.3.1 *", "crates.io b 0.4.0", "crates.io c 1.0.0", "crates.io c 2.0.0 *", "crates.io d 0.0.1 ->pkg:cargo/e@0.0.2", "crates.io e 0.0.2"}
	if diff := cmp.Diff(want, told(l.Packages)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What is installed is believed; the lock adds to it, and says what cannot be seen.
func TestJoin(t *testing.T) {
	t.Parallel()
	l := locks.Read(fstest.MapFS{
		"f/package.json":      {Data: []byte(`{"dependencies":{"a":"1"}}`)},
		"f/package-lock.json": {Data: []byte(`{"packages":{"node_modules/a":{"version":"1.0.0","integrity":"sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA="},"node_modules/other-machine":{"version":"1.0.0"}}}`)},
		"f/go.mod":            {Data: []byte("module me\n\nrequire g/direct v1.0.0\n\nrequire (\n\tg/block v1.0.0\n\tg/indirect v1.0.0 // indirect\n)\n")},
		"f/pom.xml":           {Data: []byte("<project><dependencies><dependency><groupId>g</groupId><artifactId> a </artifactId></dependency></dependencies></project>")},
	}, "f")
	tool := sbom.Package{Ecosystem: sbom.NPM, Name: "npm", Version: "11.0.0", PURL: "pkg:npm/npm@11.0.0", Where: []string{"usr/local/lib/node_modules/npm/package.json"}}
	own := sbom.Package{Ecosystem: sbom.NPM, Name: "a", Version: "1.0.0", PURL: "pkg:npm/a@1.0.0", Where: []string{"home/app/node_modules/a/package.json"}}
	others := []sbom.Package{{Ecosystem: sbom.Go, Name: "g/direct", Version: "1.0.0"}, {Ecosystem: sbom.Go, Name: "g/indirect", Version: "1.0.0"}, {Ecosystem: sbom.Go, Name: "g/block", Version: "1.0.0"}, {Ecosystem: sbom.Maven, Name: "g:a", Version: "1"}}
	for name, c := range map[string]struct {
		home      string
		installed []sbom.Package
		want      []string
	}{
		"installed": {"/home/app", []sbom.Package{tool, own}, []string{"npm a 1.0.0 SHA-1:0000 *", "npm npm 11.0.0"}},
		"bundled":   {"/home/app", []sbom.Package{tool}, []string{"npm a 1.0.0 SHA-1:0000 *", "npm npm 11.0.0", "npm other-machine 1.0.0"}},
		"no folder": {"/", []sbom.Package{tool}, []string{"npm npm 11.0.0"}},
		"asked for": {"/home/app", append([]sbom.Package{own}, others...), []string{"Go g/block 1.0.0 *", "Go g/direct 1.0.0 *", "Go g/indirect 1.0.0", "Maven g:a 1 *", "npm a 1.0.0 SHA-1:0000 *"}},
	} {
		if diff := cmp.Diff(c.want, told(locks.Join(c.installed, l, c.home))); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
	}
}

// What is broken is said, and the rest is read.
func TestUnread(t *testing.T) {
	t.Parallel()
	files := fstest.MapFS{"f/requirements.txt": {Data: []byte("a\n")}, "f/package.json": {Data: []byte(strings.Repeat(" ", 5<<20))}}
	for _, file := range []string{"package-lock.json", "bun.lock", "deno.lock", "uv.lock", "Pipfile.lock", "Cargo.lock", "pyproject.toml", "pom.xml"} {
		files["f/"+file] = &fstest.MapFile{Data: []byte("<{\"[[")}
	}
	l := locks.Read(files, "f")
	if len(l.Unread) != 9 || len(l.Packages) > 0 {
		t.Errorf("%q, %v", l.Unread, l.Packages)
	}
	for _, why := range l.Unread {
		if !strings.HasPrefix(why, "f/") || strings.Contains(why, "\n") {
			t.Errorf("%q", why)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"packages":{"node_modules/a":{"version":"1"}}}`))
	f.Add([]byte("[[package]]\nname='a'\nversion='1'\n"))
	f.Add([]byte("a@1:\n  version \"1\"\n"))
	f.Add([]byte("{\"a\": [\"x\\"))
	f.Fuzz(func(t *testing.T, data []byte) {
		files := fstest.MapFS{}
		for _, file := range []string{"package-lock.json", "yarn.lock", "pnpm-lock.yaml", "bun.lock", "deno.lock", "uv.lock", "Pipfile.lock", "Cargo.lock", "Cargo.toml", "requirements.txt", "pyproject.toml", "package.json", "go.mod", "pom.xml"} {
			files[file] = &fstest.MapFile{Data: data}
		}
		locks.Join(nil, locks.Read(files, "."), "/")
	})
}

func TestGrowth(t *testing.T) {
	var readers []growth.Reader
	for _, c := range []struct {
		name, file, head, part, tail string
		size                         int
	}{
		{"npm", "package-lock.json", `{"packages":{"":{}`, `,"node_modules/a#":{"version":"1","dependencies":{"a1":"1"}}`, "}}", 1 << 20},
		{"npm in npm", "package-lock.json", `{"packages":{"":{},"node_modules/a`, "/node_modules/a", `":{"version":"1","dependencies":{"z":"1"}}}}`, 100 << 10},
		{"yarn", "yarn.lock", "", "a#@^1:\n  version \"1\"\n", "", 1 << 20},
		{"bun", "bun.lock", `{"packages":{"z":[`, ",   ", "]}}", 1 << 20},
		{"pnpm", "pnpm-lock.yaml", "packages:\n", "  a#@1.0.0:\n    resolution: {integrity: sha512-AAAA}\n", "", 1 << 20},
		{"cargo", "Cargo.lock", "", "[[package]]\nname='a#'\nversion='1'\ndependencies=['a1']\n", "", 512 << 10},
		{"crates of one name", "Cargo.lock", "", "[[package]]\nname='a'\nversion='#'\ndependencies=['a #']\n", "", 512 << 10},
	} {
		readers = append(readers, growth.Reader{Name: c.name, Size: c.size, Begin: func(size int) func() {
			files := fstest.MapFS{c.file: {Data: []byte(c.head + growth.Numbered(c.part, size) + c.tail)}}
			return func() { locks.Read(files, ".") }
		}})
	}
	growth.Check(t, readers...)
}
