package store_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/fixture"
	"fnb/schema"
	"fnb/store/records"
)

// What faas-cli 0.18 decodes templates.json and functions.json into, field by field;
// docs/formats.md has what each is.
type (
	cliTemplate struct {
		Template    string `json:"template"`
		Platform    string `json:"platform"`
		Language    string `json:"language"`
		Source      string `json:"source"`
		Description string `json:"description"`
		Repo        string `json:"repo"`
		Official    string `json:"official"`
		Recommended bool   `json:"recommended"`
	}
	cliFunctions struct {
		Version   string        `json:"version"`
		Functions []cliFunction `json:"functions"`
	}
	cliFunction struct {
		Icon                   string            `json:"icon"`
		Author                 string            `json:"author"`
		Title                  string            `json:"title"`
		Description            string            `json:"description"`
		Name                   string            `json:"name"`
		FProcess               string            `json:"fprocess"`
		RepoURL                string            `json:"repo_url"`
		ReadOnlyRootFilesystem bool              `json:"readOnlyRootFilesystem"`
		Environment            map[string]string `json:"environment"`
		Labels                 map[string]string `json:"labels"`
		Annotations            map[string]string `json:"annotations"`
		Images                 map[string]string `json:"images"`
	}
)

// strictly decodes a file: a key that v has not is an error.
func strictly(t *testing.T, file string, v any) {
	t.Helper()
	f, err := os.Open(file)
	fixture.Must(t, err)
	defer f.Close()
	d := json.NewDecoder(f)
	d.DisallowUnknownFields()
	fixture.Must(t, d.Decode(v))
	if d.More() {
		t.Errorf("%s goes on", file)
	}
}

// TestForFaasCLI generates the lists for faas-cli and reads them as it does.
func TestForFaasCLI(t *testing.T) {
	t.Parallel()
	const run = `, "title": "Thumb", "description": "makes it small", "author": "Ann", "icon": "https://example.com/i.png",
 "run": {"fprocess": "thumb", "env": {"a": "b"}, "readOnlyRootFilesystem": true, "labels": {"com.openfaas.ui.ext": "png"}, "annotations": {"topic": "t"}, "secrets": ["key"]},
 "built": {"template": "go@1.0.0", "git": {"url": "https://git.example.com/f.git", "commit": "9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b9b", "path": "thumb"}}`
	sum := "fnb1:sha256:" + strings.Repeat("0a", 32)
	commit := strings.Repeat("9b", 20)
	template := rec{name: "acme/go", version: "1.2.0", sum: sum, url: "https://git.example.com/t.git", commit: commit, path: "template/go"}
	elsewhere := rec{name: "acme/odd", version: "1.0.0", sum: sum, url: "https://git.example.com/t.git", commit: commit, path: "odd"} // faas-cli looks in template/ only
	out, _ := generate(t, storeTree(template, elsewhere)+
		functionRecord("acme/thumb", "1.1.0", "linux/amd64,linux/arm64,linux/arm/v7,linux/s390x", run)+
		functionRecord("beta/thumb", "1.0.0", "linux/arm64", "")+
		functionRecord("gamma/acme-thumb", "1.0.0", "linux/amd64", ""))

	var templates []cliTemplate
	strictly(t, filepath.Join(out, "compat/templates.json"), &templates)
	if diff := cmp.Diff([]cliTemplate{{
		Template: "go", Platform: "x86_64", Language: "test", Source: "acme", Description: "says acme/go", Repo: "https://git.example.com/t.git#sha-" + commit, Official: "false",
	}}, templates); diff != "" {
		t.Error(diff)
	}
	for _, e := range templates { // what faas-cli takes after the #: a tag, a branch, or sha- and 7 to 40 digits
		if !regexp.MustCompile(`^https://[^#]+#(sha-[0-9a-f]{7,40}|[A-Za-z0-9][A-Za-z0-9._/-]*)$`).MatchString(e.Repo) {
			t.Errorf("faas-cli does not take %s", e.Repo)
		}
	}

	var functions cliFunctions
	strictly(t, filepath.Join(out, "compat/functions.json"), &functions)
	image := func(name string) string {
		return "registry.example.com/" + name + "@sha256:" + strings.Repeat("1", 64)
	}
	thumb := image("acme/thumb:1.1.0")
	if diff := cmp.Diff(cliFunctions{Version: "0.2.1", Functions: []cliFunction{
		{
			Name: "acme-thumb-2", Title: "Thumb", Description: "makes it small", Author: "Ann", Icon: "https://example.com/i.png", FProcess: "thumb", RepoURL: "https://git.example.com/f.git",
			ReadOnlyRootFilesystem: true, Environment: map[string]string{"a": "b"}, Labels: map[string]string{"com.openfaas.ui.ext": "png"}, Annotations: map[string]string{"topic": "t"},
			Images: map[string]string{"x86_64": thumb, "arm64": thumb, "armhf": thumb},
		},
		{Name: "beta-thumb", Title: "beta-thumb", Images: map[string]string{"arm64": image("beta/thumb:1.0.0")}},
		{Name: "acme-thumb", Title: "acme-thumb", Images: map[string]string{"x86_64": image("gamma/acme-thumb:1.0.0")}},
	}}, functions); diff != "" {
		t.Error(diff)
	}
	names := map[string]bool{}
	for _, f := range functions.Functions {
		if names[f.Name] || schema.ValidateFunctionName(f.Name) != nil {
			t.Errorf("faas-cli cannot deploy a function by the name %q", f.Name)
		}
		names[f.Name] = true
	}

	// The keys that are in every entry of OpenFaaS's own lists are in every one here.
	for file, want := range map[string][]string{
		"compat/templates.json": {"template", "platform", "language", "source", "description", "repo", "official"},
		"compat/functions.json": {"title", "name", "description", "images", "repo_url"},
	} {
		data, err := os.ReadFile(filepath.Join(out, file))
		fixture.Must(t, err)
		var list struct{ Functions []map[string]any }
		if strings.HasSuffix(file, "templates.json") {
			fixture.Must(t, json.Unmarshal(data, &list.Functions))
		} else {
			fixture.Must(t, json.Unmarshal(data, &list))
		}
		for i, e := range list.Functions {
			for _, key := range want {
				if _, ok := e[key]; !ok {
					t.Errorf("%s: entry %d has no %s", file, i+1, key)
				}
			}
		}
	}
}

