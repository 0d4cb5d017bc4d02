package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/rogpeppe/go-internal/testscript"
)

// cmdRunPipeline: runpipeline SYSTEM FILE [NAME=VALUE…] runs the shell steps of
// a pipeline, as its system would: each with its own shell, variables and
// conditions. The values stand for what the system knows, such as
// github.event_name=push; @FILE is what a file has, and needs.JOB=FILE has the outputs of a job. Steps that use an action are
// the system's own.
func cmdRunPipeline(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: runpipeline SYSTEM FILE NAME=VALUE…")
	}
	known := map[string]string{}
	for _, a := range args[2:] {
		k, v, _ := strings.Cut(a, "=")
		if file, ok := strings.CutPrefix(v, "@"); ok {
			v = ts.ReadFile(file)
		}
		if !strings.HasPrefix(k, "needs.") {
			known[k] = v
			continue
		}
		for line := range strings.Lines(ts.ReadFile(v)) { // what another job has written to GITHUB_OUTPUT
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			known[k+".outputs."+name] = value
		}
	}
	data := []byte(ts.ReadFile(args[1]))
	known["github.action_path"] = filepath.Dir(ts.MkAbs(args[1]))
	var steps []step
	var err error
	switch args[0] {
	case "github":
		steps, err = githubSteps(data, known)
	case "action":
		steps, err = actionSteps(data, known)
	case "gitlab":
		steps, err = gitlabSteps(data, known)
	case "tekton":
		steps, err = tektonSteps(data, known)
	}
	ts.Check(err)
	if len(steps) == 0 {
		ts.Fatalf("%s has no steps", args[1])
	}
	err = runSteps(ts, steps, known)
	if (err != nil) != neg {
		ts.Fatalf("%s: %v", args[1], err)
	}
}

// A step is one script of a pipeline.
type step struct {
	name   string
	shell  []string
	script string
	args   []string
	env    map[string]string
	always bool // also after a step that failed
}

// expression is what GitHub and Tekton put values in the place of.
var expression = regexp.MustCompile(`\$\{\{ *(.*?) *\}\}|\$\(([a-z][a-zA-Z0-9._-]*(?:\[\*\])?)\)`)

// fill puts values in the place of expressions; an unknown one is an error.
func fill(s string, known map[string]string) (string, error) {
	var err error
	out := expression.ReplaceAllStringFunc(s, func(e string) string {
		m := expression.FindStringSubmatch(e)
		name, _, _ := strings.Cut(m[1]+m[2], " || ")
		v, ok := lookup(known, name)
		if !ok {
			err = fmt.Errorf("nobody knows %s", e)
		}
		return v
	})
	return out, err
}

// lookup finds a value by its name, or by what a name with * at its end begins
// with.
func lookup(known map[string]string, name string) (string, bool) {
	if v, ok := known[name]; ok {
		return v, true
	}
	for k, v := range known {
		if begin, ok := strings.CutSuffix(k, "*"); ok && strings.HasPrefix(name, begin) {
			return v, true
		}
	}
	return "", false
}

// variable is how a shell script uses one.
var variable = regexp.MustCompile(`\$\{?([A-Z][A-Z0-9_]*)`)

// A scripted step is one of a workflow or of an action.
type scripted struct {
	Name string            `yaml:"name"`
	If   string            `yaml:"if"`
	Env  map[string]string `yaml:"env"`
	Run  string            `yaml:"run"`
}

