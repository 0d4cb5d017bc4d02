package store_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/fixture"
	"fnb/schema"
	"fnb/store"
	"fnb/store/git"
	"fnb/store/records"
)

const functionList = `{"version": "0.2.1", "functions": [
  {"name": "figlet", "title": "Figlet", "description": "ASCII logos", "author": "alexellis", "icon": "https://example.com/figlet.png",
   "fprocess": "figlet", "network": "func_functions", "repo_url": "https://github.com/openfaas/store-functions",
   "readOnlyRootFilesystem": true, "environment": {"write_timeout": "60s"}, "labels": {"com.openfaas.ui.ext": "txt"}, "annotations": {"topic": "text"},
   "images": {"x86_64": "ghcr.io/openfaas/figlet:latest", "arm64": "ghcr.io/openfaas/figlet:arm", "armhf": "ghcr.io/openfaas/figlet:latest-armhf"}},
  {"name": "Figlet", "images": {"x86_64": "figlet:2"}},
  {"name": "no images", "images": {"x86_64": "x:1"}},
  {"name": "none"},
  {"name": "<script>", "images": {"x86_64": "x:1"}},
  {"name": "odd", "images": {"vax": "x:1"}},
  {"name": "env", "environment": {"a b": "c"}, "images": {"x86_64": "x:1"}},
  {"name": "pinned", "icon": "javascript:x", "images": {"x86_64": "x:1@sha256:1111111111111111111111111111111111111111111111111111111111111111"}}
]}`

