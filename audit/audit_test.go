package audit

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	jsonschema "github.com/santhosh-tekuri/jsonschema/v6"

	"fnb/audit/osv"
	"fnb/sbom"
)

// today is a day on which Python 3.9 has reached its end, Alpine 3.21 will soon, and Debian 12
// will not.
func today() time.Time { return time.Date(2026, 9, 15, 0, 0, 0, 0, time.UTC) }

// database writes a database of records, by ecosystem, and opens it.
func database(t *testing.T, records map[string][]string) *osv.Database {
	t.Helper()
	dir := t.TempDir()
	for eco, all := range records {
		file := filepath.Join(dir, "osv-scalibr", eco, "all.zip")
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for i, text := range all {
			w, err := z.Create(string(rune('a'+i)) + ".json")
			if err == nil {
				_, err = w.Write([]byte(text))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(z.Close(), os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, b.Bytes(), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	db := osv.Open(dir, t.TempDir(), nil)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func hole(id, more, ecosystem, name, fixed string) string {
	return `{"id":"` + id + `",` + more + `"affected":[{"package":{"ecosystem":"` + ecosystem + `","name":"` + name + `"},"ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"` + fixed + `"}]}]}]}`
}

func subject(name string, pkgs ...sbom.Package) Subject {
	return Subject{Name: name, Image: "ghcr.io/acme/" + name + ":1", Document: sbom.Document{Packages: pkgs, Subject: sbom.Subject{Name: "ghcr.io/acme/" + name, Digest: "sha256:1"}}}
}

func npm(name, version string) sbom.Package {
	return sbom.Package{Ecosystem: sbom.NPM, Name: name, Version: version, PURL: sbom.NodePURL(name, version)}
}

const critical = `"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],`

func look(t *testing.T, q Question) *Report {
	t.Helper()
	q.Now = today()
	r, err := Look(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestLook counts a hole once, whatever it is called, and names all functions that have it.
func TestLook(t *testing.T) {
	t.Parallel()
	db := database(t, map[string][]string{
		"npm": {
			hole("GHSA-1", `"aliases":["CVE-2026-1"],`+critical, "npm", "lodash", "4.17.21"),
			hole("CVE-2026-1", `"summary":"it is bad",`, "npm", "lodash", "4.17.22"),
			hole("GHSA-2", `"aliases":["CVE-2026-2"],"database_specific":{"severity":"LOW"},`, "npm", "lodash", "4.17.21"),
		},
		"Debian": {
			hole("DEBIAN-CVE-2026-3", `"upstream":["CVE-2026-3"],`, "Debian:12", "openssl", "3.0.15-1"),
			hole("DSA-1-1", `"upstream":["CVE-2026-3","CVE-2026-4"],`, "Debian:12", "openssl", "3.0.15-1"),
			hole("DEBIAN-CVE-2026-4", `"upstream":["CVE-2026-4"],`, "Debian:12", "openssl", "3.0.15-1"),
		},
	})
	libssl := sbom.Package{Ecosystem: "Debian:12", Name: "libssl3", Version: "3.0.11-1", Source: sbom.Source{Name: "openssl", Version: "3.0.11-1"}}
	r := look(t, Question{Database: db, Subjects: []Subject{
		subject("b", npm("lodash", "4.17.20"), libssl),
		subject("a", npm("lodash", "4.17.20"), npm("none", ""), sbom.Package{Name: "x", Version: "1"}, sbom.Package{Ecosystem: "PyPI", Name: "x", Version: "1"}),
	}})
	type row struct{ id, aliases, level, pkg, fixed, in, mend string }
	var got []row
	for _, f := range r.Findings {
		got = append(got, row{f.ID, strings.Join(f.Aliases, " "), f.Severity.Level.String(), f.Package + " " + f.Version, f.Fixed, strings.Join(f.Functions, " "), f.Mend})
	}
	want := []row{
		{"CVE-2026-1", "GHSA-1", "critical", "lodash 4.17.20", "4.17.22", "a b", "ask for lodash 4.17.22 or newer, then fnb lock --packages"},
		{"CVE-2026-2", "GHSA-2", "low", "lodash 4.17.20", "4.17.21", "a b", "ask for lodash 4.17.21 or newer, then fnb lock --packages"},
		{"CVE-2026-3", "CVE-2026-4 DSA-1-1 DEBIAN-CVE-2026-3 DEBIAN-CVE-2026-4", "unknown", "openssl 3.0.11-1", "3.0.15-1", "b", "fnb update, then fnb build --push: a newer base image has what Debian fixes"},
	}
	if d := cmp.Diff(want, got, cmp.AllowUnexported(row{})); d != "" {
		t.Error(d)
	}
	if r.Subjects != 2 || r.Packages != 3 || !slices.Equal(r.Missing, []string{"PyPI"}) || len(r.Notes) != 1 || len(r.Database) != 2 || r.Findings[0].Summary != "it is bad" {
		t.Errorf("%+v", r)
	}
	for level, n := range map[osv.Level]int{osv.Critical: 1, osv.High: 1, osv.Medium: 2, osv.Low: 3} {
		if got := r.Worst(level); got != n {
			t.Errorf("%d findings count from %s on, want %d", got, level, n)
		}
	}
}

// TestOthers finds what needs no database.
func TestOthers(t *testing.T) {
	t.Parallel()
	old, soon, new := subject("old"), subject("soon"), subject("new")
	old.Document.Base.Reference = "docker.io/library/python:3.9-slim"
	old.Document.System = sbom.System{ID: "debian", Version: "11"}
	old.Document.Watchdog = sbom.Watchdog{Name: "fwatchdog"}
	old.Yanked = &Yanked{Name: "acme/go", Version: "1.0.0", Reason: "leaks", Severity: "security", Use: "1.0.1"}
	soon.Document.System = sbom.System{ID: "alpine", Version: "3.21.2"}
	soon.Document.Packages = []sbom.Package{{Ecosystem: sbom.Go, Name: "stdlib", Version: "1.24.1"}}
	new.Document.Base.Reference = "python:3.13-slim@sha256:" + strings.Repeat("a", 64)
	new.Document.System = sbom.System{ID: "debian", Version: "12"}
	new.Document.Watchdog = sbom.Watchdog{Name: "fwatchdog", Digest: "sha256:w"}
	r := look(t, Question{
		Subjects: []Subject{old, soon, new, {Name: "none"}}, Watchdog: []string{"sha256:w"},
		Bases:    []string{"docker.io/library/alpine:3.18", "debian:buster-slim", "node:22", "scratch", "not a reference!"},
		Builders: []BuilderVersion{{"tcp://old:1", "v0.12.4"}, {"tcp://new:1", "v0.34.2"}, {"tcp://odd:1", "abc"}},
	})
	var got []string
	for _, f := range r.Findings {
		got = append(got, strings.Join([]string{f.Severity.Level.String(), f.Kind, strings.TrimSpace(f.Package + " " + f.Version), strings.Join(f.Functions, " ")}, "|"))
	}
	want := []string{
		"critical|builder|BuildKit v0.12.4|",
		"high|yanked-template|acme/go 1.0.0|old",
		"high|end-of-life|Alpine 3.18|fnb.lock", "high|end-of-life|Debian 10|fnb.lock", "high|end-of-life|Debian 11|old", "high|end-of-life|Go 1.24.1|soon", "high|end-of-life|Python 3.9|old",
		"high|builder|BuildKit v0.12.4|", "high|builder|BuildKit v0.12.4|",
		"low|end-of-life|Alpine 3.21|soon", "low|old-watchdog|fwatchdog|old",
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

// TestVEX leaves out what documents say does no harm.
func TestVEX(t *testing.T) {
	t.Parallel()
	const before, after = `"timestamp":"2026-01-01T00:00:00Z",`, `"timestamp":"2026-02-01T00:00:00Z",`
	product := func(id string) string { return `"products":[{"@id":"` + id + `"}],` }
	no := `"status":"not_affected","justification":"vulnerable_code_not_present"`
	for name, c := range map[string]struct {
		statements string
		left       string // functions that the finding still counts in
		justified  string
	}{
		"none":                   {``, "a b", ""},
		"the package":            {`{"vulnerability":{"name":"CVE-2026-1"},` + product("pkg:npm/lodash") + no + `}`, "", "vulnerable_code_not_present"},
		"by an alias":            {`{"vulnerability":{"name":"GHSA-1"},` + product("pkg:npm/lodash@4.17.20") + no + `}`, "", "vulnerable_code_not_present"},
		"in another escape":      {`{"vulnerability":{"name":"CVE-2026-1"},` + product("pkg:npm/%6codash@4.17%2e20") + no + `}`, "", "vulnerable_code_not_present"},
		"by its old form":        {`{"vulnerability":"CVE-2026-1","products":["pkg:npm/lodash"],` + no + `}`, "", "vulnerable_code_not_present"},
		"by its URL":             {`{"vulnerability":{"@id":"https://nvd.nist.gov/vuln/detail/CVE-2026-1"},` + product("pkg:npm/lodash") + no + `}`, "", "vulnerable_code_not_present"},
		"another version":        {`{"vulnerability":{"name":"CVE-2026-1"},` + product("pkg:npm/lodash@4.17.2") + no + `}`, "a b", ""},
		"another package":        {`{"vulnerability":{"name":"CVE-2026-1"},` + product("pkg:npm/lodash-es") + no + `}`, "a b", ""},
		"another hole":           {`{"vulnerability":{"name":"CVE-2026-11"},` + product("pkg:npm/lodash") + no + `}`, "a b", ""},
		"one function":           {`{"vulnerability":{"name":"CVE-2026-1"},` + product("a") + no + `}`, "b", ""},
		"its image":              {`{"vulnerability":{"name":"CVE-2026-1"},` + product("pkg:oci/b@sha256%3A1?repository_url=ghcr.io/acme/b") + no + `}`, "a", ""},
		"another image's digest": {`{"vulnerability":{"name":"CVE-2026-1"},` + product("pkg:oci/b@sha256%3A2") + no + `}`, "a b", ""},
		"a part of it":           {`{"vulnerability":{"name":"CVE-2026-1"},"products":[{"@id":"a","subcomponents":[{"@id":"pkg:npm/lodash"}]}],` + no + `}`, "b", ""},
		"another part of it":     {`{"vulnerability":{"name":"CVE-2026-1"},"products":[{"@id":"a","subcomponents":[{"@id":"pkg:npm/other"}]}],` + no + `}`, "a b", ""},
		"affected":               {`{"vulnerability":{"name":"CVE-2026-1"},` + product("pkg:npm/lodash") + `"status":"affected"}`, "a b", ""},
		"the newest counts":      {`{"vulnerability":{"name":"CVE-2026-1"},` + after + product("pkg:npm/lodash") + `"status":"affected"},{"vulnerability":{"name":"CVE-2026-1"},` + before + product("pkg:npm/lodash") + no + `}`, "a b", ""},
		"fixed here":             {`{"vulnerability":{"name":"CVE-2026-1"},` + product("pkg:npm/lodash") + `"status":"fixed"}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "x.openvex.json")
			if err := os.WriteFile(file, []byte(`{"@context":"https://openvex.dev/ns/v0.2.0","@id":"x","author":"me","timestamp":"2026-01-15T00:00:00Z","version":1,"statements":[`+c.statements+`]}`), 0o600); err != nil {
				t.Fatal(err)
			}
			v, err := ReadVEX(file)
			if err != nil {
				t.Fatal(err)
			}
			db := database(t, map[string][]string{"npm": {hole("GHSA-1", `"aliases":["CVE-2026-1"],`+critical, "npm", "lodash", "4.17.21")}})
			r := look(t, Question{Database: db, VEX: []VEX{v}, Subjects: []Subject{subject("a", npm("lodash", "4.17.20")), subject("b", npm("lodash", "4.17.20"))}})
			f := r.Findings[0]
			left := strings.Join(f.Functions, " ")
			if f.Suppressed != nil {
				left = ""
				if f.Suppressed.Justification != c.justified || f.Suppressed.File != file {
					t.Errorf("%+v", f.Suppressed)
				}
			}
			if left != c.left || (r.Worst(osv.Low) == 0) != (c.left == "") {
				t.Errorf("it counts in %q, want %q", left, c.left)
			}
		})
	}
}

// TestBadVEX refuses documents in words.
func TestBadVEX(t *testing.T) {
	t.Parallel()
	const head = `{"@context":"https://openvex.dev/ns/v0.2.0","statements":[`
	for text, says := range map[string]string{
		`{`:  "it is not OpenVEX: unexpected end",
		`{}`: `its @context does not begin with`,
		`{"@context":"https://openvex.dev/ns","statements":7}`:                    "it is not OpenVEX",
		head + `{"products":["x"],"status":"fixed"}]}`:                            "statement 1: it names no vulnerability",
		head + `{"vulnerability":"X","products":["x"],"status":"fine"}]}`:         `status "fine" is not one of`,
		head + `{"vulnerability":"X","products":["x"],"status":"not_affected"}]}`: "wants a justification",
		head + `{"vulnerability":"X","status":"fixed"}]}`:                         "it names no products",
	} {
		if _, err := parseVEX([]byte(text)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v; want %q", text, err, says)
		}
	}
	if _, err := ReadVEX(filepath.Join(t.TempDir(), "none")); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "reading VEX ") {
		t.Error(err)
	}
}

// TestSARIF holds a report against the schema of SARIF 2.1.0.
func TestSARIF(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/sarif-2.1.0.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sarif", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := c.Compile("sarif")
	if err != nil {
		t.Fatal(err)
	}
	r := &Report{Findings: []Finding{
		{Kind: Vulnerability, ID: "CVE-2026-1", Package: "lodash", Version: "1", Severity: osv.Severity{Level: osv.Critical, Score: 9.8}, Functions: []string{"a", "b", "c", "d", "e", "f"}, Places: []string{`a folder\ü.json`}, Mend: "ask"},
		{Kind: Vulnerability, ID: "CVE-2026-1", Package: "lodash", Version: "2", Suppressed: &Suppressed{Status: "not_affected", File: "x"}},
		{Kind: EndOfLife, ID: "end-of-life/go/1.1", Package: "Go", Summary: "it ended", Severity: osv.Severity{Level: osv.Low}},
	}}
	for _, r := range []*Report{r, {}} {
		data, err := r.SARIF("1.2.3", "stack.yaml")
		if err != nil {
			t.Fatal(err)
		}
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(v); err != nil {
			t.Errorf("%v\n%s", err, data)
		}
	}
	data, _ := r.SARIF("1.2.3", "stack.yaml")
	var log sarifLog
	if err := json.Unmarshal(data, &log); err != nil {
		t.Fatal(err)
	}
	run := log.Runs[0]
	if len(run.Tool.Driver.Rules) != 2 || len(run.Results) != 3 || run.Results[0].Locations[0].Physical.Artifact.URI != "a%20folder/%C3%BC.json" || run.Results[2].Locations[0].Physical.Artifact.URI != "stack.yaml" ||
		run.Results[0].Level != "error" || len(run.Results[1].Suppressions) != 1 || !strings.Contains(run.Results[0].Message.Text, "In a, b, c, d and 2 more") {
		t.Errorf("%s", data)
	}
}
