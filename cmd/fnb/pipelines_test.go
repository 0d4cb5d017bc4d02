package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"fnb/internal/ci"
)

// componentHead is what GitLab has to know of a component.
const componentHead = `# A GitLab CI/CD component: builds, tests and pushes the functions of a stack.
# GitLab wants components in this folder. Generated from internal/ci.
spec:
  inputs:
    file:
      default: stack.yaml
      description: The stack file, relative to the checkout.
    branch:
      default: main
      description: The branch whose images are pushed.
    buildkit:
      default: ` + ci.BuildKitImage + `
      description: The image of the builder, a service that needs a runner for privileged jobs.
    fnb-release:
      description: The page of a release of fnb, which ends in its version, such as https://mirror.example.com/fnb/v1.2.3.
    fnb-sha256:
      description: The SHA-256 of checksums.txt of the release, in hexadecimal digits.
---
`

// TestPipelines compares the files for those who do not use fnb ci init with what
// it would write: the GitLab component and the Tekton Task. With -update it
// writes them.
func TestPipelines(t *testing.T) {
	t.Parallel()
	component, err := ci.Pipeline{
		Stack: "$[[ inputs.file ]]", Branch: "$[[ inputs.branch ]]", BuildKit: "$[[ inputs.buildkit ]]", Image: ci.JobImage,
		Fnb:    ci.Source{Address: "$[[ inputs.fnb-release ]]", SHA256: "$[[ inputs.fnb-sha256 ]]", Released: true},
		Logins: []ci.Login{{Host: `"$CI_REGISTRY"`, User: "CI_REGISTRY_USER", Password: "CI_REGISTRY_PASSWORD"}},
	}.Write(ciSystem(t, "gitlab"))
	if err != nil {
		t.Fatal(err)
	}
	_, component, _ = bytes.Cut(component, []byte("functions:\n"))
	task, err := ci.Pipeline{Stack: "stack.yaml", Fnb: ci.Source{Released: true}, BuildKit: ci.BuildKitImage, Image: ci.JobImage}.Write(ciSystem(t, "tekton"))
	if err != nil {
		t.Fatal(err)
	}
	task, _, _ = bytes.Cut(task, []byte("---\n"))
	_, task, _ = bytes.Cut(task, []byte("apiVersion:"))
	for file, want := range map[string]string{
		"templates/functions.yml":  componentHead + "functions:\n" + string(component),
		"ci/tekton/fnb-build.yaml": "# A Tekton Task: builds, tests and pushes the functions of a stack. Generated from\n# internal/ci.\napiVersion:" + string(task),
	} {
		path := filepath.Join("..", "..", filepath.FromSlash(file))
		if flag.Lookup("update").Value.String() == "true" {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != want {
			t.Errorf("%s is not what would be generated (%v): run make docs", file, err)
		}
		kind, doc := "tekton", want
		if strings.HasPrefix(file, "templates/") {
			kind, doc = "gitlab", "functions:\n"+string(component)
		}
		if err := matchSchema(kind, []byte(doc)); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
	// The action that sets fnb up asks for the same as the action that also builds.
	var inputs []map[string]any
	for _, file := range []string{"../../action.yml", "../../setup/action.yml"} {
		action, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := matchSchema("action", action); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		var doc struct {
			Inputs map[string]any `yaml:"inputs"`
			Runs   struct {
				Steps []scripted `yaml:"steps"`
			} `yaml:"runs"`
		}
		if err := yaml.Unmarshal(action, &doc); err != nil {
			t.Fatal(err)
		}
		checkContainers(t, file, doc.Runs.Steps)
		inputs = append(inputs, doc.Inputs)
		if file == "../../action.yml" && !strings.Contains(string(action), ci.BuildKitImage) {
			t.Error("action.yml starts another builder than the pipelines do")
		}
	}
	for name, input := range inputs[1] {
		if !reflect.DeepEqual(input, inputs[0][name]) {
			t.Errorf("the input %s of setup is %v, and %v of the action", name, input, inputs[0][name])
		}
	}
}

// TestPipelinesArePinned: what fnb ci init writes, and what stands ready to be used, takes
// each image by its digest and each action by its commit, gives no expression to a shell,
// and lets only the job that pushes write.
func TestPipelinesArePinned(t *testing.T) {
	t.Parallel()
	texts := map[string]string{}
	for _, system := range ci.Systems() {
		for _, matrix := range []bool{false, true} {
			text, err := ci.Pipeline{
				Stack: "stack.yaml", Branch: "main", BuildKit: ci.BuildKitImage, Image: ci.JobImage, Matrix: matrix, Packages: true,
				Functions: []string{"hello"}, Logins: []ci.Login{system.LoginFor("ghcr.io")},
			}.Write(system)
			if err != nil {
				t.Fatal(err)
			}
			texts[fmt.Sprint(system.Name, matrix)] = string(text)
		}
		if system.UpdatesFile != "" {
			text, err := ci.Pipeline{Stack: "stack.yaml", Branch: "main", BuildKit: ci.BuildKitImage, Image: ci.JobImage, System: system.Name}.WriteUpdates(system)
			if err != nil {
				t.Fatal(err)
			}
			texts[system.Name+" updates"] = string(text)
		}
	}
	ready := []string{"action.yml", "setup/action.yml", "templates/functions.yml", "ci/tekton/fnb-build.yaml"}
	own, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil || len(own) == 0 {
		t.Fatalf("this repository has no workflows: %v", err)
	}
	for _, file := range own {
		ready = append(ready, strings.TrimPrefix(filepath.ToSlash(file), "../../"))
	}
	for _, file := range ready {
		data, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(data)
	}
	for _, host := range ci.StoreHosts() {
		files, err := ci.NewStore{Host: host, Name: "ours", Title: "Ours", Branch: "main"}.Files()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if strings.HasSuffix(f.Path, ".yml") {
				texts["the store's "+f.Path] = string(f.Data)
			}
		}
	}
	image := regexp.MustCompile(`(?m)(?:image: +|^ +- name: +(?:docker\.io)?|docker run .* )([a-z][^ \n]*[:/][^ \n)]*)\)?$`)
	action := regexp.MustCompile(`uses: +([^ \n]+)`)
	commit := regexp.MustCompile(`^[^@]+@[0-9a-f]{40}$`)
	found := 0
	for name, text := range texts {
		for _, m := range image.FindAllStringSubmatch(text, -1) {
			found++
			if !pinnedRef.MatchString(m[1]) {
				t.Errorf("%s takes the image %s without a digest", name, m[1])
			}
		}
		for _, m := range action.FindAllStringSubmatch(text, -1) {
			found++
			if !commit.MatchString(m[1]) {
				t.Errorf("%s uses %s, not by a commit", name, m[1])
			}
		}
		if strings.Count(text, "actions/checkout@") != strings.Count(text, "persist-credentials: false") {
			t.Errorf("%s leaves credentials in a checkout", name)
		}
		if strings.Contains(text, "github.action_path") {
			t.Errorf("%s reads github.action_path, which is another machine's if the job runs in a container", name)
		}
	}
	if found < 15 {
		t.Errorf("only %d images and actions were looked at", found)
	}
	workflows := 0
	for name, text := range texts {
		if strings.Contains(text, "\njobs:\n") {
			workflows++
			checkWorkflow(t, name, text)
		}
	}
	if workflows < 8 {
		t.Errorf("only %d workflows were looked at", workflows)
	}
}

// checkWorkflow holds what a workflow may do: each job says what it needs; a proposed change can
// write no package and sees no secret; no shell reads an expression.
func checkWorkflow(t *testing.T, workflow, text string) {
	t.Helper()
	var doc struct {
		Jobs map[string]struct {
			If          string            `yaml:"if"`
			Permissions map[string]string `yaml:"permissions"`
			Steps       []scripted        `yaml:"steps"`
		} `yaml:"jobs"`
	}
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "\npermissions: {}") {
		t.Errorf("%s gives rights to every job", workflow)
	}
	proposed := strings.Contains(text, "pull_request:")
	for name, job := range doc.Jobs {
		merged := !proposed || strings.HasPrefix(job.If, "github.event_name != 'pull_request'")
		if len(job.Permissions) == 0 {
			t.Errorf("%s: job %s does not say what it needs", workflow, name)
		}
		for what, right := range job.Permissions {
			if right != "read" && !merged {
				t.Errorf("%s: a proposed change can write %s in job %s", workflow, what, name)
			}
		}
		checkContainers(t, workflow+": job "+name, job.Steps)
		for _, s := range job.Steps {
			if strings.Contains(s.Run, "${{") {
				t.Errorf("%s: job %s: the shell of %q reads an expression", workflow, name, s.Name)
			}
			for _, v := range s.Env {
				if strings.Contains(v, "secrets.") && !merged {
					t.Errorf("%s: job %s has %s", workflow, name, v)
				}
			}
		}
	}
}

// checkContainers: a container that a job starts has a name that Docker gives, and is removed by
// its last step, whatever happened, so that a machine that stays can run the next job.
func checkContainers(t *testing.T, job string, steps []scripted) {
	t.Helper()
	for _, s := range steps {
		if !strings.Contains(s.Run, "docker run ") {
			continue
		}
		last := steps[len(steps)-1]
		if strings.Contains(s.Run, "--name") || last.If != "always()" || !strings.Contains(last.Run, "docker rm --force --volumes ") {
			t.Errorf("%s: %q leaves a container, or names one that another job may have", job, s.Name)
		}
	}
}

// TestOwnWorkflows: GitHub's own linter has nothing to say about this repository's workflows.
func TestOwnWorkflows(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../.github/workflows/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("there are no workflows: %v", err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := runChecker("actionlint", data, "-no-color", "-"); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func ciSystem(t *testing.T, name string) ci.System {
	t.Helper()
	s, ok := ci.SystemNamed(name)
	if !ok {
		t.Fatalf("there is no system %s", name)
	}
	return s
}