func githubSteps(data []byte, known map[string]string) ([]step, error) {
	var doc struct {
		Env  map[string]string `yaml:"env"`
		Jobs map[string]struct {
			Steps []scripted `yaml:"steps"`
		} `yaml:"jobs"`
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	return scriptedSteps(doc.Jobs[known["job"]].Steps, doc.Env, known)
}

func actionSteps(data []byte, known map[string]string) ([]step, error) {
	var doc struct {
		Inputs map[string]struct {
			Default string `yaml:"default"`
		} `yaml:"inputs"`
		Runs struct {
			Steps []scripted `yaml:"steps"`
		} `yaml:"runs"`
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	for name, in := range doc.Inputs {
		if _, ok := known["inputs."+name]; !ok {
			known["inputs."+name] = in.Default
		}
	}
	return scriptedSteps(doc.Runs.Steps, nil, known)
}

// condition is the only kind that the steps have.
var condition = regexp.MustCompile(`^([a-z._]+) (==|!=) '(.*)'$`)

func scriptedSteps(steps []scripted, env map[string]string, known map[string]string) ([]step, error) {
	var out []step
	for _, s := range steps {
		if s.If != "" && s.If != "always()" {
			m := condition.FindStringSubmatch(s.If)
			if m == nil {
				return nil, fmt.Errorf("nobody understands if: %s", s.If)
			}
			if (known[m[1]] == m[3]) != (m[2] == "==") {
				continue
			}
		}
		if s.Run == "" {
			continue
		}
		st := step{name: s.Name, shell: []string{"bash", "--noprofile", "--norc", "-eo", "pipefail"}, always: s.If == "always()"}
		st.env = map[string]string{"GITHUB_ACTIONS": "true"}
		var err error
		if st.script, err = fill(s.Run, known); err != nil {
			return nil, err
		}
		for _, env := range []map[string]string{env, s.Env} {
			for k, v := range env {
				if st.env[k], err = fill(v, known); err != nil {
					return nil, err
				}
			}
		}
		out = append(out, st)
	}
	return out, nil
}

func gitlabSteps(data []byte, known map[string]string) ([]step, error) {
	var doc map[string]struct {
		Variables    map[string]any `yaml:"variables"`
		BeforeScript []string       `yaml:"before_script"`
		Script       []string       `yaml:"script"`
	}
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, err
	}
	name := cmp.Or(known["job"], "functions")
	job, ok := doc[name]
	if !ok {
		return nil, fmt.Errorf("there is no job %s", name)
	}
	// A runner gives all lines of a job to one shell.
	st := step{name: name, shell: []string{"bash", "-eo", "pipefail"}, env: map[string]string{"GITLAB_CI": "true"}}
	st.script = strings.Join(append(job.BeforeScript, job.Script...), "\n")
	for k, v := range job.Variables {
		st.env[k] = fmt.Sprint(v)
	}
	for _, m := range variable.FindAllStringSubmatch(st.script, -1) {
		if v, ok := lookup(known, m[1]); ok {
			st.env[m[1]] = v
		}
	}
	for k, v := range known {
		st.env[k] = v
	}
	return []step{st}, nil
}

func tektonSteps(data []byte, known map[string]string) ([]step, error) {
	type named struct {
		Name  string `yaml:"name"`
		Value string `yaml:"value"`
	}
	var doc struct {
		Spec struct {
			Params []struct {
				Name    string `yaml:"name"`
				Default any    `yaml:"default"`
			} `yaml:"params"`
			Steps []struct {
				Name   string   `yaml:"name"`
				Args   []string `yaml:"args"`
				Env    []named  `yaml:"env"`
				Script string   `yaml:"script"`
			} `yaml:"steps"`
		} `yaml:"spec"`
	}
	if err := yaml.Unmarshal(data, &doc); err != nil { // the first document is the Task
		return nil, err
	}
	lists := map[string][]string{}
	for _, p := range doc.Spec.Params {
		if list, ok := p.Default.([]any); ok {
			for _, v := range list {
				lists["$(params."+p.Name+"[*])"] = append(lists["$(params."+p.Name+"[*])"], fmt.Sprint(v))
			}
			lists["$(params."+p.Name+"[*])"] = append([]string{}, lists["$(params."+p.Name+"[*])"]...)
		} else if _, ok := known["params."+p.Name]; !ok && p.Default != nil {
			known["params."+p.Name] = fmt.Sprint(p.Default)
		}
	}
	var out []step
	for _, s := range doc.Spec.Steps {
		st := step{name: s.Name, shell: []string{"sh", "-eu"}, script: s.Script, env: map[string]string{}}
		for _, a := range s.Args {
			st.args = append(st.args, lists[a]...)
		}
		for _, e := range s.Env {
			v, err := fill(e.Value, known)
			if err != nil {
				return nil, err
			}
			if o, ok := known[e.Name]; ok {
				v = o
			}
			st.env[e.Name] = v
		}
		out = append(out, st)
	}
	return out, nil
}

// runSteps runs scripts one after another until one fails, and those that always run. What a step writes to
// GITHUB_ENV and GITHUB_PATH is there for the next.
func runSteps(ts *testscript.TestScript, steps []step, known map[string]string) error {
	base := map[string]string{"CI": "true", "GITHUB_ACTION_PATH": known["github.action_path"]}
	for _, k := range []string{"HOME", "PATH", "FNB_CONFIG", "FNB_BUILDER_ROOT", "FNB_PREFIX", "CURL_CA_BUNDLE", "GIT_CEILING_DIRECTORIES"} {
		base[k] = ts.Getenv(k)
	}
	if path, ok := known["PATH"]; ok {
		base["PATH"] = path
	}
	// What is the runner's is beside the checkout, as a real one has it.
	beside := func(name string) string { return filepath.Join(ts.Getenv("WORK"), name) }
	base["RUNNER_TEMP"] = beside(".runner")
	ts.Check(os.MkdirAll(base["RUNNER_TEMP"], 0o700))
	for _, k := range []string{"GITHUB_ENV", "GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"} {
		base[k] = beside(strings.ToLower(k))
		ts.Check(os.WriteFile(base[k], nil, 0o600))
	}
	var failed error
	for i, s := range steps {
		if failed != nil && !s.always {
			continue
		}
		script := beside(fmt.Sprintf(".step%d.sh", i))
		ts.Check(os.WriteFile(script, []byte(s.script), 0o600))
		added, err := os.ReadFile(base["GITHUB_PATH"])
		ts.Check(err)
		env := []string{"PATH=" + strings.Join(append(strings.Fields(string(added)), base["PATH"]), ":")}
		for k, v := range base {
			if _, own := s.env[k]; !own && k != "PATH" {
				env = append(env, k+"="+v)
			}
		}
		for k, v := range s.env {
			if k != "PATH" && v != "" {
				env = append(env, k+"="+v)
			}
		}
		more, err := os.ReadFile(base["GITHUB_ENV"])
		ts.Check(err)
		cmd := exec.Command(s.shell[0], append(append(s.shell[1:], script), s.args...)...)
		cmd.Dir, cmd.Env = ts.MkAbs("."), append(env, strings.Fields(string(more))...)
		out, err := cmd.CombinedOutput()
		fmt.Fprintf(ts.Stdout(), "== %s\n%s", s.name, out)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("step %q: %w", s.name, err))
		}
	}
	return failed
}

