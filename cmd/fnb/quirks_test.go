package main

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fnb/internal/servers"
	"fnb/internal/servers/front"
)

// TestBuilderPushesToQuirks has fnb's own builder push to each of the registries that
// fnb push takes, which are otherwise in one thing at a time.
func TestBuilderPushesToQuirks(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	for _, quirk := range front.Quirks() {
		t.Run(quirk.Name, func(t *testing.T) {
			t.Parallel()
			out, err := pushToQuirk(t, r, quirk, "FNB_BUILDER_ROOT="+r.builder)
			if err != nil || !strings.Contains(out, "sha256:") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}

// TestAnotherBuilderPushes holds that one is led from a builder whose rules are
// BuildKit's to fnb push, where a registry may be one that they do not take.
func TestAnotherBuilderPushes(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	stock := r.stockBuilder(t)
	want := map[string]bool{
		"a Location that is a path":            true,
		"PUT of a manifest answered 202":       false,
		"HEAD of a blob answered 501":          false,
		"a Location that is a name":            false,
		"a Docker-Content-Digest that is none": true,
	}
	for _, quirk := range front.Quirks() {
		taken, tried := want[quirk.Name]
		if !tried {
			continue
		}
		delete(want, quirk.Name)
		out, err := pushToQuirk(t, r, quirk, "FNB_BUILDER="+stock)
		if taken != (err == nil) || taken == strings.Contains(out, "hint: fnb itself, and its own builder, push to more registries than this builder does: fnb build && fnb push\n") {
			t.Errorf("%s: %v: %s", quirk.Name, err, out)
		}
	}
	if len(want) > 0 {
		t.Errorf("there is no such registry: %v", want)
	}
}

// pushToQuirk builds a small image and has the builder push it.
func pushToQuirk(t *testing.T, r *rig, quirk front.Quirk, env string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")
	odd := front.For(t, r.registry, quirk)
	auths := "{}"
	if quirk.Account {
		auths = fmt.Sprintf(`{"auths": {%q: {"auth": %q}}}`, odd.Host, base64.StdEncoding.EncodeToString([]byte(front.RobotUser+":"+front.RobotPassword)))
	}
	write("config.json", auths)
	name := strings.ToLower(strings.Trim(strings.NewReplacer(" ", "-", ",", "").Replace(quirk.Name), "-"))
	write("stack.yaml", fmt.Sprintf("functions:\n  q: {lang: dockerfile, handler: ., watchdog: none, image: '%s/quirks/%s:1'}\n", odd.Host, name))
	cmd := exec.CommandContext(t.Context(), filepath.Join(r.bin, "fnb"), "build", "--push", "--no-cache", "--quiet")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env, "FNB_CONFIG="+r.config, "HOME="+dir, "DOCKER_CONFIG="+dir)
	out, err := cmd.CombinedOutput()
	return string(out), err
}