func TestFunctionsOfOpenFaaS(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "functions.json")
	fixture.Must(t, os.WriteFile(file, []byte(functionList), 0o644))
	s := withStores(t, store.Options{})
	c, notes, err := s.AddStore(t.Context(), "faas", file, nil)
	fixture.Must(t, err)
	if diff := cmp.Diff([]string{"faas"}, c.Namespaces); diff != "" || len(notes) != 1 || !strings.Contains(notes[0], "6 entries were skipped") {
		t.Error(diff, notes)
	}
	f, _, err := s.Function(t.Context(), "faas/figlet", store.Scope{})
	fixture.Must(t, err)
	want := schema.Record{
		V: 1, Kind: "function", Name: "faas/figlet", Title: "Figlet", Description: "ASCII logos", Author: "alexellis", Icon: "https://example.com/figlet.png",
		Image: &schema.RecordImage{Ref: "ghcr.io/openfaas/figlet:latest", Platforms: map[string]schema.PlatformImage{
			"linux/amd64":  {Ref: "ghcr.io/openfaas/figlet:latest"},
			"linux/arm64":  {Ref: "ghcr.io/openfaas/figlet:arm"},
			"linux/arm/v7": {Ref: "ghcr.io/openfaas/figlet:latest-armhf"},
		}},
		Run: &schema.RecordRun{
			FProcess: "figlet", ReadOnlyRootFilesystem: true, Environment: map[string]string{"write_timeout": "60s"},
			Labels: map[string]string{"com.openfaas.ui.ext": "txt"}, Annotations: map[string]string{"topic": "text"},
		},
		Built: &schema.RecordBuilt{Git: &schema.GitSource{URL: "https://github.com/openfaas/store-functions"}},
	}
	if diff := cmp.Diff(want, f.Record); diff != "" {
		t.Error(diff)
	}
	if f, _, err := s.Function(t.Context(), "faas/pinned", store.Scope{}); err != nil || f.Record.Image.Platforms["linux/amd64"].Digest == "" || f.Record.Icon != "" {
		t.Errorf("%+v %v", f.Record, err)
	}
	if _, _, err := s.Function(t.Context(), "faas/figlet@1", store.Scope{}); !store.IsMissing(err) {
		t.Errorf("a version of a list: %v", err)
	}
	found, _, err := s.Functions(t.Context(), store.Query{Words: []string{"logos"}, Platform: "armhf"})
	if err != nil || len(found) != 1 || found[0].Name != "faas/figlet" {
		t.Errorf("%v %v", found, err)
	}
	for _, text := range []string{`{"version": "1.0", "functions": []}`, `{"functions": 1}`, `{`} {
		fixture.Must(t, os.WriteFile(file, []byte(text), 0o644))
		if _, err := s.UpdateStores(t.Context()); !fixture.Is[*git.UnreachableError](err) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

// The first functions.json was a list; a list of which nothing can be used is no store.
func TestListsOfNothing(t *testing.T) {
	t.Parallel()
	of2018 := `[{"title": "NodeInfo", "name": "nodeinfo", "image": "functions/nodeinfo:latest", "fprocess": "node main.js", "repo_url": "https://github.com/openfaas/faas"},
		  {"title": "Figlet", "name": "figlet", "image": "functions/figlet:latest", "network": "func_functions"}]`
	for text, want := range map[string]string{
		of2018:                 "it is a list of functions in the format before 0.2, and this fnb reads 0.2",
		`[{"title": "x"}, {}]`: "none of its 2 entries can be used, the first because of this: entry 1 (/): a name cannot be empty",
		`{"version": "0.2.1", "functions": [{"name": "none"}]}`: "none of its 1 entries can be used, the first because of this: entry 1 (none): it has no images",
	} {
		file := filepath.Join(t.TempDir(), "functions.json")
		fixture.Must(t, os.WriteFile(file, []byte(text), 0o644))
		s := withStores(t, store.Options{})
		_, _, err := s.AddStore(t.Context(), "old", file, nil)
		if !fixture.Is[*records.NoStoreError](err) || err.Error() != file+": "+want {
			t.Errorf("%s: %v", text, err)
		}
		if all, err := s.Stores(); err != nil || len(all) != 0 {
			t.Errorf("%v %v", all, err)
		}
	}
}

func TestIndexOfFunctions(t *testing.T) {
	t.Parallel()
	out, made := generate(t, storeTree()+
		functionRecord("acme/thumb", "1.0.0", "linux/amd64", "")+
		functionRecord("acme/thumb", "1.1.0", "linux/amd64,linux/arm64,linux/s390x", `, "title": "Thumb", "run": {"fprocess": "thumb", "env": {"a": "b"}}`)+
		functionRecord("acme/other", "1.0.0", "linux/arm/v7", "")+
		functionRecord("beta/thumb", "1.0.0", "linux/amd64", "")+
		functionRecord("beta/gone", "1.0.0", "linux/s390x", ""))
	if made.Packages != 4 || made.Versions != 5 {
		t.Errorf("%+v", made)
	}
	lines, err := os.ReadFile(filepath.Join(out, "f/acme/thumb.ndjson"))
	fixture.Must(t, err)
	if n := strings.Count(string(lines), "\n"); n != 2 || !strings.Contains(string(lines), `"title":"Thumb"`) {
		t.Errorf("%d lines: %s", n, lines)
	}
	data, err := os.ReadFile(filepath.Join(out, "compat/functions.json"))
	fixture.Must(t, err)
	var list struct {
		Version   string
		Functions []records.OpenFaaSFunction
	}
	fixture.Must(t, json.Unmarshal(data, &list))
	digest := "@sha256:" + strings.Repeat("1", 64)
	want := []records.OpenFaaSFunction{
		{Name: "other", Title: "other", Images: map[string]string{"armhf": "registry.example.com/acme/other:1.0.0" + digest}},
		{
			Name: "acme-thumb", Title: "Thumb", FProcess: "thumb", Environment: map[string]string{"a": "b"},
			Images: map[string]string{"x86_64": "registry.example.com/acme/thumb:1.1.0" + digest, "arm64": "registry.example.com/acme/thumb:1.1.0" + digest},
		},
		{Name: "beta-thumb", Title: "beta-thumb", Images: map[string]string{"x86_64": "registry.example.com/beta/thumb:1.0.0" + digest}},
	}
	if diff := cmp.Diff(want, list.Functions); diff != "" || list.Version != "0.2.1" {
		t.Error(list.Version, diff)
	}
	// What is written can be read as a store.
	s := withStores(t, store.Options{})
	if _, notes, err := s.AddStore(t.Context(), "again", filepath.Join(out, "compat/functions.json"), nil); err != nil || len(notes) != 0 {
		t.Errorf("%q %v", notes, err)
	}
}
