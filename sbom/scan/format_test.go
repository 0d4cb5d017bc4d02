package scan_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/fixture"
	"fnb/sbom/scan"
)

var update = flag.Bool("update", false, "write what is found in the sample layer, under a new format")

// TestFormat holds that what is found in a layer, and how that is kept, is the same as long as [scan.Format] is: a newer fnb
// takes what an older one has kept. Whoever changes it raises the format and writes the file of the new one with -update.
func TestFormat(t *testing.T) {
	t.Parallel()
	sample := everything(t)
	delete(sample, "home/app/handler") // this test, which is another program each time
	maps.Copy(sample, files{
		"lib/apk/db/installed":            "P:musl\nV:1.2.5-r0\nA:x86_64\nL:MIT\no:musl\n",
		"usr/bin/deno":                    language(t, "Deno/2.9.6"),
		"a/broken.jar":                    "PK no",
		"a/node_modules/x/package.json":   `{"name":`,
		"a/node_modules/.wh.gone":         "",
		"b/.wh..wh..opq":                  "",
		"a/node_modules/esc/package.json": `{"name":"\u001b[31m","version":"1"}`,
	})
	dir := t.TempDir()
	_, err := (&scan.Cache{Dir: dir}).Image(t.Context(), image(t, sample))
	fixture.Must(t, err)
	kept, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("%v, %v", kept, err)
	}
	data, err := os.ReadFile(kept[0])
	fixture.Must(t, err)
	// How large it is depends on how well the sample's archives are compressed.
	data = regexp.MustCompile(`"Bytes":\d+`).ReplaceAll(data, []byte(`"Bytes":0`))
	var got bytes.Buffer
	fixture.Must(t, json.Indent(&got, data, "", " "))
	got.WriteByte('\n')
	golden := filepath.Join("testdata", "layer-"+scan.Format+".json")
	want, err := os.ReadFile(golden)
	if os.IsNotExist(err) && *update {
		old, err := filepath.Glob(filepath.Join("testdata", "layer-*.json"))
		fixture.Must(t, err)
		for _, name := range old {
			fixture.Must(t, os.Remove(name))
		}
		fixture.Must(t, os.MkdirAll("testdata", 0o755))
		fixture.Must(t, os.WriteFile(golden, got.Bytes(), 0o644))
		return
	}
	if err != nil {
		t.Fatalf("%v; write it: go test ./sbom/scan -run Format -update", err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(got.String(), "\n")); diff != "" {
		t.Errorf("what is found in a layer, or how it is kept, has changed: raise scan.Format, and write its file with -update (-was +is):\n%s", diff)
	}
}
