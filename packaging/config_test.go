package packaging

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/schema"
	"fnb/templates"
)

func TestConfiguration(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{"hello/x": "x", "hello/token": "t", "hello/list.txt": "", "rc": "r"})
	in := Input{Function: function(), Template: plainTemplate(t), Root: root, BuildOptions: []string{"dev"}, BuildArgs: map[string]string{"A": "cli", "ADDITIONAL_PACKAGE": "zip  jq"}}
	in.Function.BuildOptions = []string{"web"}
	in.Function.BuildArgs = map[string]string{"A": "stack", "B": "stack", "ADDITIONAL_PACKAGE": "jq"}
	in.Function.FProcess = "./mine"
	in.Function.BuildSecrets = map[string]string{"token": "hello/token", "rc": "rc"}
	got := assemble(t, in)
	if diff := cmp.Diff(map[string]string{"A": "cli", "B": "stack", "ADDITIONAL_PACKAGE": "curl gcc jq make zip"}, got.BuildArgs); diff != "" {
		t.Errorf("build args (-want +got):\n%s", diff)
	}
	want := schema.ImageConfig{
		Entrypoint:  []string{"/usr/bin/fwatchdog"},
		Healthcheck: []string{"/usr/bin/fwatchdog", "--run-healthcheck"},
		Env:         map[string]string{"fprocess": "./mine", "mode": "http", "upstream_url": "http://127.0.0.1:1"},
		Labels: map[string]string{
			"org.opencontainers.image.title": "hello", "fnb.template": "test@1.2.3",
			"fnb.template.checksum": in.Template.Checksum, "fnb.watchdog": "default",
		},
	}
	if diff := cmp.Diff(want, got.Config); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(map[string]string{"token": filepath.Join(root, "hello", "token"), "rc": filepath.Join(root, "rc")}, got.Secrets); diff != "" {
		t.Errorf("secrets (-want +got):\n%s", diff)
	}
	if _, err := fs.Stat(got.FS, "function/token"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the secret is in the context: %v", err)
	}
	notes := []string{
		"function/token is a build secret and not copied",
		"the build arg B does nothing: the Dockerfile has no ARG B",
		"the packages curl gcc jq make zip are not installed: the Dockerfile has no ARG ADDITIONAL_PACKAGE",
	}
	if diff := cmp.Diff(notes, got.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

// TestUnread: of the command line's build args those are returned that the Dockerfile
// does not declare, and stages are looked for as BuildKit does.
func TestUnread(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{"hello/Dockerfile": "ARG BASE=a\nFROM $BASE AS Build\nARG MINE\nRUN x\nFROM a\n"})
	in := Input{Function: function(), Template: template(t, map[string]string{"template.yml": "fprocess: x\n", "function/Dockerfile": "FROM a\n"}), Root: root, Target: "build"}
	in.Function.BuildArgs = map[string]string{"MINE": "1", "BASE": "b", "no_proxy": "x"}
	in.BuildArgs = map[string]string{"MINE": "1", "NONE": "1", "OTHER": "1", "HTTPS_PROXY": "1", "BUILDKIT_INLINE_CACHE": "1", "ADDITIONAL_PACKAGE": ""}
	got := assemble(t, in)
	if diff := cmp.Diff([]string{"NONE", "OTHER"}, got.Unread); diff != "" || len(got.Notes) > 0 {
		t.Errorf("unread (-want +got):\n%snotes %q", diff, got.Notes)
	}
	in.Target = "1"
	_, err := Assemble(t.Context(), in)
	if e, ok := errors.AsType[*TargetError](err); !ok || !slices.Equal(e.Known, []string{"build"}) {
		t.Errorf("a stage that is not there: %v", err)
	}
}

// TestSecretsAndTemplates: a secret among a template's files is refused, whose it may
// be, and one that is missing is an error unless nothing is built.
func TestSecretsAndTemplates(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{"hello/x": "x", "mine/template.yml": "fprocess: x\n", "mine/Dockerfile": "FROM a\nCOPY . .\n", "mine/key": "k", "mine/function/key": "k", "key": "k"})
	tmpl, err := templates.OpenDir(filepath.Join(root, "mine"))
	if err != nil {
		t.Fatal(err)
	}
	in := Input{Function: function(), Template: tmpl, Root: root}
	for name, change := range map[string]func(*Input){
		"its own":     func(in *Input) { in.Function.BuildSecrets = map[string]string{"k": "mine/key"} },
		"another's":   func(in *Input) { in.Hidden = Hide(root, []string{"mine/key"}) },
		"by a detour": func(in *Input) { in.Function.BuildSecrets = map[string]string{"k": "hello/../mine/key"} },
	} {
		in := in
		change(&in)
		if _, err := Assemble(t.Context(), in); err == nil || !strings.Contains(err.Error(), "the build secret key is a file of template mine") {
			t.Errorf("%s: %v", name, err)
		}
	}
	in.Function.BuildSecrets = map[string]string{"k": "key"}
	assemble(t, in)
	in.Function.BuildSecrets = map[string]string{"k": "mine/function/key"} // of the starter, which is not taken
	assemble(t, in)
	in.Function.BuildSecrets = map[string]string{"k": "gone"}
	if _, err := Assemble(t.Context(), in); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a missing secret: %v", err)
	}
	in.AbsentSecrets = true
	if got := assemble(t, in); len(got.Secrets) != 1 {
		t.Errorf("secrets %v", got.Secrets)
	}
}

func TestWatchdogChoice(t *testing.T) {
	t.Parallel()
	const ref = "ghcr.io/openfaas/of-watchdog:0.11.3"
	own := "FROM a:1\nCMD [\"fwatchdog\"]\n"
	for _, c := range []struct {
		name, dockerfile, manifest, stack, line string
		want, label                             string
	}{
		{name: "nothing said", want: "default", label: "default"},
		{name: "found out", dockerfile: own, label: "dockerfile"},
		{name: "the template says", dockerfile: own, manifest: "default", want: "default", label: "default"},
		{name: "the template knows", manifest: "dockerfile", label: "dockerfile"},
		{name: "the stack wins", manifest: "default", stack: "none", label: "none"},
		{name: "the command line wins", manifest: "none", stack: "none", line: ref, want: ref, label: ref},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			manifest := "fprocess: x\n"
			if c.manifest != "" {
				manifest += "watchdog: " + c.manifest + "\n"
			}
			if c.dockerfile == "" {
				c.dockerfile = "FROM a:1\n"
			}
			in := Input{Function: function(), Template: template(t, map[string]string{"template.yml": manifest, "Dockerfile": c.dockerfile, "function/x": ""}), Root: files(t, map[string]string{"hello/x": ""}), Watchdog: c.line}
			in.Function.Watchdog = c.stack
			got := assemble(t, in)
			if got.Watchdog != c.want || got.Config.Labels["fnb.watchdog"] != c.label {
				t.Errorf("watchdog %q, label %q", got.Watchdog, got.Config.Labels["fnb.watchdog"])
			}
			if (got.Watchdog != "") != (len(got.Config.Entrypoint) > 0) || (got.Watchdog != "") != (got.Config.Env["fprocess"] != "") {
				t.Errorf("watchdog %q with the configuration %+v", got.Watchdog, got.Config)
			}
		})
	}
}
