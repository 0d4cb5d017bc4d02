package osv

import (
	"archive/zip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/internal/growth"
)

// TestGrowth reads what attackers would have a database say: the time grows with the length of a record, and with the number
// of records about a package. They are a quarter of what is read.
func TestGrowth(t *testing.T) {
	var readers []growth.Reader
	p := Package{Ecosystem: "npm", Name: "a", Version: "1.2.3"}
	for _, c := range []struct{ what, before, part, after string }{
		{"events", `{"id":"X-1","affected":[{"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}`, `,{"fixed":"2.#.0"}`, `]}]}]}`},
		{"events in no order", `{"id":"X-1","affected":[{"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"}`, `,{"fixed":"9.#.0"},{"introduced":"1.#.0"}`, `]}]}]}`},
		{"ranges", `{"id":"X-1","affected":[{"package":{"ecosystem":"npm","name":"a"},"ranges":[{}`, `,{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.#.0"}]}`, `]}]}`},
		{"affected", `{"id":"X-1","affected":[{}`, `,{"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"#.0.0"}]}]}`, `]}`},
		{"versions", `{"id":"X-1","affected":[{"package":{"ecosystem":"npm","name":"a"},"versions":[""`, `,"#.0.0"`, `]}]}`},
		{"a version", `{"id":"X-1","affected":[{"package":{"ecosystem":"npm","name":"a"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1`, `.1`, `"}]}]}]}`},
		{"aliases", `{"id":"X-1","aliases":[""`, `,"CVE-#"`, `],"affected":[{"package":{"ecosystem":"npm","name":"a"},"versions":["1.2.3"]}]}`},
		{"severities", `{"id":"X-1","severity":[{}`, `,{"type":"CVSS_V3","score":"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}`, `],"affected":[{"package":{"ecosystem":"npm","name":"a"},"versions":["1.2.3"]}]}`},
		{"nested", `{"id":"X-1","database_specific":`, `[`, ``},
	} {
		readers = append(readers, growth.Reader{Name: c.what, Size: maxRecord / 4, Begin: func(size int) func() {
			data := []byte(c.before + growth.Numbered(c.part, size-len(c.before)-len(c.after)-len(c.part)) + c.after)
			return func() {
				var r record
				if decode(data, &r) == nil {
					r.match(p)
				}
				var b brief
				_ = decode(data, &b)
			}
		}})
	}
	readers = append(readers, growth.Reader{Name: "records about one package", Size: 10_000, Begin: func(size int) func() {
		dir, cache := t.TempDir(), t.TempDir()
		file := filepath.Join(dir, "npm", "all.zip")
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		z := zip.NewWriter(f)
		for n := range size {
			w, err := z.Create(fmt.Sprint(n) + ".json")
			if err == nil {
				_, err = w.Write([]byte(hole("X-"+fmt.Sprint(n), "npm", "a", `"versions":["1.2.3"]`)))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(z.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		db := Open(dir, cache, nil)
		t.Cleanup(func() { _ = db.Close() })
		return func() {
			if found, err := db.Find(t.Context(), p); err != nil || len(found) != size {
				t.Errorf("%d of %d, %v", len(found), size, err)
			}
		}
	}})
	growth.Check(t, readers...)
}

// FuzzRecord reads any bytes as an advisory, and compares versions of each ecosystem with what it says.
func FuzzRecord(f *testing.F) {
	f.Add([]byte(hole("X-1", "npm", "a", events("SEMVER", `{"introduced":"0"},{"fixed":"2.0.0"}`))))
	f.Add([]byte(hole("X-1", "Debian:12", "a", events("ECOSYSTEM", `{"introduced":"1:0~a"},{"last_affected":"2.0.0-1+b"}`))))
	f.Add([]byte(hole("X-1", "PyPI", "a", events("ECOSYSTEM", `{"limit":"*"},{"introduced":"1.0rc1"}`))))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r record
		var b brief
		if (decode(data, &r) == nil) && decode(data, &b) == nil && r.ID != b.ID {
			t.Errorf("%q and %q", r.ID, b.ID)
		}
		for _, a := range r.Affected {
			for _, version := range []string{"1.2.3", "", "1:2~3-4+b1", "v0"} {
				out, is, notes := r.match(Package{Ecosystem: a.Package.Ecosystem, Name: a.Package.Name, Version: version})
				if is && out.ID != r.ID || len(notes) > 2*len(data)+2 {
					t.Errorf("%+v, %t, %d notes", out, is, len(notes))
				}
			}
		}
	})
}

// FuzzArchive reads any bytes as an archive of advisories, and as an index of one.
func FuzzArchive(f *testing.F) {
	dir := f.TempDir()
	file := filepath.Join(dir, "a.zip")
	var b strings.Builder
	z := zip.NewWriter(&b)
	w, err := z.Create("1.json")
	if err == nil {
		_, err = w.Write([]byte(hole("X-1", "npm", "a", `"versions":["1"]`)))
	}
	if err := errors.Join(err, z.Close()); err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(b.String()))
	f.Fuzz(func(t *testing.T, data []byte) {
		if x, err := decodeIndex(data); (x == nil) == (err == nil) {
			t.Errorf("%v, %v", x, err)
		}
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		in, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = in.Close() }() // it was only read
		x, err := makeIndex(t.Context(), in, "npm")
		if err != nil {
			return
		}
		encoded, err := x.encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decodeIndex(encoded); err != nil || string(again.entries) != string(x.entries) {
			t.Errorf("an index is read as another one: %v", err)
		}
	})
}
