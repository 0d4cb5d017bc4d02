package sbom_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fnb/sbom"
)

var update = flag.Bool("update", false, "write the golden files anew")

// document has all that a document can have.
func document() sbom.Document {
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	d := sbom.Document{
		Subject:  sbom.Subject{Name: "ghcr.io/acme/hello", Digest: digest("a"), Platform: "linux/amd64"},
		Created:  time.Unix(315532801, 0).UTC(),
		System:   sbom.System{ID: "debian", Version: "12", Name: "Debian GNU/Linux 12 (bookworm)"},
		Base:     sbom.Base{Reference: "docker.io/library/python:3.13-slim", Digest: digest("b"), SBOM: "docker.io/library/python@" + digest("c")},
		Watchdog: sbom.Watchdog{Name: "fwatchdog", Digest: digest("d")},
		Template: sbom.Template{Name: "python3", Version: "1.2.0", Checksum: "fnb1:sha256:" + strings.Repeat("e", 64), Commit: strings.Repeat("f", 40)},
		Packages: []sbom.Package{
			{Ecosystem: sbom.PyPI, Name: "requests", Version: "2.32.0", PURL: "pkg:pypi/requests@2.32.0", Licence: "Apache-2.0", Supplier: "Kenneth Reitz", Evidence: sbom.Installed, Direct: true, Where: []string{"a/METADATA", "b/METADATA"}, DependsOn: []string{"pkg:pypi/urllib3@2.0"}},
			{Ecosystem: sbom.PyPI, Name: "urllib3", Version: "2.0", PURL: "pkg:pypi/urllib3@2.0", Licence: "BSD & a bit <more>", Evidence: sbom.Installed, Hashes: []sbom.Hash{{Algorithm: "SHA-256", Value: strings.Repeat("0", 64)}}},
			{Ecosystem: "Debian:12", Name: "libc6", Version: "2.36-9+deb12u1", PURL: "pkg:deb/debian/libc6@2.36-9%2Bdeb12u1?arch=amd64&distro=debian-12", Source: sbom.Source{Name: "glibc", Version: "2.36-9"}, Evidence: sbom.Installed, Where: []string{"var/lib/dpkg/status"}},
			{Ecosystem: sbom.Maven, Name: "org.x:a", Version: "1", PURL: "pkg:maven/org.x/a@1", Evidence: sbom.Installed},
			{Ecosystem: sbom.JSR, Name: "@std/path", Version: "1.0.8", PURL: sbom.JSRPURL("@std/path", "1.0.8"), Evidence: sbom.Installed},
			{Ecosystem: sbom.Crates, Name: "serde", Version: "1.0.2", PURL: "pkg:cargo/serde@1.0.2", Licence: "MIT OR Apache-2.0", Evidence: sbom.Locked},
			{Ecosystem: sbom.NPM, Name: "@types/node", Version: "24.0.0", PURL: "pkg:npm/%40types/node@24.0.0", Licence: "MIT", Evidence: sbom.Installed},
			{Ecosystem: sbom.Go, Name: "golang.org/x/net", Version: "0.1.0", PURL: "pkg:golang/golang.org/x/net@v0.1.0", Evidence: sbom.Compiled},
			{Name: "python", Version: "3.13.1", PURL: "pkg:generic/python@3.13.1", Evidence: sbom.Installed},
		},
	}
	d.Sort()
	return d
}

