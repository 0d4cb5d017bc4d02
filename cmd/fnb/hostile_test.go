package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"fnb/images"
	"fnb/pipeline"
	"fnb/schema"
)

// outsider acts on whatever shows it as it is: a terminal, a reader, GitHub, GitLab and
// Azure Pipelines.
const outsider = "MARK\x1b[2J\x1b]52;c;Zm5i\x07\u009b1m\u202e\u200b\r::set-output name=x::y\n::warning::z\n##[error]w ##vso[v]\rsection_start:1:x\r\x1b[0K"

// hostileServer answers as a git server, a registry and a list of templates do whose
// every word means harm.
func hostileServer(t *testing.T) string {
	t.Helper()
	errs, err := json.Marshal(map[string]any{"errors": []any{map[string]any{"code": outsider, "message": outsider, "detail": outsider}}})
	if err != nil {
		t.Fatal(err)
	}
	list, err := json.Marshal([]any{map[string]any{"template": outsider, "platform": outsider, "language": outsider, "source": outsider, "description": outsider, "repo": outsider, "official": outsider}})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasSuffix(r.URL.Path, "/info/refs"):
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			fmt.Fprint(w, "001e# service=git-upload-pack\n0000")
			fmt.Fprintf(w, "%04xERR %s", len(outsider)+8, outsider)
		case strings.HasSuffix(r.URL.Path, "/templates.json"):
			_, _ = w.Write(list)
		case strings.HasSuffix(r.URL.Path, "/broken.json"):
			fmt.Fprint(w, "[{\"template\": \""+strings.ReplaceAll(outsider, "\n", " ")+"\"")
		default:
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write(errs)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// hostileTemplate is a folder of a template whose every text means harm.
func hostileTemplate(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "bad")
	quoted, err := json.Marshal(outsider) // which is a YAML text too
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"template.yml":            fmt.Sprintf("language: %[1]s\nfprocess: %[1]s\nwelcome_message: %[1]s\ndescription: %[1]s\nbuild_options:\n- name: one\n  packages: [%[1]s]\n", quoted),
		"Dockerfile":              "FROM debian:bookworm-slim\nRUN echo '" + strings.ReplaceAll(outsider, "\n", " ") + "'\nRUNN x" + strings.ReplaceAll(outsider, "\n", " ") + "\n",
		"README.md":               outsider,
		"function/a\x1b[2J\u202e": "x",
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestHostileSources asks each source of text from outside, in words and as JSON:
// nothing of what is printed acts, and it is no command of a CI system.
func TestHostileSources(t *testing.T) {
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR"} {
		t.Setenv(name, t.TempDir())
	}
	t.Chdir(t.TempDir())
	server, dir := hostileServer(t), hostileTemplate(t)
	host := strings.TrimPrefix(server, "http://")
	quoted, err := json.Marshal(outsider)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"stack.yaml":   "functions:\n  f: {lang: " + string(quoted) + ", handler: " + string(quoted) + ", image: x}\n",
		"unknown.yaml": "functions:\n  f: {" + string(quoted) + ": 1, lang: x}\n",
		"name.yaml":    "functions:\n  " + string(quoted) + ": {lang: x, handler: x, image: x}\n",
		"image.yaml":   "functions:\n  f: {lang: go, handler: x, image: " + string(quoted) + "}\n",
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	marks := 0
	for _, args := range [][]string{
		{"template", "show", dir},
		{"template", "lint", dir},
		{"new", "one", "--lang", dir},
		{"new", "two", "--lang", server + "/x.git"},
		{"new", "three", "--lang", outsider},
		{"store", "add", "faas", server + "/templates.json"},
		{"store", "add", "broken", server + "/broken.json"},
		{"store", "add", outsider, server + outsider},
		{"store", "list"},
		{"store", "search", outsider},
		{"store", "show", outsider},
		{"store", "try", "faas/" + outsider},
		{"template", "list"},
		{"template", "list", "--all"},
		{"login", host, "-u", "me", "-p", "secret"},
		{"verify", "--rebuild", host + "/x:1", "-f", "stack.yaml"},
		{"build", "-f", "stack.yaml"},
		{"build", "-f", "unknown.yaml"},
		{"build", "-f", "name.yaml"},
		{"build", "-f", "image.yaml"},
		{"lock", "-f", "stack.yaml"},
		{"outdated", "-f", "stack.yaml"},
		{"update", "-f", "stack.yaml"},
		{"generate", "-f", "stack.yaml", "--revision", outsider},
		{"push", "-f", "stack.yaml", outsider},
		{"invoke", "-f", "stack.yaml", outsider},
		{"run", "-f", "stack.yaml"},
		{"test", "-f", "stack.yaml"},
		{"doctor", "--builder", "unix://" + outsider},
		{outsider},
	} {
		for _, more := range [][]string{nil, {"--json"}} {
			out, errs, _ := fnb(t, append(args, more...)...)
			what := fmt.Sprintf("%.60q", append(args, more...))
			harmless(t, what, out+errs)
			for line := range strings.Lines(out + errs) {
				if strings.HasPrefix(strings.TrimSpace(line), "::") || agentCommand.MatchString(line) || !utf8.ValidString(line) {
					t.Errorf("%s begins a command: %q", what, line)
				}
			}
			if got := githubCommands(out + errs); got != "" {
				t.Errorf("%s has GitHub carry out %s", what, got)
			}
			if strings.Contains(out+errs, "MARK") {
				marks++
			}
		}
	}
	if marks < 30 {
		t.Errorf("only %d of the answers show what came from outside", marks)
	}
}

var agentCommand = regexp.MustCompile(`##[A-Za-z]*\[`)

// TestHostileJSON prints as JSON what holds text from outside that nobody made plain
// before: it acts on nothing, and means the same.
func TestHostileJSON(t *testing.T) {
	t.Parallel()
	for name, print := range map[string]func(g *globals) error{
		"verify": func(g *globals) error {
			err := g.printVerified(pipeline.RebuildResult{Reference: "x", Difference: &images.Difference{Path: outsider, What: outsider}})
			if _, ok := errors.AsType[*rebuildError](err); ok {
				return nil
			}
			return err
		},
		"build": func(g *globals) error {
			return g.finish([]pipeline.Outcome{{Job: &pipeline.Job{}, Report: schema.FunctionReport{Name: "f", Error: outsider, Reason: outsider}}}, filepath.Join(t.TempDir(), "report.json"), 0)
		},
		"draft": func(g *globals) error { return g.printIndented(map[string]string{"x": outsider}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, err := os.Create(filepath.Join(t.TempDir(), "out"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := print(&globals{streams: streams{out: f, err: f}, json: true}); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(f.Name())
			if err != nil {
				t.Fatal(err)
			}
			harmless(t, name, string(data))
			var v any
			if err := json.Unmarshal(data, &v); err != nil || githubCommands(string(data)) != "" || !strings.Contains(fmt.Sprintf("%v", v), outsider) {
				t.Errorf("it prints %q: %v", data, err)
			}
		})
	}
}
