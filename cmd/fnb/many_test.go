package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

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
	all := digests(u.run("build", "--push"))
	if len(all) != 200 || all["fn000"] != first["fn000"] {
		t.Errorf("%d functions, of which the first is %s, was %s", len(all), all["fn000"], first["fn000"])
	}
	if lines := strings.Count(u.log, "\n"); lines > 201 {
		t.Errorf("%d lines for 200 functions", lines)
	}
	// One function takes about 45 MB.
	if t.Logf("at most %d kB of memory", u.rss); u.rss > 150_000 || u.rss == 0 {
		t.Errorf("fnb took %d kB for 200 functions", u.rss)
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
