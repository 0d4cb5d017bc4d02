// Command demo shows fnb end to end: it starts a registry, makes a function in
// Go, Python and Node with fnb new, adds a third-party package to each one's
// package list, builds and pushes them, pulls each image back from the registry,
// starts it and sends it a request. It prints the answer, the digest and the
// seconds of each step.
//
// Everything it writes is below one folder, .demo by default, which may be
// deleted. A second run finds the builder's cache there and is quick.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir := flag.String("dir", ".demo", "keep everything in this `folder`")
	fnb := flag.String("fnb", "bin/fnb", "the fnb to show")
	standins := flag.Bool("standins", false, "use stand-in base images even where the public registries can be reached")
	flag.Parse()
	if err := run(ctx, *dir, *fnb, *standins); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// next is what to do when the functions have answered.
const next = `
What to try next:
  sudo install bin/fnb /usr/local/bin/
  fnb new hello --lang go     # a function of your own; fnb new --list shows the other templates
  fnb run hello               # builds it, runs it, and prints the address at which it answers
The demo's functions are in %s, with their stack.yaml and fnb.lock.`

// A demo is what the steps share.
type demo struct {
	fnb      string
	dir      string // the project's
	roots    string // of the images, unpacked
	env      []string
	registry string
}

func run(ctx context.Context, dir, fnb string, standins bool) (err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return err
	}
	if fnb, err = filepath.Abs(fnb); err != nil {
		return err
	}
	say := func(format string, args ...any) { fmt.Printf(format+"\n", args...) }
	if err := os.MkdirAll(filepath.Join(dir, "registry"), 0o755); err != nil {
		return err
	}
	// go-containerregistry's registry is in this process: nothing else is built for it.
	quiet := registry.Logger(log.New(io.Discard, "", 0))
	reg := httptest.NewServer(registry.New(quiet, registry.WithBlobHandler(registry.NewDiskBlobHandler(filepath.Join(dir, "registry")))))
	defer reg.Close()
	host := strings.TrimPrefix(reg.URL, "http://")
	bases, err := servers.StartBases(ctx, servers.BasesOptions{Log: say, Always: standins, Only: baseImages()})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, bases.Close()) }()
	d := &demo{fnb: fnb, dir: filepath.Join(dir, "project"), roots: filepath.Join(dir, "roots"), registry: host}
	if err := d.prepare(dir, bases); err != nil {
		return err
	}
	defer func() {
		_, serr := d.run(context.WithoutCancel(ctx), "builder", "stop")
		err = errors.Join(err, serr)
	}()
	say("registry   %s", host)
	for _, fn := range functions() {
		if err := d.show(ctx, fn); err != nil {
			return fmt.Errorf("%s: %w", fn.name, err)
		}
	}
	say(next, d.dir)
	return nil
}

// prepare makes an empty project and fnb's own folders.
func (d *demo) prepare(dir string, bases *servers.Bases) error {
	if err := os.RemoveAll(d.dir); err != nil {
		return err
	}
	config := filepath.Join(dir, "config.yaml")
	for _, sub := range []string{d.dir, filepath.Join(dir, "run")} {
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return err
		}
	}
	d.env = append(os.Environ(),
		"FNB_CONFIG="+config, "FNB_PREFIX="+d.registry+"/demo",
		"XDG_DATA_HOME="+filepath.Join(dir, "data"), "XDG_CACHE_HOME="+filepath.Join(dir, "cache"))
	var b strings.Builder
	if len(bases.Mirrors) > 0 {
		b.WriteString("builder:\n  registries:\n")
		seen := map[string]bool{}
		for host, mirror := range bases.Mirrors {
			fmt.Fprintf(&b, "    %s: {mirrors: [%q]}\n", host, mirror)
			if !seen[mirror] {
				fmt.Fprintf(&b, "    %q: {http: true}\n", mirror)
			}
			seen[mirror] = true
		}
	}
	return os.WriteFile(config, []byte(b.String()), 0o600)
}

// run calls fnb and returns what it prints; its progress is shown when it fails.
func (d *demo) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, d.fnb, args...)
	cmd.Dir, cmd.Env = d.dir, d.env
	var out, progress bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &progress
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("fnb %s: %w\n%s", strings.Join(args, " "), err, progress.String())
	}
	return strings.TrimSpace(out.String()), nil
}

// show takes one function from its template to an answer.
func (d *demo) show(ctx context.Context, fn function) error {
	fmt.Printf("\n%s (%s)\n", fn.name, fn.pkg)
	var digest string
	err := d.steps(
		step{"fnb new", func() error {
			if _, err := d.run(ctx, "new", fn.name, "--lang", fn.lang, "--quiet"); err != nil {
				return err
			}
			return fn.write(filepath.Join(d.dir, fn.name))
		}},
		step{"fnb build", func() error {
			_, err := d.run(ctx, "build", fn.name)
			return err
		}},
		step{"fnb push", func() error {
			out, err := d.run(ctx, "push", fn.name)
			if fields := strings.Fields(out); len(fields) == 3 {
				digest = fields[2]
			}
			return err
		}},
	)
	if err != nil {
		return err
	}
	return d.call(ctx, fn, digest)
}

// call pulls an image back by its digest, starts it and sends it a request. Its root is read-only, and kept for the
// next demo: an image that was unpacked by its digest before is only asked for.
func (d *demo) call(ctx context.Context, fn function, digest string) (err error) {
	var c *servers.Container
	var img v1.Image
	var answer string
	defer func() {
		if c != nil {
			err = errors.Join(err, c.Close())
		}
	}()
	roots := filepath.Join(d.roots, fn.name)
	root := filepath.Join(roots, strings.TrimPrefix(digest, "sha256:"))
	pull := "pull"
	if _, err := os.Stat(root); err == nil {
		pull = "pulled before"
	}
	err = d.steps(
		step{pull, func() error {
			img, err = pullInto(ctx, d.registry+"/demo/"+fn.name+"@"+digest, roots, root)
			return err
		}},
		step{"start", func() (err error) {
			if c, err = servers.Run(ctx, img, servers.ContainerOptions{Root: root}); err != nil {
				return err
			}
			wait, cancel := context.WithTimeout(ctx, 30*time.Second)
			defer cancel()
			return c.Await(wait, "/_/ready", http.StatusOK)
		}},
		step{"request", func() error {
			answer, err = post(ctx, c, fn.body)
			return err
		}},
	)
	if err != nil {
		return err
	}
	fmt.Printf("  %-15s %s\n  %-15s %s\n", "answer", answer, "digest", digest)
	if !strings.Contains(answer, fn.want) {
		return fmt.Errorf("the answer lacks %q", fn.want)
	}
	return nil
}

func post(ctx context.Context, c *servers.Container, body string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.URL, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	res, err := c.Client().Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("the function answers %s: %s", res.Status, raw)
	}
	return strings.TrimSpace(string(raw)), err
}

// A step is something that takes time.
type step struct {
	name string
	do   func() error
}

// steps does one step after the other and prints how long each took.
func (d *demo) steps(steps ...step) error {
	for _, s := range steps {
		start := time.Now()
		if err := s.do(); err != nil {
			return err
		}
		fmt.Printf("  %-15s %.2f s\n", s.name, time.Since(start).Seconds())
	}
	return nil
}
