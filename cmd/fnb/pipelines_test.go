package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// componentHead is what GitLab has to know of a component.
const componentHead = `# A GitLab CI/CD component: builds, tests and pushes the functions of a stack.
# GitLab wants components in this folder. Generated from cmd/fnb/ci.
spec:
  inputs:
    file:
      default: stack.yaml
      description: The stack file, relative to the checkout.
    branch:
      default: main
      description: The branch whose images are pushed.
    buildkit:
      default: ` + buildkitImage + `
      description: The image of the builder, a service that needs a runner for privileged jobs.
    fnb-url:
      description: Where fnb is downloaded from.
    fnb-sha256:
      description: The SHA-256 of the program at fnb-url, in hexadecimal digits.
---
`

// TestPipelines compares the files for those who do not use fnb ci init with what
// it would write: the GitLab component and the Tekton Task. With -update it
// writes them.
func TestPipelines(t *testing.T) {
	t.Parallel()
	component, err := pipelineText{
		Stack: "$[[ inputs.file ]]", Branch: "$[[ inputs.branch ]]", BuildKit: "$[[ inputs.buildkit ]]", Image: jobImage,
		URL: "$[[ inputs.fnb-url ]]", SHA256: "$[[ inputs.fnb-sha256 ]]", Pinned: true,
		Logins: []login{{`"$CI_REGISTRY"`, "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"}},
	}.write("gitlab")
	if err != nil {
		t.Fatal(err)
	}
	_, component, _ = bytes.Cut(component, []byte("functions:\n"))
	task, err := pipelineText{Stack: "stack.yaml", BuildKit: buildkitImage, Image: jobImage}.write("tekton")
	if err != nil {
		t.Fatal(err)
	}
	task, _, _ = bytes.Cut(task, []byte("---\n"))
	_, task, _ = bytes.Cut(task, []byte("apiVersion:"))
	for file, want := range map[string]string{
		"templates/functions.yml":  componentHead + "functions:\n" + string(component),
		"ci/tekton/fnb-build.yaml": "# A Tekton Task: builds, tests and pushes the functions of a stack. Generated from\n# cmd/fnb/ci.\napiVersion:" + string(task),
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
	action, err := os.ReadFile("../../action.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := matchSchema("action", action); err != nil {
		t.Error(err)
	}
	setup, err := pipelineText{}.Setup()
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(action), buildkitImage) {
		t.Error("action.yml starts another builder than the pipelines do")
	}
	if !strings.Contains(string(action), indent(8, setup)) {
		t.Error("action.yml does not get fnb as the pipelines do")
	}
}

// TestPipelinesArePinned: what fnb ci init writes, and what stands ready to be used, takes
// each image by its digest and each action by its commit, gives no expression to a shell,
// and lets only the job that pushes write.
func TestPipelinesArePinned(t *testing.T) {
	t.Parallel()
	texts := map[string]string{}
	for system := range ciSystems() {
		for _, matrix := range []bool{false, true} {
			text, err := pipelineText{
				Stack: "stack.yaml", Branch: "main", BuildKit: buildkitImage, Image: jobImage, Matrix: matrix, Packages: true,
				Functions: []string{"hello"}, Logins: []login{loginFor(system, "ghcr.io")},
			}.write(system)
			if err != nil {
				t.Fatal(err)
			}
			texts[fmt.Sprint(system, matrix)] = string(text)
		}
	}
	for _, file := range []string{"action.yml", "templates/functions.yml", "ci/tekton/fnb-build.yaml"} {
		data, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(file)))
		if err != nil {
			t.Fatal(err)
		}
		texts[file] = string(data)
	}
	image := regexp.MustCompile(`(?m)(?:image: +|^ +- name: +(?:docker\.io)?|--name fnb-buildkit )([a-z][^ \n]*[:/][^ \n]*)$`)
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
		if strings.Count(text, "uses: actions/checkout@") != strings.Count(text, "persist-credentials: false") {
			t.Errorf("%s leaves credentials in a checkout", name)
		}
	}
	if found < 15 {
		t.Errorf("only %d images and actions were looked at", found)
	}
	for _, system := range []string{"githubfalse", "githubtrue"} {
		var doc struct {
			Permissions map[string]string `yaml:"permissions"`
			Jobs        map[string]struct {
				If          string            `yaml:"if"`
				Permissions map[string]string `yaml:"permissions"`
				Steps       []scripted        `yaml:"steps"`
			} `yaml:"jobs"`
		}
		if err := yaml.Unmarshal([]byte(texts[system]), &doc); err != nil {
			t.Fatal(err)
		}
		if len(doc.Permissions) != 1 || doc.Permissions["contents"] != "read" {
			t.Errorf("%s: %v", system, doc.Permissions)
		}
		for name, job := range doc.Jobs {
			pushes := strings.HasPrefix(job.If, "github.event_name != 'pull_request'")
			if writes := job.Permissions["packages"] == "write"; writes != (name == "build") || writes && !pushes {
				t.Errorf("%s: job %s has %v and runs if %s", system, name, job.Permissions, job.If)
			}
			for _, s := range job.Steps {
				if strings.Contains(s.Run, "${{") {
					t.Errorf("%s: job %s: the shell of %q reads an expression", system, name, s.Name)
				}
				for _, v := range s.Env {
					if strings.Contains(v, "secrets.") && !pushes {
						t.Errorf("%s: job %s has %s", system, name, v)
					}
				}
			}
		}
	}
}
