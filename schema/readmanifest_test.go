package schema_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/schema"
)

func TestParseManifest(t *testing.T) {
	t.Parallel()
	tests := map[string]schema.Manifest{
		"openfaas.yml": {
			Language: "python3-http", FProcess: "python index.py", HandlerFolder: "src", MountSSH: true,
			WelcomeMessage: "Thank you.\n\nRead more: https://example.com # not a comment\n",
			BuildOptions:   []schema.BuildOption{{Name: "dev", Packages: []string{"make", "gcc"}}},
		},
		"fnb.yml": {
			Language: "go", FProcess: "./handler", HandlerFolder: "function", WelcomeMessage: "Hello.\n",
			BuildOptions: []schema.BuildOption{{Name: "dev", Packages: []string{"git", "gcc"}}},
			Version:      "1.0.0-rc.1", Description: "HTTP functions: in Go", License: "MIT",
			Mode: "http", UpstreamURL: "http://127.0.0.1:8082", Watchdog: "default",
			Packages: []schema.PackageList{
				{Ecosystem: "go", Manifest: "function/go.mod", Lock: "function/go.sum"},
				{
					Ecosystem: "pypi", Manifest: "function/requirements.txt", Files: []string{"function/requirements*.txt"},
					Locks: map[string]string{"uv": "function/uv.lock", "poetry": "function/poetry.lock"},
				},
			},
			Platforms: schema.Platforms{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}},
			Caches:    []string{"/root/.cache/go-build", "/go/pkg/mod"},
			Test:      &schema.TemplateTest{Target: "test", Request: &schema.TestRequest{Method: "PUT", Path: "/a", Headers: map[string]string{"Accept": "a/b"}, Body: "hi", Status: 201, Contains: "hi"}},
			Runtime:   &schema.Runtime{Arg: "GO_VERSION", Files: []string{".go-version", "go.mod"}, Least: "1.21"},
			Debug:     &schema.Debug{Command: "dlv exec ./handler", Port: 2345, Adapter: "delve", Folder: "/src"},
		},
		"empty.yml": {},
	}
	for name, want := range tests {
		got, err := schema.ParseManifest(name, readTestFile(t, "testdata/template/valid/"+name))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestManifestValuesAreNotReplaced(t *testing.T) {
	t.Parallel()
	m, err := schema.ParseManifest("template.yml", []byte("fprocess: sh -c 'echo ${X} $$'\nupstream_url: unix:///tmp/f.sock\n"))
	if err != nil || m.FProcess != "sh -c 'echo ${X} $$'" {
		t.Errorf("got %+v, %v", m, err)
	}
}
