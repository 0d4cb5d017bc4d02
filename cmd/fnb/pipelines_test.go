package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
		Stack: "$[[ inputs.file ]]", Branch: "$[[ inputs.branch ]]", BuildKit: "$[[ inputs.buildkit ]]",
		URL: "$[[ inputs.fnb-url ]]", SHA256: "$[[ inputs.fnb-sha256 ]]", Pinned: true,
		Logins: []login{{`"$CI_REGISTRY"`, "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"}},
	}.write("gitlab")
	if err != nil {
		t.Fatal(err)
	}
	_, component, _ = bytes.Cut(component, []byte("functions:\n"))
	task, err := pipelineText{Stack: "stack.yaml", BuildKit: buildkitImage}.write("tekton")
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
	if !strings.Contains(string(action), indent(8, setup)) {
		t.Error("action.yml does not get fnb as the pipelines do")
	}
}