// The bytes are those of the golden files, and what is read of them is what was written.
func TestWrite(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(*sbom.Document) ([]byte, error){"spdx": (*sbom.Document).SPDX, "cyclonedx": (*sbom.Document).CycloneDX} {
		d := document()
		data, err := write(&d)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join("testdata", name+".json")
		if *update {
			if err := os.WriteFile(file, data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(data, want) {
			t.Errorf("%s: %s", name, cmp.Diff(string(want), string(data)))
		}
		got, err := sbom.Read(data)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(document(), got); diff != "" {
			t.Errorf("%s: -written +read:\n%s", name, diff)
		}
	}
}

// What says something else has another name.
func TestIdentity(t *testing.T) {
	t.Parallel()
	a, b := document(), document()
	b.Packages = b.Packages[1:]
	for name, write := range map[string]func(*sbom.Document) ([]byte, error){"documentNamespace": (*sbom.Document).SPDX, "serialNumber": (*sbom.Document).CycloneDX} {
		identity := func(d *sbom.Document) string {
			data, err := write(d)
			if err != nil {
				t.Fatal(err)
			}
			_, rest, _ := strings.Cut(string(data), `"`+name+`": "`)
			id, _, _ := strings.Cut(rest, `"`)
			return id
		}
		if x, y := identity(&a), identity(&b); x == y || x == "" {
			t.Errorf("%s: %q and %q", name, x, y)
		}
	}
}

// What others have written is read by its package URLs.
func TestReadOthers(t *testing.T) {
	t.Parallel()
	const syft = `{"spdxVersion":"SPDX-2.3","packages":[
	{"name":"zlib1g","SPDXID":"x","versionInfo":"1:1.2","externalRefs":[{"referenceType":"cpe23Type","referenceLocator":"cpe"},{"referenceType":"purl","referenceLocator":"pkg:deb/debian/zlib1g@1%3A1.2?arch=amd64&distro=debian-12&upstream=zlib"}]},
	{"name":"x/net","SPDXID":"y","versionInfo":"v0.1.0","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:golang/golang.org/x/net@v0.1.0"}]},
	{"name":"image","SPDXID":"z","primaryPackagePurpose":"CONTAINER","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:oci/image@sha256%3Aa"}]}]}`
	d, err := sbom.Read([]byte(syft))
	if err != nil {
		t.Fatal(err)
	}
	want := []sbom.Package{
		{Ecosystem: "Debian:12", Name: "zlib1g", Version: "1:1.2", Source: sbom.Source{Name: "zlib"}, PURL: "pkg:deb/debian/zlib1g@1%3A1.2?arch=amd64&distro=debian-12&upstream=zlib"},
		{Ecosystem: sbom.Go, Name: "golang.org/x/net", Version: "0.1.0", PURL: "pkg:golang/golang.org/x/net@v0.1.0"},
	}
	if diff := cmp.Diff(want, d.Packages); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Trivy writes a source package in its own way, in each format.
func TestReadTrivy(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]sbom.Source{
		`{"spdxVersion":"SPDX-2.3","packages":[{"name":"libc6","SPDXID":"x","versionInfo":"2.36-9","sourceInfo":"built package from: glibc 1:2.36-8","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:deb/debian/libc6@2.36-9?arch=amd64&distro=debian-12"}]}]}`:                                                                                                                 {Name: "glibc", Version: "1:2.36-8"},
		`{"bomFormat":"CycloneDX","components":[{"bom-ref":"x","name":"libc6","version":"2.36-9","purl":"pkg:deb/debian/libc6@2.36-9?distro=debian-12","properties":[{"name":"aquasecurity:trivy:SrcEpoch","value":"1"},{"name":"aquasecurity:trivy:SrcName","value":"glibc"},{"name":"aquasecurity:trivy:SrcRelease","value":"8"},{"name":"aquasecurity:trivy:SrcVersion","value":"2.36"}]}]}`: {Name: "glibc", Version: "1:2.36-8"},
	} {
		d, err := sbom.Read([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Packages) != 1 || d.Packages[0].Source != want {
			t.Errorf("%s: %+v", in, d.Packages)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"":                          "it is not JSON",
		`{"spdxVersion":"SPDX-2.3"`: "it is not JSON",
		`{"a":1}`:                   "neither SPDX 2 nor CycloneDX",
		`{"@context":"https://spdx.org/rdf/3.0.1/x"}`: "it is of SPDX 3",
		`{"spdxVersion":"SPDX-2.3","packages":7}`:     "cannot unmarshal number",
		`{"bomFormat":"CycloneDX","components":{}}`:   "cannot unmarshal object",
		"[" + strings.Repeat(" ", 50<<20) + "]":       "it has 52.4 MB, more than the",
	} {
		_, err := sbom.Read([]byte(in))
		if wrong, ok := errors.AsType[*sbom.FormatError](err); !ok || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, %v, not %q", in, err, wrong, want)
		}
	}
}
