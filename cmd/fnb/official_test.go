package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"fnb/internal/servers"
	"fnb/packaging"
)

// An fnbUser is somebody who types fnb commands: a project folder and an
// environment.
type fnbUser struct {
	t   *testing.T
	bin string
	dir string
	env []string

	umask      string // as umask takes it; "" is this process'
	credential *syscall.Credential
	rss        int64  // peak of the last run, in kilobytes
	log        string // standard error of the last run
}

func newUser(t *testing.T, r *rig, env ...string) *fnbUser {
	t.Helper()
	u := &fnbUser{t: t, bin: filepath.Join(r.bin, "fnb"), dir: t.TempDir()}
	u.env = append([]string{
		"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "FNB_CONFIG=" + r.config,
		"FNB_BUILDER_ROOT=" + r.builder, "XDG_RUNTIME_DIR=" + os.Getenv("XDG_RUNTIME_DIR"), "GIT_CEILING_DIRECTORIES=" + u.dir,
	}, env...)
	return u
}

// run calls fnb and returns what it prints.
func (u *fnbUser) run(args ...string) string {
	u.t.Helper()
	cmd := exec.CommandContext(u.t.Context(), u.bin, args...)
	if u.umask != "" {
		cmd = exec.CommandContext(u.t.Context(), "sh", append([]string{"-c", "umask " + u.umask + `; exec "$0" "$@"`, u.bin}, args...)...)
	}
	cmd.Dir, cmd.Env = u.dir, u.env
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: u.credential}
	var log strings.Builder
	cmd.Stderr = &log
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		u.t.Fatal(err)
	}
	ended := make(chan struct{})
	peak := make(chan int64)
	go func() { peak <- peakMemory(cmd.Process.Pid, ended) }()
	err := cmd.Wait()
	close(ended)
	u.rss, u.log = <-peak, log.String()
	if err != nil {
		u.t.Fatalf("fnb %s: %v\n%s", strings.Join(args, " "), err, log.String())
	}
	return strings.TrimSpace(out.String())
}

