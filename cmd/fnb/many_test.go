package main

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/servers"
)

// TestManyFunctions builds a stack of two hundred functions, then a changed one
// of them: only that is solved, the display stays short, and fnb's memory does
// not grow much with the stack.
func TestManyFunctions(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	u := newUser(t, r)
	for _, dir := range []string{"template/plain"} {
		if err := os.MkdirAll(filepath.Join(u.dir, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	u.write("template/plain/template.yml", "language: plain\nfprocess: /function/run\nmode: streaming\n")
	u.write("template/plain/Dockerfile", "FROM scratch\nCOPY function/ /function/\n")
	var stack strings.Builder
	stack.WriteString("functions:\n")
	for i := range 200 {
		name := fmt.Sprintf("fn%03d", i)
		if err := os.Mkdir(filepath.Join(u.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		u.write(name+"/run", "#!/bin/sh\necho "+name+"\n")
		fmt.Fprintf(&stack, "  %s: {lang: ./template/plain, handler: ./%s, image: %s/many/%s:1}\n", name, name, r.registry.Host, name)
	}
	u.write("stack.yaml", stack.String())
	first := digests(u.run("build", "--push", "fn000"))
	one := u.rss
	all := digests(u.run("build", "--push"))
	if len(all) != 200 || all["fn000"] != first["fn000"] {
		t.Errorf("%d functions, of which the first is %s, was %s", len(all), all["fn000"], first["fn000"])
	}
	lines := 0
	for line := range strings.Lines(u.log) {
		if !strings.Contains(line, " took ") { // a step that was slow here has a line too
			lines++
		}
	}
	if lines > 201 {
		t.Errorf("%d lines for 200 functions:\n%s", lines, u.log)
	}
	if t.Logf("at most %d kB of memory, %d kB for one", u.rss, one); u.rss-one > 100<<10 || one == 0 {
		t.Errorf("fnb took %d kB for 200 functions, and %d kB for one", u.rss, one)
	}
	u.write("fn100/run", "#!/bin/sh\necho changed\n")
	again := digests(u.run("build", "--push"))
	for name, d := range again {
		if (d == all[name]) == (name == "fn100") {
			t.Errorf("%s was %s and is %s", name, all[name], d)
		}
	}
	if lines := strings.Count(u.log, "\n"); lines != 2 || !strings.Contains(u.log, "199 skipped, 1 pushed") {
		t.Errorf("it says\n%s", u.log)
	}
}

// TestPushedOnce builds functions that share a base, their steps and a watchdog, all at
// once and into repositories that are new, and then with another step: what they share
// is made and sent once.
func TestPushedOnce(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	reg := servers.RegistryFor(t, servers.RegistryOptions{Proxy: true})
	// BuildKit notes by a registry's host, without its port, where a layer was
	// pushed to: in a builder that others use too, that is another registry.
	u := newUser(t, r, "FNB_BUILDER_ROOT="+filepath.Join(t.TempDir(), "builder"))
	t.Cleanup(func() {
		cmd := exec.Command(u.bin, "builder", "stop")
		cmd.Env = u.env
		_ = cmd.Run()
	})
	names := []string{"a", "b", "c", "d"}
	stack := "functions:\n"
	for _, name := range names {
		if err := os.Mkdir(filepath.Join(u.dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		u.write(name+"/Dockerfile", "FROM debian:bookworm-slim\nRUN cat /proc/sys/kernel/random/uuid >/shared\nCOPY . /function\nCMD [\"/function/run\"]\n")
		u.write(name+"/run", "#!/bin/sh\necho "+name+"\n")
		stack += fmt.Sprintf("  %s: {lang: dockerfile, handler: ./%s, image: '%s/once/%s:1'}\n", name, name, reg.Host, name)
	}
	u.write("stack.yaml", stack)
	blobs := map[v1.Hash]bool{}
	sent := func() (n int) {
		for _, q := range reg.Requests() {
			if q.Method == http.MethodPut && strings.Contains(q.Path, "/blobs/uploads/") {
				n++
			}
		}
		return n
	}
	layers := 0
	push := func(common func() int) {
		before, had := sent(), len(blobs)
		u.run("build", "--push", "--attest", "none", "--parallel", fmt.Sprint(len(names)))
		for _, name := range names {
			m, _, _ := imageOf(t, reg.Host+"/once/"+name+":1")
			blobs[m.Config.Digest] = true
			for _, l := range m.Layers {
				blobs[l.Digest] = true
			}
			layers = len(m.Layers)
		}
		if n := sent() - before; n != len(blobs)-had || n != 2*len(names)+common() { // each has a configuration and a handler
			t.Errorf("%d blobs were sent for the %d that are new; want 2 of each function and %d for all", n, len(blobs)-had, common())
		}
	}
	push(func() int { return layers - 1 })
	for _, name := range names {
		u.write(name+"/Dockerfile", "FROM debian:bookworm-slim\nRUN cat /proc/sys/kernel/random/uuid >/other\nCOPY . /function\nCMD [\"/function/run\"]\n")
	}
	push(func() int { return 1 })
}
