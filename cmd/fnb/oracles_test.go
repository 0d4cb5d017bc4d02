package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/package-url/packageurl-go"
	"github.com/rogpeppe/go-internal/txtar"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/internal/servers/checkers"
	"fnb/sbom"
)

// Of what a template installs by system packages it is told so, where it has no package list.
const tenOfDebian = "jq curl zip unzip xz-utils bzip2 file less tree rsync"

// TestOracles holds fnb sbom against syft and osv-scanner, for a function of each official template with ten packages: what
// they find in an image has to be listed, with its version, and nothing that is not there. With -update it writes the table
// of docs/benchmarks.md. It takes some minutes, so it runs only if FNB_REQUIRE names oracles, as "make bench-sbom" does.
func TestOracles(t *testing.T) {
	if !servers.Required("oracles") {
		t.Skip("make bench-sbom")
	}
	scanners, err := checkers.Scanners()
	servers.Require(t, "oracles", err)
	syft, err := checkers.Syft()
	servers.Require(t, "oracles", err)
	r, err := shared()
	servers.Require(t, "buildkit", err)
	o := &oracles{scanner: filepath.Join(scanners, "osv-scanner"), syft: syft, fnb: filepath.Join(r.bin, "fnb"), dir: t.TempDir()}
	o.env = append(os.Environ(), "HOME="+t.TempDir(), "FNB_CONFIG="+r.config, "FNB_BUILDER_ROOT="+r.builder, "FNB_PROGRESS=plain", "SYFT_CHECK_FOR_APP_UPDATE=false")
	files, err := txtar.ParseFile("testdata/oracles.txtar")
	fixture.Must(t, err)
	var rows []string
	only := os.Getenv("FNB_BENCH_TEMPLATES")
	for _, name := range officialNames(t) {
		if only != "" && !slices.Contains(strings.Split(only, ","), name) {
			continue
		}
		t.Run(name, func(t *testing.T) { rows = append(rows, o.compare(t, name, files)) })
	}
	table := "| template | packages that `fnb sbom` lists | syft finds | not in the SBOM | osv-scanner finds | not in the SBOM | the lock alone has | found by nobody else |\n" +
		"|---|---|---|---|---|---|---|---|\n" + strings.Join(rows, "")
	t.Log("\n" + table)
	if *update && only == "" {
		writeBenchmarks(t, "oracles", "", table)
	}
}

// oracles are what says what is in an image.
type oracles struct {
	fnb, scanner, syft string
	dir                string
	env                []string
}

func (o *oracles) run(t *testing.T, program string, args ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = o.dir, o.env
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s %v: %v\n%s", filepath.Base(program), args, err, said.String())
	}
	return out
}

// compare makes a function and looks into its image by all of them, and returns their row.
func (o *oracles) compare(t *testing.T, name string, files *txtar.Archive) string {
	o.run(t, o.fnb, "new", name, "--lang", name, "--quiet", "--prefix", "example.com/ten")
	packages := []string{}
	for _, f := range files.Files {
		if rest, ok := strings.CutPrefix(f.Name, name+"/"); ok {
			fixture.Must(t, os.WriteFile(filepath.Join(o.dir, name, rest), f.Data, 0o600))
			packages = append(packages, rest)
		}
	}
	build := []string{"--quiet", name}
	switch {
	case len(packages) == 0:
		build = append(build, "--build-arg", "ADDITIONAL_PACKAGE="+tenOfDebian)
	case !slices.Contains([]string{"java", "python3", "dockerfile"}, name): // whose packages are pinned by name
		o.run(t, o.fnb, "lock", "--packages", name)
	}
	image := filepath.Join(o.dir, name+".tar")
	o.run(t, o.fnb, append([]string{"build", "--output", "docker=" + image}, build...)...)
	doc, err := sbom.Read(o.run(t, o.fnb, append([]string{"sbom"}, build[1:]...)...))
	fixture.Must(t, err)

	ours, locked := listed{}, listed{}
	for _, p := range doc.Packages {
		switch {
		case p.Evidence == sbom.Locked:
			locked.addPURL(t, p.PURL)
		case len(p.Where) > 0 && strings.HasSuffix(p.Where[0], "/package.json"): // the function's own too, which others take for one of npm's
			ours.add("npm", p.Name, p.Version)
		default:
			ours.addPURL(t, p.PURL)
		}
	}
	bySyft, byScanner := o.bySyft(t, image), o.byScanner(t, image)
	missing := []listed{bySyft.without(ours).without(locked), byScanner.without(ours).without(locked)}
	extra := ours.without(bySyft).without(byScanner)
	for i, who := range []string{"syft", "osv-scanner"} {
		if len(missing[i]) > 0 {
			t.Errorf("%s finds what fnb does not list: %s", who, missing[i])
		}
	}
	for k := range extra {
		if word := strings.Fields(k); word[0] == "generic" && slices.Contains([]string{"bun", "deno", "openjdk"}, word[1]) {
			continue // neither of them knows the first two, nor Debian's Java as such
		}
		t.Errorf("nobody else finds %s", k)
	}
	return fmt.Sprintf("| %s | %d | %d | %d | %d | %d | %d | %d |\n", name, len(ours)+len(locked), len(bySyft), len(missing[0]), len(byScanner), len(missing[1]), len(locked), len(extra))
}

