package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/servers"
	"fnb/packaging"
	"fnb/schema/layers"
	"fnb/schema/words"
	"fnb/templates"
	"fnb/templates/conformance"
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

// TestLanguages holds for each official template what is promised of all of them. Its image
// is made once for all that is asked of it, from files that are older, with other modes and
// in another time zone than those of which another builder makes it again.
func TestLanguages(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	for _, name := range officialNames(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var waiting sync.WaitGroup // lives that do little else go on beside the rest
			defer waiting.Wait()
			l := makeLanguage(t, r, name)
			t.Run("image", l.checkImage)
			if conformance.Without()[l.name] == "" {
				conformanceLives(t, l, &waiting)
				t.Run("requests", func(t *testing.T) { conformanceCases(t, l) })
			}
			t.Run("starter", func(t *testing.T) {
				u := newUser(t, r)
				u.run("new", l.name, "--lang", l.name, "--quiet")
				u.run("test", l.name, "--progress", "plain")
			})
			t.Run("rebase", func(t *testing.T) {
				u := newUser(t, r, "FNB_PREFIX="+r.registry.Host+"/official-rebased")
				l.write(t, u)
				checkRebase(t, r, u, "linux/"+runtime.GOARCH)
			})
			t.Run("digest", func(t *testing.T) {
				u := newUser(t, r, "FNB_BUILDER="+r.stockBuilder(t))
				l.write(t, u)
				if other := digests(u.run("build", "--progress", "plain"))[l.name]; other != l.digest {
					t.Errorf("%s with a stock daemon, %s with fnb's own", other, l.digest)
				}
			})
		})
	}
}

func officialNames(t testing.TB) []string {
	t.Helper()
	all, err := templates.Official()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, tpl := range all {
		names = append(names, tpl.Name)
	}
	return names
}

// A language is the image of a function of an official template: its handler in the
// conformance table, or one of its own.
type language struct {
	name       string
	digest     string
	img        v1.Image
	root       string // the image's files
	path       string // of a request,
	body, want string // what it is sent, and a part of its answer
}

// withoutHandler are the templates that have no handler in the conformance table: a file of
// a function, a request and a part of its answer.
func withoutHandler() map[string]struct{ file, text, body, want string } {
	return map[string]struct{ file, text, body, want string }{
		"command":    {body: "as it came", want: "as it came"},
		"dockerfile": {file: "Dockerfile", text: "FROM debian:bookworm-slim\nUSER 1000\nCMD [\"tr\", \"a-z\", \"A-Z\"]\n", body: "shout", want: "SHOUT"},
	}
}

// makeLanguage builds the image of a template in fnb's own builder, and pushes it.
func makeLanguage(t *testing.T, r *rig, name string) *language {
	t.Helper()
	packaged := conformance.Packaged()
	l := &language{name: name, path: packaged.Request.Target, want: packaged.Want.Body}
	if conformance.Without()[name] != "" {
		fn, ok := withoutHandler()[name]
		if !ok {
			t.Fatalf("no function is built with the template %s: add one to withoutHandler()", name)
		}
		l.path, l.body, l.want = "/", fn.body, fn.want
	}
	prefix := r.registry.Host + "/official"
	u := newUser(t, r, "FNB_PREFIX="+prefix, "CI=true", "TZ=Pacific/Kiritimati", "LANG=tr_TR.UTF-8", "USER=somebody")
	u.umask = "077"
	l.write(t, u)
	age(t, u.dir)
	l.digest = digests(u.run("build", "--push", "--progress", "plain"))[name]
	var err error
	if l.img, err = pullImage(prefix+"/"+name+"@"+l.digest, ""); err != nil {
		t.Fatal(err)
	}
	l.root = filepath.Join(t.TempDir(), "root")
	if err := servers.Unpack(t.Context(), l.img, l.root); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(l.root) })
	return l
}

// write makes the function in a user's project.
func (l *language) write(t *testing.T, u *fnbUser) {
	t.Helper()
	u.run("new", l.name, "--lang", l.name, "--quiet")
	if fn, ok := withoutHandler()[l.name]; !ok {
		dir := filepath.Join(u.dir, l.name)
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
		writeConformanceHandler(t, l.name, dir)
	} else if fn.file != "" {
		u.write(l.name+"/"+fn.file, fn.text)
	}
}

// run starts the image outside of the builder. It does not pause when it is stopped.
func (l *language) run(t *testing.T, opts servers.ContainerOptions) *servers.Container {
	t.Helper()
	opts.Root, opts.Env = l.root, append([]string{"healthcheck_interval=1ms"}, opts.Env...)
	c, err := servers.Run(t.Context(), l.img, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// checkImage calls the function through the watchdog, whose layer is the one that fnb carries.
func (l *language) checkImage(t *testing.T) {
	wd, err := packaging.Watchdog()
	if err != nil {
		t.Fatal(err)
	}
	m, err := l.img.Manifest()
	if err != nil {
		t.Fatal(err)
	}
	if got, layer := m.Layers[len(m.Layers)-1].Digest.String(), wd.Layers["linux/"+runtime.GOARCH]; got != layer {
		t.Errorf("the watchdog's layer is %s, fnb carries %s", got, layer)
	}
	config, err := l.img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	says := config.Config.Labels
	if list, err := layers.Parse(says[words.LabelLayers]); err != nil || list.Len() != len(m.Layers) || says[words.LabelClass] != words.ClassCopy {
		t.Errorf("of %d layers it says %q, and that it is of the class %s", len(m.Layers), says[words.LabelLayers], says[words.LabelClass])
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	answer, err := callContainer(ctx, l.run(t, servers.ContainerOptions{}), l.path, l.body)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(answer, "status 200\n") || !strings.Contains(answer, l.want) || !strings.HasSuffix(answer, "exit 0\n") {
		t.Errorf("it answers\n%s\nwant %q", answer, l.want)
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
