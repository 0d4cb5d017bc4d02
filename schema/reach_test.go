package schema_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/schema"
	"fnb/schema/document"
)

// TestReach: a path leads where its links lead, and may lead into the stack's folder
// and to what is allowed, whatever it is written like.
func TestReach(t *testing.T) {
	t.Parallel()
	base, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	root, home := filepath.Join(base, "project"), filepath.Join(base, "home")
	err = errors.Join(
		os.MkdirAll(filepath.Join(root, "hello"), 0o700), os.MkdirAll(filepath.Join(home, ".ssh"), 0o700), os.Mkdir(root+"2", 0o700),
		os.Symlink("../home/.ssh", filepath.Join(root, "link")), os.Symlink("hello", filepath.Join(root, "alias")),
		os.Symlink("../home/gone", filepath.Join(root, "hello", "up")), os.Symlink(root, filepath.Join(base, "mine")),
	)
	if err != nil {
		t.Fatal(err)
	}
	shared := []string{filepath.Join(home, ".ssh")}
	for _, c := range []struct {
		root, path string
		allow      []string
		leads      string // "" is outside
	}{
		{root, "hello", nil, "project/hello"},
		{root, "./hello/../hello/new", nil, "project/hello/new"},
		{root, filepath.Join(root, "hello"), nil, "project/hello"},
		{root, "alias", nil, "project/hello"},
		{root, ".", nil, "project"},
		{filepath.Join(base, "mine"), "hello", nil, "project/hello"},
		{root, "../mine/hello", nil, "project/hello"},
		{root, "..", nil, ""},
		{root, "../project2", nil, ""},
		{root, "../home/.ssh", nil, ""},
		{root, home, nil, ""},
		{root, "link", nil, ""},
		{root, "link/id_rsa", nil, ""},
		{root, "hello/up/../../../home", nil, ""},
		{root, "link/id_rsa", shared, "home/.ssh/id_rsa"},
		{root, "../home/.ssh", []string{filepath.Join(root, "link")}, "home/.ssh"},
		{root, "../home", shared, ""},
		{root, "../home/.ssh2", shared, ""},
	} {
		got, err := schema.Reach{Root: c.root, Allow: c.allow}.Path(c.path)
		if c.leads == "" {
			if e, ok := errors.AsType[*schema.OutsideError](err); !ok || e.Path != c.path || !filepath.IsAbs(e.Leads) {
				t.Errorf("%s is %s, %v", c.path, got, err)
			}
			continue
		}
		if err != nil || got != filepath.Join(base, filepath.FromSlash(c.leads)) {
			t.Errorf("%s is %s, %v", c.path, got, err)
		}
	}
}

// TestCheckPaths: each path of a function that leads too far is an error with its place,
// and those of other functions are none.
func TestCheckPaths(t *testing.T) {
	t.Parallel()
	const text = `functions:
  bad:
    lang: mine@1
    handler: ../bad
    image: bad
    build_secrets: {npm: /run/secrets/npm, own: ./token}
    environment_file: [env.yml, ../env.yml]
  folder: {lang: ../template, handler: ./folder, image: folder}
  repository: {lang: "file:///srv/repo//template/go#main", handler: ./folder, image: repository}
  host: {lang: here, handler: ./folder, image: host}
  fine: {lang: go, handler: ./fine, image: fine}
  other: {lang: go, handler: /etc, image: other, skip_build: true}
configuration:
  templates:
    - {name: mine, source: ../mine}
    - {name: unused, source: ../unused}
    - {name: here, source: "file://localhost/srv/../srv/repo//go"}
`
	root := t.TempDir()
	stack, err := schema.ParseStack(filepath.Join(root, "stack.yaml"), []byte(text), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range [][]string{
		{`:4:14: functions.bad.handler: "../bad"`, `:6:26: functions.bad.build_secrets.npm: "/run/secrets/npm"`, `:7:33: functions.bad.environment_file[1]: "../env.yml"`, `:15:28: configuration.templates[0].source: "../mine"`},
		{`:8:18: functions.folder.lang: "../template"`},
		{`:9:22: functions.repository.lang: "/srv/repo"`},
		{`:17:28: configuration.templates[2].source: "/srv/../srv/repo"`},
		nil,
	} {
		err := stack.CheckPaths(stack.Functions[i], schema.Reach{Root: root})
		var lines []string
		if err != nil {
			lines = strings.Split(err.Error(), "\n")
		}
		if len(lines) != len(want) {
			t.Fatalf("%s: %v", stack.Functions[i].Name, err)
		}
		for n, line := range lines {
			if !strings.HasPrefix(line, stack.File+want[n]+" leads out of the stack file's folder, to /") {
				t.Errorf("%s, not %s", line, want[n])
			}
			if _, ok := errors.AsType[*document.FieldError](err); !ok {
				t.Errorf("%s has no place", line)
			}
		}
	}
	if err := stack.CheckPaths(stack.Functions[0], schema.Reach{Root: root, Allow: []string{filepath.Dir(root), "/run/secrets"}}); err != nil {
		t.Error(err)
	}
	if _, err := stack.Functions[0].ReadEnvironment(schema.Reach{Root: root}); err == nil {
		t.Error("an environment file outside is read")
	}
}
