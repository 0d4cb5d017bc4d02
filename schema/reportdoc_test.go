package schema_test

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/schema"
)

var quoted = regexp.MustCompile("`([^`]+)`")

// TestReportIsDocumented compares the keys of the build report with the table of
// docs/formats.md, both ways.
func TestReportIsDocumented(t *testing.T) {
	t.Parallel()
	_, text, _ := strings.Cut(string(readTestFile(t, "../docs/formats.md")), "\n## Build report ")
	text, _, _ = strings.Cut(text, "\n## ")
	var documented []string
	for line := range strings.Lines(text) {
		cells := strings.Split(line, "|")
		if len(cells) < 3 {
			continue
		}
		folder := "" // of keys that share a row
		for _, m := range quoted.FindAllStringSubmatch(cells[1], -1) {
			key := strings.TrimSuffix(m[1], "[]")
			if i := strings.LastIndex(key, "."); i >= 0 {
				folder = key[:i+1]
			} else {
				key = folder + key
			}
			documented = append(documented, key)
		}
	}
	want := append(keysOf(reflect.TypeFor[schema.FunctionReport](), "functions[]."), "version", "seconds")
	slices.Sort(documented)
	slices.Sort(want)
	if diff := cmp.Diff(want, documented); diff != "" {
		t.Errorf("keys of the report (-written +documented):\n%s", diff)
	}
	for _, list := range []reflect.Type{reflect.TypeFor[schema.PlatformReport](), reflect.TypeFor[schema.InputChange]()} {
		for _, key := range keysOf(list, "") {
			if !strings.Contains(text, "`"+key+"`") {
				t.Errorf("%s of %s is not documented", key, list)
			}
		}
	}
}

// keysOf are the JSON keys of a type, behind a prefix.
func keysOf(typ reflect.Type, prefix string) []string {
	var keys []string
	for _, f := range reflect.VisibleFields(typ) {
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		keys = append(keys, prefix+key)
	}
	return keys
}
