package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"fnb/internal/servers"
)

// A rig is a registry, base images, a builder, and folders for projects.
type rig struct {
	fnb, buildctl, ko string
	rounds            int
	dir               string // temporary
	env               []string
	host              string // of the registry
	mirrors           map[string]string
	address           string // of the builder
	stops             []func() error
}

func newRig(ctx context.Context, fnb string, rounds int) (_ *rig, err error) {
	r := &rig{rounds: rounds}
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	if r.fnb, err = program(fnb); err != nil {
		return nil, err
	}
	if r.dir, err = os.MkdirTemp("", "fnb-bench-"); err != nil {
		return nil, err
	}
	r.stops = append(r.stops, func() error { return os.RemoveAll(r.dir) })
	reg, err := servers.StartRegistry(ctx, servers.RegistryOptions{})
	if err != nil {
		return nil, err
	}
	r.stops = append(r.stops, reg.Close)
	r.host = reg.Host
	bases, err := servers.StartBases(ctx, servers.BasesOptions{})
	if err != nil {
		return nil, err
	}
	r.stops = append(r.stops, bases.Close)
	r.mirrors = bases.Mirrors
	return r, r.writeSettings()
}

// program is the path of one that make has built.
func program(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%w; type: make bench", err)
	}
	return path, nil
}

// findRivals finds what fnb is compared with.
func (r *rig) findRivals(tools string) (err error) {
	if r.buildctl, err = program(filepath.Join(tools, "buildctl")); err != nil {
		return err
	}
	r.ko, err = program(filepath.Join(tools, "ko"))
	return err
}

// writeSettings leads to base images.
func (r *rig) writeSettings() error {
	var b strings.Builder
	b.WriteString("builder:\n  idle: 1h\n")
	if len(r.mirrors) > 0 {
		b.WriteString("  registries:\n")
	}
	named := map[string]bool{}
	for host, mirror := range r.mirrors {
		fmt.Fprintf(&b, "    %s: {mirrors: [%q]}\n", host, mirror)
		if !named[mirror] {
			fmt.Fprintf(&b, "    %q: {http: true}\n", mirror)
		}
		named[mirror] = true
	}
	config := filepath.Join(r.dir, "config.yaml")
	if err := os.WriteFile(config, []byte(b.String()), 0o600); err != nil {
		return err
	}
	r.env = r.machine("one", config, filepath.Join(r.dir, "one", "builder"))
	return nil
}

func (r *rig) startBuilder(ctx context.Context) error {
	r.stops = append(r.stops, func() error {
		_, err := r.run(context.WithoutCancel(ctx), r.dir, r.env, r.fnb, "builder", "stop")
		return err
	})
	var err error
	r.address, err = r.run(ctx, r.dir, r.env, r.fnb, "builder", "start")
	return err
}

// machine is the environment of a machine of its own.
func (r *rig) machine(name, config, root string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "FNB_") && !strings.HasPrefix(kv, "XDG_") {
			env = append(env, kv)
		}
	}
	home := filepath.Join(r.dir, name)
	return append(env, "HOME="+home, "XDG_CACHE_HOME="+home+"/cache", "XDG_DATA_HOME="+home+"/data", "FNB_CONFIG="+config, "FNB_BUILDER_ROOT="+root)
}

func (r *rig) close() {
	for _, stop := range slices.Backward(r.stops) {
		if err := stop(); err != nil {
			fmt.Fprintln(os.Stderr, "bench: stopping:", err)
		}
	}
}

// run runs a program and returns what it prints.
func (r *rig) run(ctx context.Context, dir string, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir, cmd.Env = dir, env
	var log bytes.Buffer
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", filepath.Base(name), strings.Join(args, " "), err, log.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// build has fnb build and push the functions of a project. As with what it is compared with, nothing is
// attached to the images.
func (r *rig) build(ctx context.Context, dir string) error {
	return r.buildWith(ctx, dir, "--attest", "none")
}

func (r *rig) buildWith(ctx context.Context, dir string, flags ...string) error {
	_, err := r.run(ctx, dir, r.env, r.fnb, append([]string{"build", "--push", "--quiet"}, flags...)...)
	return err
}

// key makes a key that signs, and returns its file.
func (r *rig) key() (string, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return "", err
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return "", err
	}
	file := filepath.Join(r.dir, "key.pem")
	return file, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: raw}), 0o600)
}

// buildctlBuild has buildctl build and push a build context.
func (r *rig) buildctlBuild(ctx context.Context, dir, image string, flags ...string) error {
	args := []string{
		"--addr", r.address, "build", "--progress", "plain", "--frontend", "dockerfile.v0",
		"--local", "context=" + dir, "--local", "dockerfile=" + dir,
		"--output", "type=image,push=true,registry.insecure=true,name=" + r.host + "/buildctl/" + image,
	}
	_, err := r.run(ctx, dir, os.Environ(), r.buildctl, append(args, flags...)...)
	return err
}

// project makes a folder with the files of a project.
func (r *rig) project(name string, files map[string]string) (string, error) {
	dir := filepath.Join(r.dir, "projects", name)
	for file, text := range files {
		if err := write(filepath.Join(dir, filepath.FromSlash(file)), text); err != nil {
			return "", err
		}
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// stack is a stack file of functions f0, f1 … of one template.
func (r *rig) stack(project, template string, functions int) string {
	var b strings.Builder
	b.WriteString("functions:\n")
	for i := range functions {
		fmt.Fprintf(&b, "  f%d: {lang: %s, handler: ./f%d, image: \"%s/%s/f%d:latest\"}\n", i, template, i, r.host, project, i)
	}
	return b.String()
}

// context writes the build context of f0 that fnb would use, for others to build.
func (r *rig) context(ctx context.Context, dir string, flags ...string) (string, error) {
	to := filepath.Join(dir, ".context-"+strconv.FormatInt(time.Now().UnixNano(), 36))
	_, err := r.run(ctx, dir, r.env, r.fnb, append([]string{"build", "--quiet", "--context-only", to, "f0"}, flags...)...)
	return filepath.Join(to, "f0"), err
}

func write(file, text string) error {
	return errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(text), 0o600))
}

// edit replaces MARK, and what an earlier edit made of it, by something that was
// never there.
func edit(files ...string) func() error {
	return func() error {
		for _, file := range files {
			raw, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			head, rest, ok := strings.Cut(string(raw), "MARK")
			if !ok {
				return fmt.Errorf("%s has no MARK", file)
			}
			end := strings.IndexAny(rest, "\"\n")
			text := head + "MARK" + strconv.FormatInt(time.Now().UnixNano(), 10) + rest[end:]
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				return err
			}
		}
		return nil
	}
}
