package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// rivals puts the other servers of a language into the root of its image, and returns
// them; their sources are in testdata/rivals.
func rivals(b *testing.B, template, root string, img v1.Image) []*contestant {
	b.Helper()
	dir := filepath.Join(root, "rival")
	kept := func(cmd ...string) *contestant {
		return &contestant{template: template, name: "kept", root: root, img: img, cmd: cmd, env: []string{"PYTHONPATH=/rival/lib"}}
	}
	openfaas := func(name, fprocess, upstream string) *contestant {
		return &contestant{template: template, name: name, root: root, img: img, env: []string{
			"PYTHONPATH=/rival/flask/lib", "fprocess=" + fprocess, "upstream_url=http://127.0.0.1:" + upstream, "ready_path=",
		}}
	}
	source := func(name string) string { return filepath.Join("testdata", "rivals", name) }
	install := func(name string, args ...string) {
		b.Helper()
		cmd := exec.CommandContext(b.Context(), name, args...)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			b.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	place := func(name, as string) {
		b.Helper()
		data, err := os.ReadFile(source(name))
		if err == nil {
			err = os.MkdirAll(filepath.Dir(filepath.Join(dir, as)), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, as), data, 0o644)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	switch template {
	case "python3":
		place("python3/app.py", "app.py")
		place("flask/index.py", "flask/index.py")
		install("pip3", "install", "--quiet", "--target", filepath.Join(dir, "lib"), "uvicorn", "httptools", "uvloop")
		install("pip3", "install", "--quiet", "--target", filepath.Join(dir, "flask", "lib"), "flask", "waitress")
		return []*contestant{
			kept("python", "-m", "uvicorn", "app:app", "--app-dir", "/rival", "--port", "8080", "--no-access-log", "--log-level", "warning"),
			openfaas("python3-http", "python /rival/flask/index.py", "5000"),
		}
	case "node", "typescript":
		place("node/server.js", "server.js")
		all := []*contestant{kept("node", "/rival/server.js")}
		if template == "node" {
			place("express/index.js", "index.js")
			install("npm", "install", "--prefix", dir, "--no-audit", "--no-fund", "--silent", "express@4", "body-parser@1")
			all = append(all, openfaas("node22", "node /rival/index.js", "3000"))
		}
		return all
	case "bun":
		place("bun.ts", "server.ts")
		return []*contestant{kept("bun", "/rival/server.ts")}
	case "deno":
		place("deno.ts", "server.ts")
		return []*contestant{kept("deno", "run", "--allow-net", "/rival/server.ts")}
	case "go":
		install("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "kept"), source("go/main.go"))
		install("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, "middleware"), source("middleware/main.go"))
		return []*contestant{kept("/rival/kept"), openfaas("golang-middleware", "/rival/middleware", "8082")}
	case "rust":
		target := filepath.Join(b.TempDir(), "target")
		install("cargo", "build", "--quiet", "--release", "--manifest-path", source("rust/Cargo.toml"), "--target-dir", target)
		install("install", "-D", filepath.Join(target, "release", "kept"), filepath.Join(dir, "kept"))
		return []*contestant{kept("/rival/kept")}
	case "java":
		install("javac", "-d", dir, source("java/Kept.java"))
		return []*contestant{kept("java", "-Dsun.net.httpserver.nodelay=true", "-cp", "/rival", "Kept")}
	}
	b.Fatalf("%s has no server to be compared with: add one to testdata/rivals", template)
	return nil
}

// A benchUser is somebody with a starter of each template.
type benchUser struct {
	*bench
	prefix string
}

func newBenchUser(b *testing.B, r *rig) *benchUser {
	b.Helper()
	u := &benchUser{bench: &bench{B: b, dir: b.TempDir(), fnb: filepath.Join(r.bin, "fnb")}, prefix: r.registry.Host + "/bench"}
	u.env = append(os.Environ(), "HOME="+b.TempDir(), "FNB_CONFIG="+r.config, "FNB_BUILDER_ROOT="+r.builder, "FNB_PROGRESS=plain", "FNB_PREFIX="+u.prefix)
	return u
}

// image builds and pushes a template's starter.
func (u *benchUser) image(r *rig, template string) (v1.Image, error) {
	u.run("new", template, "--lang", template, "--quiet")
	cmd := u.command("build", template, "--push")
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, log.String())
	}
	return pullImage(r.registry.Host+"/bench/"+template+"@"+digests(string(out))[template], "")
}

// oneLine changes a line of the handler and pushes it, and returns how many seconds that
// took: the median of three.
func (u *benchUser) oneLine(template string) float64 {
	u.Helper()
	var file string
	_ = filepath.WalkDir(filepath.Join(u.dir, template), func(p string, d os.DirEntry, err error) error {
		base := strings.ToLower(d.Name())
		if err == nil && !d.IsDir() && (strings.HasPrefix(base, "handler.") && !strings.Contains(base, "test") && !strings.Contains(p, "/fnb/") || base == "lib.rs") {
			file = p
		}
		return nil
	})
	raw, err := os.ReadFile(file)
	if err != nil {
		u.Fatalf("%s has no handler: %v", template, err)
	}
	var took []float64
	first := time.Now().Unix() // no builder has seen the line before
	for n := first; n < first+3; n++ {
		text := string(raw)
		switch filepath.Ext(file) {
		case ".py":
			text += fmt.Sprintf("\nCHANGE = %d\n", n)
		case ".go":
			text += fmt.Sprintf("\nvar Change = %d\n", n)
		case ".rs":
			text += fmt.Sprintf("\npub const CHANGE: u32 = %d;\n", n)
		case ".java":
			end := strings.LastIndex(text, "}")
			text = text[:end] + fmt.Sprintf("    static int change() { return %d; }\n", n) + text[end:]
		case ".ts":
			text += fmt.Sprintf("\n(globalThis as any).change = %d\n", n)
		default:
			text += fmt.Sprintf("\nglobalThis.change = %d\n", n)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			u.Fatal(err)
		}
		began := time.Now()
		if out, err := u.command("build", template, "--push").CombinedOutput(); err != nil {
			u.Logf("%s, one line changed: %v\n%s", template, err, out)
			return 0
		}
		took = append(took, time.Since(began).Seconds())
	}
	return medianOf(took)
}

func medianOf(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	return all[len(all)/2]
}

// templateTable is the table of docs/benchmarks.md.
func templateTable(all []*contestant, sizes, changes map[string]float64) string {
	var s strings.Builder
	s.WriteString("| template | server | requests/s | of the kept server's | p99, ms | start, ms | memory at rest, MB | image above its base, MB | one line → pushed, s |\n|---|---|---|---|---|---|---|---|---|\n")
	kept := map[string]float64{}
	for _, c := range all {
		if c.name == "kept" {
			kept[c.template] = medianOf(c.rps)
		}
	}
	names := map[string]string{"fnb": "the template's", "kept": "the kept one, no watchdog"}
	for _, c := range all {
		name, size, change := names[c.name], "", ""
		if name == "" {
			name = "as " + c.name + ", fnb's watchdog"
		}
		if c.name == "fnb" {
			size, change = fmt.Sprintf("%.1f", sizes[c.template]), fmt.Sprintf("%.2f", changes[c.template])
		}
		ratio := ""
		if kept[c.template] > 0 && c.name != "kept" {
			ratio = fmt.Sprintf("%.2f", medianOf(c.rps)/kept[c.template])
		}
		fmt.Fprintf(&s, "| %s | %s | %.0f | %s | %.1f | %.0f | %.1f | %s | %s |\n", c.template, name, medianOf(c.rps), ratio, medianOf(c.p99), medianOf(c.start), medianOf(c.memory), size, change)
	}
	return s.String()
}

// writeBenchmarks puts the table and the day into docs/benchmarks.md.
func writeBenchmarks(b testing.TB, name, of, table string) {
	b.Helper()
	file, begins, ends := "../../docs/benchmarks.md", "<!-- "+name+" -->\n", "<!-- end of "+name+" -->"
	raw, err := os.ReadFile(file)
	if err != nil {
		b.Fatal(err)
	}
	before, rest, found := strings.Cut(string(raw), begins)
	_, after, foundEnd := strings.Cut(rest, ends)
	if !found || !foundEnd {
		b.Fatalf("%s has no place for the table", file)
	}
	average, _ := os.ReadFile("/proc/loadavg") // nothing to say where there is none
	load, _, _ := strings.Cut(string(average), " ")
	head := fmt.Sprintf("On %s%s; the load average was %s at the end.\n\n", time.Now().Format(time.DateOnly), of, load)
	if err := os.WriteFile(file, []byte(before+begins+head+table+ends+after), 0o600); err != nil {
		b.Fatal(err)
	}
}