// generate makes the index of a store, whose files are as in an archive of txtar.
func generate(t *testing.T, tree string) (string, records.Generated) {
	t.Helper()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "out")
	for _, f := range strings.Split(tree, "-- ")[1:] {
		name, data, ok := strings.Cut(f, " --\n")
		if !ok {
			continue
		}
		fixture.Must(t, os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		fixture.Must(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644))
	}
	made, err := generateFrom(t, dir, out)
	fixture.Must(t, err)
	if len(made.Passed) != 0 {
		t.Errorf("passed over: %v", made.Passed)
	}
	return out, made
}

// TestReadFromFaasCLI writes what faas-cli's types make and reads it: every field of
// theirs is known here.
func TestReadFromFaasCLI(t *testing.T) {
	t.Parallel()
	for _, pair := range [][2]reflect.Type{
		{reflect.TypeFor[cliTemplate](), reflect.TypeFor[records.OpenFaaSTemplate]()},
		{reflect.TypeFor[cliFunction](), reflect.TypeFor[records.OpenFaaSFunction]()},
	} {
		var ours []string
		for f := range pair[1].NumField() {
			name, _, _ := strings.Cut(pair[1].Field(f).Tag.Get("json"), ",")
			ours = append(ours, name)
		}
		for f := range pair[0].NumField() {
			if name := pair[0].Field(f).Tag.Get("json"); !slices.Contains(ours, name) {
				t.Errorf("%s of faas-cli's %s is not read", name, pair[0].Name())
			}
		}
	}
	data, err := json.Marshal([]cliTemplate{
		{Template: "go", Source: "acme", Repo: "https://git.example.com/t", Official: "true", Recommended: true},
		{Template: "node", Source: "acme", Repo: "https://git.example.com/t", Official: "false"},
	})
	fixture.Must(t, err)
	packs, problems, err := records.ParseTemplateList("x", data)
	fixture.Must(t, err)
	if len(packs) != 2 || len(problems) != 0 || !slices.Equal(packs[0].About.Tags, []string{"official", "recommended"}) || len(packs[1].About.Tags) != 0 {
		t.Errorf("%+v %v", packs, problems)
	}
	packs, problems, err = records.ParseTemplateList("x", []byte(`[{"template": "go", "source": "a", "repo": "https://git.example.com/t", "recommended": "yes"}]`))
	if err != nil || len(packs) != 0 || len(problems) != 1 || !strings.Contains(problems[0].Err.Error(), `"yes" is neither true nor false`) {
		t.Errorf("%+v %v %v", packs, problems, err)
	}
}
