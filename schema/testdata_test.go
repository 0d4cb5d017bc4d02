package schema_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/schema"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// environment is the environment that the files in testdata are read with.
func environment(name string) (string, bool) {
	value, ok := map[string]string{
		"HANDLER": "./a: b # c", "MULTILINE": "one\n  two: 2\n- three", "BRACES": `{"a": [1]}`, "COLON": "a: b", "EMPTY": "",
	}[name]
	return value, ok
}

// TestInvalidFilesReportEveryProblem reads each file of an invalid folder and
// compares its errors with the file of the same name that ends in .err.
func TestInvalidFilesReportEveryProblem(t *testing.T) {
	t.Parallel()
	read := map[string]func(string, []byte) error{
		"stack": func(name string, data []byte) error {
			_, err := schema.ParseStack(name, data, environment)
			return err
		},
		"template": func(name string, data []byte) error {
			_, err := schema.ParseManifest(name, data)
			return err
		},
		"lock": func(name string, data []byte) error {
			_, err := schema.ParseLock(name, data)
			return err
		},
	}
	for kind, parse := range read {
		for _, path := range files(t, kind+"/invalid") {
			t.Run(kind+"/"+filepath.Base(path), func(t *testing.T) {
				t.Parallel()
				err := parse(filepath.Base(path), readTestFile(t, path))
				if err == nil {
					t.Fatal("the file was accepted")
				}
				golden(t, path+".err", []byte(err.Error()+"\n"))
			})
		}
	}
}

// files returns the files in a folder of testdata that are not golden files.
func files(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join("testdata", dir, "*"))
	if err != nil || len(all) == 0 {
		t.Fatalf("no files in %s: %v", dir, err)
	}
	var inputs []string
	for _, path := range all {
		if !strings.HasSuffix(path, ".err") {
			inputs = append(inputs, path)
		}
	}
	return inputs
}

func readTestFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// golden compares got with the file at path, or rewrites that with -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want := readTestFile(t, path); !bytes.Equal(want, got) {
		t.Errorf("%s (-want +got):\n%s", path, cmp.Diff(string(want), string(got)))
	}
}