// peakMemory is the most memory that a process had, in kilobytes, until a moment
// before it ended. What the kernel tells of an ended process counts the memory of
// the one that started it too.
func peakMemory(pid int, ended <-chan struct{}) int64 {
	var most int64
	for {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if _, rest, ok := strings.Cut(string(status), "VmHWM:"); err == nil && ok {
			var kb int64
			if _, err := fmt.Sscan(rest, &kb); err == nil {
				most = max(most, kb)
			}
		}
		select {
		case <-ended:
			return most
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func (u *fnbUser) write(name, text string) {
	u.t.Helper()
	if err := os.WriteFile(filepath.Join(u.dir, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
		u.t.Fatal(err)
	}
}

// digests are the digests of a run's results, by function.
func digests(out string) map[string]string {
	m := map[string]string{}
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) == 3 {
			m[f[0]] = f[2]
		}
	}
	return m
}

// official are the official templates as functions, with a third-party package
// each where there are packages, a request and a part of its answer.
func official() map[string]struct {
	files      map[string]string
	body, want string
} {
	type function = struct {
		files      map[string]string
		body, want string
	}
	return map[string]function{
		"go": {files: map[string]string{
			"go.mod":          "module example.com/any/name\n\ngo 1.23\n\nrequire github.com/dustin/go-humanize v1.0.1\n",
			"handler.go":      "package function\n\nimport (\n\t\"fmt\"\n\t\"net/http\"\n\n\t\"github.com/dustin/go-humanize\"\n)\n\nfunc Handle(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, humanize.Comma(7654321)) }\n",
			"handler_test.go": "package function\n",
		}, want: "7,654,321"},
		"python3": {files: map[string]string{
			"requirements.txt": "humanize==4.9.0\n",
			"handler.py":       "import humanize\n\n\ndef handle(event, context):\n    return {\"statusCode\": 200, \"body\": humanize.intcomma(int(event.body))}\n",
		}, body: "1234567", want: "1,234,567"},
		"node": {files: map[string]string{
			"package.json": "{\"name\": \"f\", \"version\": \"1.0.0\", \"main\": \"handler.js\", \"dependencies\": {\"ms\": \"2.1.3\"}}\n",
			"handler.js":   "const ms = require('ms')\nmodule.exports = async (event, context) => context.status(200).succeed(ms(Number(event.body), { long: true }))\n",
		}, body: "7200000", want: "2 hours"},
		"command":    {body: "as it came", want: "as it came"},
		"dockerfile": {files: map[string]string{"Dockerfile": "FROM debian:bookworm-slim\nUSER 1000\nCMD [\"tr\", \"a-z\", \"A-Z\"]\n"}, body: "shout", want: "SHOUT"},
	}
}

// TestOfficialTemplates builds a function of each official template, pushes it,
// runs it outside of the builder and calls it through the watchdog, whose layer
// has one digest in all of them: that of the layer fnb carries.
func TestOfficialTemplates(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	wd, err := packaging.Watchdog()
	if err != nil {
		t.Fatal(err)
	}
	layer := wd.Layers["linux/"+runtime.GOARCH]
	u := newUser(t, r, "FNB_PREFIX="+r.registry.Host+"/official")
	for name, fn := range official() {
		u.run("new", name, "--lang", name, "--quiet")
		for file, text := range fn.files {
			u.write(name+"/"+file, text)
		}
	}
	built := digests(u.run("build", "--push", "--progress", "plain"))
	for name, fn := range official() {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			ref := r.registry.Host + "/official/" + name + "@" + built[name]
			img, err := pullImage(ref, "")
			if err != nil {
				t.Fatal(err)
			}
			m, err := img.Manifest()
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Layers[len(m.Layers)-1].Digest.String(); got != layer {
				t.Errorf("the watchdog's layer is %s, fnb carries %s", got, layer)
			}
			answer, err := callImage(ctx, ref, fn.body, nil)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(answer, "status 200\n") || !strings.Contains(answer, fn.want) || !strings.HasSuffix(answer, "exit 0\n") {
				t.Errorf("it answers\n%s\nwant %q", answer, fn.want)
			}
		})
	}
}

// TestSameDigest builds the same functions with two fresh builders, a stock
// BuildKit daemon and fnb's own, as two users whose files have other times and
// modes, in other time zones and with other umasks: all digests are equal.
func TestSameDigest(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	bases := servers.BasesFor(t, servers.BasesOptions{})
	stock := servers.BuildkitdFor(t, servers.BuildkitdOptions{Mirrors: bases.Mirrors})
	root := filepath.Join(t.TempDir(), "builder")
	users := []*fnbUser{
		newUser(t, r, "FNB_BUILDER="+stock.Address),
		newUser(t, r, "FNB_BUILDER_ROOT="+root, "CI=true", "TZ=Pacific/Kiritimati", "LANG=tr_TR.UTF-8", "USER=somebody", "FNB_PARALLEL=1"),
	}
	users[1].umask = "077"
	t.Cleanup(func() {
		cmd := exec.Command(users[1].bin, "builder", "stop")
		cmd.Env = users[1].env
		_ = cmd.Run()
	})
	var results []map[string]string
	for i, u := range users {
		for name, fn := range official() {
			u.run("new", name, "--lang", name, "--quiet")
			for file, text := range fn.files {
				u.write(name+"/"+file, text)
			}
		}
		if i == 1 {
			age(t, u.dir)
		}
		results = append(results, digests(u.run("build", "--progress", "plain")))
	}
	for name := range official() {
		if a, b := results[0][name], results[1][name]; a == "" || a != b {
			t.Errorf("%s: %s with a stock daemon, %s with fnb's own", name, a, b)
		}
	}
}

// age gives files other times and modes.
func age(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		old := time.Now().Add(-1000 * time.Hour)
		if err := os.Chtimes(p, old, old); err != nil {
			return err
		}
		return os.Chmod(p, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}
