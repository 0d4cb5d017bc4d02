package ci

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"fnb/schema"
)

// The table is whole: each system has a template that can be filled.
func TestSystems(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range Systems() {
		if seen[s.Name] || seen[s.File] || s.File == "" {
			t.Errorf("%s and its file %s", s.Name, s.File)
		}
		seen[s.Name], seen[s.File] = true, true
		stack := &schema.Stack{File: "/src/functions/stack.yaml", Functions: []schema.Function{
			{Name: "hello", Image: "ghcr.io/acme/hello:1"}, {Name: "other", Image: "registry.gitlab.com/acme/other"}, {Name: "skipped", SkipBuild: true},
		}}
		p, err := New(s, stack, "/src", Options{Branch: "trunk", BuildKit: BuildKitImage})
		if err != nil {
			t.Fatal(err)
		}
		if strings.Join(p.Functions, " ") != "hello other" || len(p.Logins) != 2 || !p.Packages {
			t.Errorf("%s: %+v", s.Name, p)
		}
		text, err := p.Write(s)
		if err != nil || !bytes.Contains(text, []byte("functions/stack.yaml")) || !bytes.Contains(text, []byte(BuildKitImage)) {
			t.Errorf("%s: %v\n%s", s.Name, err, text)
		}
		if (s.UpdatesFile == "") == (s.NoUpdates == "") {
			t.Errorf("%s proposes updates in %q, and does not because of %q", s.Name, s.UpdatesFile, s.NoUpdates)
		}
		if s.UpdatesFile != "" {
			text, err := p.WriteUpdates(s)
			if err != nil || !bytes.Contains(text, []byte("functions/stack.yaml")) || !bytes.Contains(text, []byte("fnb/updates")) || bytes.Contains(text, []byte("[[")) {
				t.Errorf("%s: %v\n%s", s.Name, err, text)
			}
		}
		for _, dir := range []string{"a\nb", "a\rb", "a\u0085b", "a\u2028b", "a\x00b", "a\x1bb", "a\xffb", "${{ github.token }}", "$[[ inputs.x ]]", "$(params.x)", "$CI_JOB_TOKEN"} {
			odd := *stack
			odd.File = "/src/" + dir + "/stack.yaml"
			if _, err := New(s, &odd, "/src", Options{}); err == nil || strings.ContainsAny(err.Error(), "\n\r\x1b") {
				t.Errorf("%s, %q: %v", s.Name, dir, err)
			}
		}
		stack.Functions[0].Image = "UPPER"
		if _, err := New(s, stack, "/src", Options{}); err == nil || !strings.Contains(err.Error(), `its image "UPPER": `) {
			t.Errorf("%s: %v", s.Name, err)
		}
		if got, ok := SystemNamed(s.Name); !ok || got.File != s.File {
			t.Errorf("%s is not found by its name", s.Name)
		}
	}
	if _, ok := SystemNamed("jenkins"); ok {
		t.Error("jenkins is a system")
	}
}

// A system's own registry has its own token, another has secrets named after its host.
func TestLoginFor(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		system string
		want   Login
	}{
		{"github", Login{"ghcr.io", "github.actor", "secrets.GITHUB_TOKEN"}},
		{"github", Login{"r.example.com:5000", "secrets.USER_R_EXAMPLE_COM_5000", "secrets.PASSWORD_R_EXAMPLE_COM_5000"}},
		{"forgejo", Login{"codeberg.org", "secrets.USER_CODEBERG_ORG", "secrets.PASSWORD_CODEBERG_ORG"}},
		{"gitea", Login{"ghcr.io", "secrets.USER_GHCR_IO", "secrets.PASSWORD_GHCR_IO"}},
		{"gitlab", Login{"registry.gitlab.com", "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"}},
		{"gitlab", Login{"ghcr.io", "USER_GHCR_IO", "PASSWORD_GHCR_IO"}},
		{"tekton", Login{"ghcr.io", "USER_GHCR_IO", "PASSWORD_GHCR_IO"}},
	} {
		s, _ := SystemNamed(tt.system)
		if got := s.LoginFor(tt.want.Host); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.system, got, tt.want)
		}
	}
}