// cmdServeFile: servefile VAR FILE serves a file over HTTPS on loopback until
// the script ends. VAR becomes its URL, and curl is told to trust the server.
func cmdServeFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: servefile VAR FILE")
	}
	file := ts.MkAbs(args[1])
	ts.Setenv(args[0], serveTLS(ts, func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) })+"/fnb")
}

// cmdServeRelease: serverelease VAR VERSION serves a page of releases over HTTPS on loopback, with
// one release of the script's fnb, which says that it is VERSION. VAR becomes the URL of the page,
// VAR_SHA256 the checksum of the release's checksums.txt, and curl and fnb trust the server.
func cmdServeRelease(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: serverelease VAR VERSION")
	}
	program := fmt.Sprintf("#!/bin/sh\nif [ \"$1\" = version ]; then echo fnb %s; else exec %s \"$@\"; fi\n", args[1], ts.Getenv("FNB"))
	pages := map[string][]byte{}
	var checksums strings.Builder
	for _, arch := range []string{"amd64", "arm64"} {
		name := fmt.Sprintf("fnb_%s_linux_%s.tar.gz", args[1], arch)
		archive := tarGz(ts, "fnb", program)
		pages[name] = archive
		fmt.Fprintf(&checksums, "%x  %s\n", sha256.Sum256(archive), name)
	}
	pages["checksums.txt"] = []byte(checksums.String())
	base := serveTLS(ts, func(w http.ResponseWriter, r *http.Request) {
		if page, ok := pages[strings.TrimPrefix(r.URL.Path, "/fnb/v"+args[1]+"/")]; ok {
			_, _ = w.Write(page)
			return
		}
		http.NotFound(w, r)
	})
	ts.Setenv(args[0], base+"/fnb")
	ts.Setenv(args[0]+"_SHA256", fmt.Sprintf("%x", sha256.Sum256(pages["checksums.txt"])))
}

// tarGz is an archive of one program.
func tarGz(ts *testscript.TestScript, name, program string) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	ts.Check(w.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(program))}))
	_, err := w.Write([]byte(program))
	ts.Check(errors.Join(err, w.Close(), z.Close()))
	return b.Bytes()
}

// serveTLS starts a server until the script ends, which curl and fnb trust, and returns its URL.
func serveTLS(ts *testscript.TestScript, handler http.HandlerFunc) string {
	s := httptest.NewTLSServer(handler)
	ts.Defer(s.Close)
	bundle := filepath.Join(ts.Getenv("WORK"), ".ca.pem")
	raw := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw})
	ts.Check(os.WriteFile(bundle, raw, 0o600))
	ts.Setenv("CURL_CA_BUNDLE", bundle)
	ts.Setenv("SSL_CERT_FILE", bundle)
	return s.URL
}

// cmdSHA256: sha256 VAR FILE sets a variable to a file's checksum.
func cmdSHA256(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: sha256 VAR FILE")
	}
	sum := sha256.Sum256([]byte(ts.ReadFile(args[1])))
	ts.Setenv(args[0], hex.EncodeToString(sum[:]))
}