// listed are packages, as "kind name version". One without a version is none.
type listed map[string]bool

func (l listed) add(kind, name, version string) {
	switch kind {
	case "pypi":
		name = sbom.PythonName(name)
	case "golang": // as package URLs have them
		name, version = strings.ToLower(name), strings.TrimSuffix(strings.TrimPrefix(version, "v"), "(devel)")
	}
	if version != "" && version != "unknown" {
		l[kind+" "+name+" "+version] = true
	}
}

func (l listed) addPURL(t *testing.T, purl string) {
	t.Helper()
	u, err := packageurl.FromString(purl)
	fixture.Must(t, err)
	name := u.Name
	if separator := map[string]string{"maven": ":"}[u.Type]; u.Namespace != "" && u.Type != "deb" {
		name = u.Namespace + cmp.Or(separator, "/") + u.Name
	}
	if u.Subpath != "" { // as syft writes a module of Go with a version in its path
		name += "/" + u.Subpath
	}
	l.add(u.Type, name, u.Version)
}

func (l listed) without(other listed) listed {
	out := maps.Clone(l)
	maps.DeleteFunc(out, func(k string, _ bool) bool { return other[k] })
	return out
}

func (l listed) String() string { return strings.Join(slices.Sorted(maps.Keys(l)), ", ") }

// bySyft is what syft finds.
func (o *oracles) bySyft(t *testing.T, image string) listed {
	t.Helper()
	var found struct {
		Artifacts []struct{ Name, Version, Type, PURL string }
	}
	fixture.Must(t, json.Unmarshal(o.run(t, o.syft, "scan", "docker-archive:"+image, "--output", "syft-json", "--quiet"), &found))
	out := listed{}
	for _, a := range found.Artifacts {
		if a.PURL != "" {
			out.addPURL(t, a.PURL)
		}
	}
	return out
}

// byScanner is what osv-scanner finds, with osv-scalibr.
func (o *oracles) byScanner(t *testing.T, image string) listed {
	t.Helper()
	var found struct {
		Results []struct {
			Packages []struct {
				Package struct {
					Name, Version, Ecosystem string
					InDebian                 string `json:"os_package_name"`
				}
			}
		}
	}
	fixture.Must(t, json.Unmarshal(o.run(t, o.scanner, "scan", "image", "--archive", image, "--format", "json", "--all-packages", "--offline", "--experimental-plugins", "artifact,javascript/packagejson"), &found))
	kinds := map[string]string{"npm": "npm", "PyPI": "pypi", "Go": "golang", "crates.io": "cargo", "Maven": "maven", "Debian": "deb", "Ubuntu": "deb"}
	out := listed{}
	for _, r := range found.Results {
		for _, p := range r.Packages {
			ecosystem, _, _ := strings.Cut(p.Package.Ecosystem, ":")
			out.add(cmp.Or(kinds[ecosystem], ecosystem), cmp.Or(p.Package.InDebian, p.Package.Name), p.Package.Version)
		}
	}
	return out
}