func TestHere(t *testing.T) {
	for _, name := range []string{"GITHUB_ACTIONS", "FORGEJO_ACTIONS", "GITEA_ACTIONS", "GITLAB_CI", "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"} {
		t.Setenv(name, "")
	}
	show := func() string {
		var b bytes.Buffer
		r := Here()
		end := r.Fold(&b, "building")
		r.Annotate(&b, []Remark{{Path: "stack.yaml", Line: 3, Title: "fnb: a,b", Text: "100% wrong\n::error::x"}})
		end()
		r.Quote(&b)()
		return b.String()
	}
	if got := show(); got != "" {
		t.Errorf("on a person's machine: %q", got)
	}
	if err := Here().Tell(schema.Report{}, ""); err != nil {
		t.Error(err)
	}
	t.Setenv("GITLAB_CI", "true")
	if got := show(); !strings.Contains(got, "section_start:") || !strings.Contains(got, "section_end:") || strings.Contains(got, "::error") {
		t.Errorf("in GitLab: %q", got)
	}
	t.Setenv("GITHUB_ACTIONS", "true")
	summary := t.TempDir() + "/summary"
	t.Setenv("GITHUB_STEP_SUMMARY", summary)
	if got := show(); !strings.Contains(got, "::group::building\n") || !strings.Contains(got, "::error file=stack.yaml,title=fnb%3A a%2Cb,line=3::100%25 wrong") || strings.Contains(got, "\n::error::x") {
		t.Errorf("in GitHub: %q", got)
	}
	if err := Here().Tell(schema.Report{Functions: []schema.FunctionReport{{Name: "hello", Status: "built"}}}, ""); err != nil {
		t.Error(err)
	}
	if text, err := os.ReadFile(summary); err != nil || !strings.Contains(string(text), "| hello |") {
		t.Errorf("%v %s", err, text)
	}
}

// What a Tekton Task must be given, each Pipeline gives it, and the commit that was built last; a
// Pipeline uses no parameter that it does not have.
func TestTektonParameters(t *testing.T) {
	t.Parallel()
	type param struct {
		Name    string `yaml:"name"`
		Default any    `yaml:"default"`
		Value   any    `yaml:"value"`
	}
	type document struct {
		Kind string `yaml:"kind"`
		Spec struct {
			Params []param `yaml:"params"`
			Tasks  []struct {
				Params []param `yaml:"params"`
			} `yaml:"tasks"`
		} `yaml:"spec"`
	}
	names := func(params []param, all bool) (names []string) {
		for _, p := range params {
			if all || p.Default == nil {
				names = append(names, p.Name)
			}
		}
		return names
	}
	used := regexp.MustCompile(`\$\(params\.([a-z0-9-]+)\)`)
	for _, source := range []Source{{}, {Address: "https://example.com/fnb", SHA256: "aa"}, {Address: "https://example.com/v1.2.3", SHA256: "aa", Released: true}} {
		text, err := Pipeline{Stack: "stack.yaml", Fnb: source, BuildKit: BuildKitImage, Image: JobImage}.Write(tekton())
		if err != nil {
			t.Fatal(err)
		}
		var task document
		for i, part := range strings.Split(string(text), "\n---\n") {
			var doc document
			if err := yaml.Unmarshal([]byte(part), &doc); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				task = doc
				continue
			}
			given := names(doc.Spec.Tasks[0].Params, true)
			for _, want := range append(names(task.Spec.Params, false), "before") {
				if !slices.Contains(given, want) {
					t.Errorf("%+v: pipeline %d does not give its task %s", source, i, want)
				}
			}
			for _, m := range used.FindAllStringSubmatch(part, -1) {
				if !slices.Contains(names(doc.Spec.Params, true), m[1]) {
					t.Errorf("%+v: pipeline %d has no parameter %s", source, i, m[1])
				}
			}
		}
	}
}
