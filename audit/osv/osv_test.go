package osv

import (
	"archive/zip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// archiveOf writes an archive of records in the layout of osv-scanner.
func archiveOf(t *testing.T, dir, ecosystem string, records map[string]string) string {
	t.Helper()
	file := filepath.Join(dir, "osv-scalibr", ecosystem, "all.zip")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(f)
	for name, text := range records {
		w, err := z.Create(name)
		if err == nil {
			_, err = w.Write([]byte(text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return file
}

func hole(id, ecosystem, name, rest string) string {
	return `{"id":"` + id + `","modified":"2026-01-02T03:04:05Z","affected":[{"package":{"ecosystem":"` + ecosystem + `","name":"` + name + `"},` + rest + `}]}`
}

func events(kind, list string) string {
	return `"ranges":[{"type":"` + kind + `","events":[` + list + `]}]`
}

// TestMatch holds which versions a record is about.
func TestMatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		ecosystem, name, rest string
		in, out               []string
		fixed                 string // of the first one that is in
	}{
		"fixed":            {"npm", "lodash", events("SEMVER", `{"introduced":"0"},{"fixed":"4.17.21"}`), []string{"4.17.20", "0.0.1", "4.17.21-rc.1"}, []string{"4.17.21", "5.0.0"}, "4.17.21"},
		"last affected":    {"PyPI", "django", events("ECOSYSTEM", `{"introduced":"2.0"},{"last_affected":"3.1.4"}`), []string{"2.0", "2.0.0", "3.1.4", "3.1.4.dev1"}, []string{"1.11", "3.1.4.post1", "2.0rc1"}, ""},
		"two windows":      {"Go", "example.com/m", events("SEMVER", `{"fixed":"1.2.0"},{"introduced":"2.0.0"},{"introduced":"1.0.0"},{"fixed":"2.1.0"}`), []string{"v1.1.0", "v2.0.5"}, []string{"v0.9.0", "v1.2.0", "v1.9.9", "v2.1.0"}, "1.2.0"},
		"limit":            {"npm", "a", events("SEMVER", `{"introduced":"1.0.0"},{"limit":"2.0.0"}`), []string{"1.0.0", "1.9.9"}, []string{"0.9.0", "2.0.0", "3.0.0"}, ""},
		"limit of all":     {"npm", "a", events("SEMVER", `{"introduced":"1.0.0"},{"limit":"*"}`), []string{"1.0.0", "9.0.0"}, []string{"0.9.0"}, ""},
		"listed":           {"PyPI", "Zope.Interface", `"versions":["1.0","1.1"]`, []string{"1.0", "1.1"}, []string{"1.2", "1.0.0"}, ""},
		"listed and range": {"PyPI", "x", `"versions":["9.0"],` + events("ECOSYSTEM", `{"introduced":"0"},{"fixed":"1.0"}`), []string{"0.9", "9.0"}, []string{"1.0"}, "1.0"},
		"commits":          {"PyPI", "x", events("GIT", `{"introduced":"0"}`), nil, []string{"1.0"}, ""},
		"commits first": {
			"PyPI", "x", `"ranges":[{"type":"GIT","events":[{"introduced":"0"}]},{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"2"}]}]`,
			[]string{"1.0"},
			[]string{"2.0"},
			"2",
		},
		"Debian":         {"Debian:12", "openssl", events("ECOSYSTEM", `{"introduced":"0"},{"fixed":"3.0.15-1~deb12u1"}`), []string{"3.0.11-1~deb12u2", "1:0~", "3.0.15-1~"}[:1], []string{"3.0.15-1~deb12u1", "1:1.0"}, "3.0.15-1~deb12u1"},
		"Alpine":         {"Alpine:v3.20", "musl", events("ECOSYSTEM", `{"introduced":"0"},{"fixed":"1.2.5-r1"}`), []string{"1.2.5-r0"}, []string{"1.2.5-r1", "1.2.5-r10"}, "1.2.5-r1"},
		"Maven":          {"Maven", "org.x:y", events("ECOSYSTEM", `{"introduced":"1.0"},{"fixed":"1.0.1"}`), []string{"1.0", "1.0.1-SNAPSHOT", "1.0.0"}, []string{"1.0.1", "1.0-alpha"}, "1.0.1"},
		"crates":         {"crates.io", "tokio", events("SEMVER", `{"introduced":"0.0.0-0"},{"fixed":"1.0.0"}`), []string{"0.1.0"}, []string{"1.0.0"}, "1.0.0"},
		"nothing said":   {"npm", "x", `"versions":[]`, nil, []string{"1.0.0"}, ""},
		"Go's own parts": {"Go", "stdlib", events("SEMVER", `{"introduced":"1.26.0-0"},{"fixed":"1.26.3"}`), []string{"go1.26.2", "1.26.0"}, []string{"go1.26.3", "go1.25.9"}, "1.26.3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			archiveOf(t, dir, base(c.ecosystem), map[string]string{"a.json": hole("X-1", c.ecosystem, c.name, c.rest)})
			db := Open(dir, t.TempDir(), nil)
			defer db.Close()
			for i, v := range append(c.in, c.out...) {
				got, err := db.Find(t.Context(), Package{c.ecosystem, c.name, v})
				if err != nil {
					t.Fatal(err)
				}
				if want := i < len(c.in); (len(got) == 1) != want {
					t.Errorf("%s: %d advisories, want it to be affected: %t", v, len(got), want)
				}
				if i == 0 && len(got) == 1 && got[0].Fixed != c.fixed {
					t.Errorf("%s: fixed in %q, want %q", v, got[0].Fixed, c.fixed)
				}
			}
			if len(db.Notes()) > 0 {
				t.Error(db.Notes())
			}
		})
	}
}

// TestNames finds packages as people and databases write them.
func TestNames(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	all := events("ECOSYSTEM", `{"introduced":"0"}`)
	archiveOf(t, dir, "PyPI", map[string]string{"1.json": hole("P-1", "PyPI", "zope-interface", all), "README.txt": "no advisory"})
	archiveOf(t, dir, "Debian", map[string]string{
		"1.json": hole("DSA-1", "Debian:12", "zlib", all), "2.json": hole("DSA-2", "Debian:13", "zlib", all), "3.json": hole("DSA-3", "Debian", "zlib", all),
		"4.json":       `{"id":"DSA-4","withdrawn":"2026-01-01T00:00:00Z","affected":[{"package":{"ecosystem":"Debian:12","name":"zlib"},` + all + `}]}`,
		"../../5.json": hole("DSA-5", "npm", "zlib", all),
	})
	db := Open(dir, t.TempDir(), nil)
	defer db.Close()
	for p, want := range map[Package][]string{
		{"PyPI", "Zope.Interface", "1"}:    {"P-1"},
		{"PyPI", "zope__interface", "1"}:   {"P-1"},
		{"PyPI", "zope\x00interface", "1"}: nil,
		{"Debian:12", "zlib", "1"}:         {"DSA-1", "DSA-3"},
		{"Debian:13", "zlib", "1"}:         {"DSA-2", "DSA-3"},
		{"Debian:12", "Zlib", "1"}:         nil,
	} {
		var ids []string
		got, err := db.Find(t.Context(), p)
		for _, a := range got {
			ids = append(ids, a.ID)
		}
		if err != nil || !cmp.Equal(ids, want) {
			t.Errorf("%v: %v, %v; want %v", p, ids, err, want)
		}
	}
	if missing, err := db.Missing([]Package{{Ecosystem: "npm"}, {Ecosystem: "PyPI"}, {Ecosystem: "Alpine:v3"}, {Ecosystem: "../x"}}); err != nil || !cmp.Equal(missing, []string{"Alpine", "npm"}) {
		t.Errorf("missing: %v, %v", missing, err)
	}
	for _, eco := range []string{"npm", "../PyPI", "", "."} {
		if _, err := db.Find(t.Context(), Package{eco, "x", "1"}); !is[*MissingError](err) {
			t.Errorf("%q: %v", eco, err)
		}
	}
}

func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}

// TestSeverity holds how bad records are.
func TestSeverity(t *testing.T) {
	t.Parallel()
	const v31, v2, v4 = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", "AV:N/AC:L/Au:N/C:P/I:P/A:P", "CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:L/SC:N/SI:N/SA:N"
	for text, want := range map[string]Severity{
		`{"severity":[{"type":"CVSS_V3","score":"` + v31 + `"}]}`:                                                      {Critical, 9.8, v31},
		`{"severity":[{"type":"CVSS_V4","score":"` + v4 + `"},{"type":"CVSS_V2","score":"` + v2 + `"}]}`:               {High, 7.5, v2},
		`{"severity":[{"type":"CVSS_V3","score":"CVSS:3.1/AV:N"}],"database_specific":{"severity":"MODERATE"}}`:        {Level: Medium},
		`{"severity":[{"type":"Ubuntu","score":"negligible"}]}`:                                                        {Level: None},
		`{"database_specific":{"severity":["HIGH"]},"affected":[{"ecosystem_specific":{"urgency":"low**"}}]}`:          {Level: Low},
		`{"database_specific":7,"affected":[{"ecosystem_specific":"x","database_specific":{"severity":"Important"}}]}`: {Level: High},
		`{"id":"MAL-2026-1"}`: {Level: Critical},
		`{"severity":[{"type":"CVSS_V3","score":"` + v31 + `"}],"affected":[{"ecosystem_specific":{"urgency":"unimportant"}}]}`: {None, 9.8, v31},
		`{"affected":[{"severity":[{"type":"CVSS_V3","score":"` + strings.Repeat("CVSS:3.1/", 100) + `"}]}]}`:                   {},
		`{}`: {},
	} {
		var r record
		if err := decode([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		a := &affected{}
		if len(r.Affected) > 0 {
			a = &r.Affected[0]
		}
		if got := severityOf(&r, a); got != want {
			t.Errorf("%s: %+v, want %+v", text, got, want)
		}
	}
}

// TestIndexIsKept reads an archive whole once, and again when it is another one.
func TestIndexIsKept(t *testing.T) {
	t.Parallel()
	dir, cache := t.TempDir(), t.TempDir()
	all := events("SEMVER", `{"introduced":"0"}`)
	file := archiveOf(t, dir, "npm", map[string]string{"1.json": hole("X-1", "npm", "a", all)})
	find := func() (ids string, reads int) {
		t.Helper()
		db := Open(dir, cache, func(string, int64) { reads++ })
		defer db.Close()
		got, err := db.Find(t.Context(), Package{"npm", "a", "1.0.0"})
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range got {
			ids += a.ID
		}
		return ids, reads
	}
	check := func(what, ids string, reads int) {
		t.Helper()
		if gotIDs, gotReads := find(); gotIDs != ids || gotReads != reads {
			t.Errorf("%s: %s after %d readings, want %s after %d", what, gotIDs, gotReads, ids, reads)
		}
	}
	check("new", "X-1", 1)
	check("unchanged", "X-1", 0)
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(file, later, later); err != nil {
		t.Fatal(err)
	}
	check("copied", "X-1", 0)
	archiveOf(t, dir, "npm", map[string]string{"1.json": hole("X-2", "npm", "a", all)})
	check("another one of the same size", "X-2", 1)
	files, err := filepath.Glob(filepath.Join(cache, "*.index"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)-40]++
	if err := os.WriteFile(files[0], data, 0o600); err != nil {
		t.Fatal(err)
	}
	check("a damaged index", "X-2", 1)
}

// TestBroken refuses archives that cannot be relied on, in words.
func TestBroken(t *testing.T) {
	t.Parallel()
	all := events("SEMVER", `{"introduced":"0"}`)
	good := hole("X-1", "npm", "a", all)
	for name, c := range map[string]struct {
		record string
		change func([]byte) []byte
		says   string
	}{
		"cut off":           {good, func(b []byte) []byte { return b[:len(b)-30] }, "it is not a whole archive: zip: not a valid zip file"},
		"empty":             {good, func([]byte) []byte { return nil }, "it is not a whole archive"},
		"a record cut off":  {good[:len(good)-3], nil, "1.json: it is cut off after"},
		"no record":         {`[]`, nil, "1.json: it is not an advisory: json: cannot unmarshal array"},
		"no ID":             {`{}`, nil, "it has no id"},
		"an ID that drives": {`{"id":"X\u001b[31m"}`, nil, `its id "X\x1b[31m" has characters that no id has`},
		"a long ID":         {`{"id":"` + strings.Repeat("x", 200) + `"}`, nil, "its id has 200 characters, of at most 128"},
		"a bomb":            {good + strings.Repeat(" ", maxRecord), nil, "it unpacks to more than 128 times its size"},
		"a name with zero":  {hole("X-1", "npm", `a\u0000b`, all), nil, "or a zero byte"},
		"damaged":           {good, func(b []byte) []byte { b[45] ^= 0xff; return b }, "1.json: it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, cache := t.TempDir(), t.TempDir()
			file := archiveOf(t, dir, "npm", map[string]string{"1.json": c.record})
			if c.change != nil {
				data, err := os.ReadFile(file)
				if err == nil {
					err = os.WriteFile(file, c.change(data), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			db := Open(dir, cache, nil)
			defer db.Close()
			_, err := db.Find(t.Context(), Package{"npm", "a", "1.0.0"})
			if !is[*BrokenError](err) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%v; want %q", err, c.says)
			}
			if files, _ := filepath.Glob(filepath.Join(cache, "*.index")); len(files) > 0 {
				t.Errorf("there is an index: %v", files)
			}
		})
	}
}

// TestChangedBelow has an archive change after it was indexed, with its size and time kept.
func TestChangedBelow(t *testing.T) {
	t.Parallel()
	dir, cache := t.TempDir(), t.TempDir()
	file := archiveOf(t, dir, "npm", map[string]string{"1.json": hole("X-1", "npm", "a", events("SEMVER", `{"introduced":"0"}`))})
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	for round, want := range []bool{false, true} {
		db := Open(dir, cache, nil)
		_, err := db.Find(t.Context(), Package{"npm", "a", "1.0.0"})
		if is[*BrokenError](err) != want {
			t.Errorf("round %d: %v", round, err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		data[60] ^= 0xff
		if err := errors.Join(os.WriteFile(file, data, 0o600), os.Chtimes(file, info.ModTime(), info.ModTime())); err != nil {
			t.Fatal(err)
		}
	}
}
