//go:build unix

package ci

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An action is a copy of what the actions run, in a folder of its own.
type action struct{ dir, path string }

// newAction copies setup.sh and install.sh. Its PATH has what scripts need, and stand-ins for some programs.
func newAction(t *testing.T, owner string, standins map[string]string) action {
	t.Helper()
	dir := t.TempDir()
	a := action{dir: dir, path: filepath.Join(dir, "tools") + ":/usr/bin:/bin"}
	for _, file := range []string{"install.sh", "setup/setup.sh"} {
		data, err := os.ReadFile("../../" + file)
		if err != nil {
			t.Fatal(err)
		}
		a.write(t, file, strings.ReplaceAll(string(data), "github.com/OWNER/fnb", owner))
	}
	for name, script := range standins {
		a.write(t, "tools/"+name, "#!/bin/sh\n"+script+"\n")
	}
	return a
}

func (a action) write(t *testing.T, file, text string) {
	t.Helper()
	path := filepath.Join(a.dir, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
}

// run sets fnb up, and returns what is printed, and what the runner reads: outputs and folders for PATH.
func (a action) run(t *testing.T, env ...string) (printed, told string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", filepath.Join(a.dir, "setup", "setup.sh"))
	cmd.Env = append([]string{"PATH=" + a.path, "HOME=" + a.dir + "/home", "RUNNER_TEMP=" + a.dir + "/temp", "GITHUB_OUTPUT=" + a.dir + "/told", "GITHUB_PATH=" + a.dir + "/told"}, env...)
	out, err := cmd.CombinedOutput()
	data, _ := os.ReadFile(a.dir + "/told") // there is none if nothing was told
	return string(out), string(data), err
}

// TestSetup: the actions install the release that is asked for, from where this repository has its
// releases; without one they build fnb, and say how to be faster.
func TestSetup(t *testing.T) {
	t.Parallel()
	const build = `mkdir -p "$2/bin" && printf '#!/bin/sh\necho fnb dev\n' >"$2/bin/fnb" && chmod 755 "$2/bin/fnb"`
	a := newAction(t, "github.com/OWNER/fnb", map[string]string{"make": build})
	printed, told, err := a.run(t)
	if want := "version=dev\npath=" + a.dir + "/temp/fnb\n" + a.dir + "/temp/fnb\n"; err != nil || told != want || !strings.HasPrefix(printed, "::notice::fnb is built from its source, which takes minutes: the input version") {
		t.Errorf("from source: %v, %q told %q", err, printed, told)
	}
	if _, err := os.Stat(a.dir + "/home"); err == nil {
		t.Error("it left something in the user's folder")
	}

	a = newAction(t, "github.com/OWNER/fnb", map[string]string{"fnb": "echo fnb v0.9.0"})
	if printed, told, err = a.run(t); err != nil || printed != "" || told != "version=v0.9.0\npath="+a.dir+"/tools\n"+a.dir+"/tools\n" {
		t.Errorf("the runner's own: %v, %q told %q", err, printed, told)
	}
	// Another version that the runner has is not what was asked for.
	page := newPage(tarOf(t, testRelease))
	a = newAction(t, "github.com/OWNER/fnb", map[string]string{"fnb": "echo fnb v0.9.0"})
	if printed, told, err = a.run(t, "VERSION="+testVersion, "BASE="+page.serve(t), "SHA256="+sumOf(page["checksums.txt"])); err != nil || !strings.HasPrefix(told, "version="+testVersion+"\npath="+a.dir+"/temp/fnb\n") {
		t.Errorf("a release: %v, %q told %q", err, printed, told)
	}

	for _, version := range []string{"--help", "-h", "--dry-run", "latest", "\n::warning::1"} {
		if printed, _, err = a.run(t, "VERSION="+version, "BASE="+page.serve(t)); err == nil || printed != "::error::version must be one such as 1.2.3\n" {
			t.Errorf("VERSION=%q: %v, %q", version, err, printed)
		}
	}

	if printed, told, err = newAction(t, "github.com/OWNER/fnb", nil).run(t, "VERSION="+testVersion); err == nil || told != "" || !strings.Contains(printed, "no page of releases is known here") {
		t.Errorf("before there is a repository: %v, %q told %q", err, printed, told)
	}
	// With a repository, its releases are asked; curl is a stand-in that prints what it is to get.
	a = newAction(t, "github.com/acme/fnb", map[string]string{"curl": `for last; do :; done; echo "curl $last"; exit 22`})
	if printed, _, err = a.run(t, "VERSION="+testVersion); err == nil || !strings.HasPrefix(printed, "curl https://github.com/acme/fnb/releases/download/v1.2.3/fnb_1.2.3_") {
		t.Errorf("from the repository: %v, %q", err, printed)
	}

	// Windows wants its own way to write paths.
	a = newAction(t, "github.com/OWNER/fnb", map[string]string{"make": build, "cygpath": `case $1 in -w) echo "C:$2" ;; *) echo "$2" ;; esac`})
	if printed, told, err = a.run(t); err != nil || !strings.HasSuffix(told, "\npath=C:"+a.dir+"/temp/fnb\nC:"+a.dir+"/temp/fnb\n") {
		t.Errorf("as on Windows: %v, %q told %q", err, printed, told)
	}
}
