package osv

import (
	"archive/zip"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/internal/fixture"
)

// TestAnswers reads a record that is not about a version once: what was found is kept, and of another archive it does
// not count.
func TestAnswers(t *testing.T) {
	t.Parallel()
	dir, cache := t.TempDir(), t.TempDir()
	file := archiveOf(t, dir, "npm", map[string]string{
		"1.json": hole("X-1", "npm", "a", events("SEMVER", `{"introduced":"0"},{"fixed":"1.0.0"}`)),
		"2.json": hole("X-2", "npm", "a", events("SEMVER", `{"introduced":"0"}`)),
		"3.json": hole("X-3", "npm", "b", events("SEMVER", `{"introduced":"0"}`)),
	})
	ask := func(name, version string) (ids string, notes int, broken bool) {
		t.Helper()
		db := Open(dir, cache, nil)
		got, err := db.Find(t.Context(), Package{"npm", name, version})
		if err != nil && !is[*BrokenError](err) {
			t.Fatal(err)
		}
		for _, a := range got {
			ids += a.ID + " "
		}
		fixture.Must(t, db.Close())
		return ids, len(db.Notes()), err != nil
	}
	for range 2 {
		for version, want := range map[string]string{"0.5.0": "X-1 X-2 ", "2.0.0": "X-2 "} {
			if ids, _, broken := ask("a", version); ids != want || broken {
				t.Errorf("%s: %s, want %s", version, ids, want)
			}
		}
		if _, notes, _ := ask("b", strings.Repeat("1", 300)); notes != 1 {
			t.Errorf("%d notes: what cannot be compared is said each time", notes)
		}
	}
	// The first record is damaged: it is read for the version that it is about, and for one that was not asked for.
	info, err := os.Stat(file)
	fixture.Must(t, err)
	data, err := os.ReadFile(file)
	fixture.Must(t, err)
	z, err := zip.OpenReader(file)
	fixture.Must(t, err)
	for _, f := range z.File {
		at, err := f.DataOffset()
		fixture.Must(t, err)
		if f.Name == "1.json" {
			data[at+5] ^= 0xff
		}
	}
	fixture.Must(t, errors.Join(z.Close(), os.WriteFile(file, data, 0o600), os.Chtimes(file, info.ModTime(), info.ModTime())))
	for version, want := range map[string]bool{"0.5.0": true, "2.0.0": false, "3.0.0": true} {
		if _, _, broken := ask("a", version); broken != want {
			t.Errorf("%s: broken is %t", version, broken)
		}
	}
	kept, err := filepath.Glob(filepath.Join(cache, "*.answers"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%v, %v", kept, err)
	}
	data, err = os.ReadFile(kept[0])
	fixture.Must(t, err)
	data[len(data)-40]++
	fixture.Must(t, os.WriteFile(kept[0], data, 0o600))
	if _, _, broken := ask("a", "2.0.0"); !broken {
		t.Error("what is damaged is believed")
	}
	// Another archive has other answers.
	archiveOf(t, dir, "npm", map[string]string{"1.json": hole("X-4", "npm", "a", events("SEMVER", `{"introduced":"0"}`))})
	if ids, _, _ := ask("a", "2.0.0"); ids != "X-4 " {
		t.Errorf("of another archive: %s", ids)
	}
}
