package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"fnb/internal/servers"
)

func rows() []row {
	return []row{
		{"version", "`fnb version`, with the builder linked in", "≤ 40 ms", version},
		{"unchanged", "unchanged Go function, build and push", "≤ 0.4 × buildctl", unchanged},
		{"line", "one line changed in a Go function, build and push", "≤ 1.25 × ko", oneLine},
		{"plain", "the same by a plain buildkitd", "≤ 1.1 × ko", plainLine},
		{"foreign", "one line changed, a template of OpenFaaS's shape", "≤ 0.1 × buildctl", foreign},
		{"hundred", "100 unchanged functions, build and push", "≤ 1 s", hundred},
		{"twenty", "20 functions, all handlers changed", "≤ 1.15 × the floor", twenty},
		{"attested", "the same with SBOM, provenance and a signature", "≤ 1.15 × without", attested},
		{"files", "a handler of 10 000 files, unchanged", "≤ 0.3 s", manyFiles},
		{"onefile", "a handler of 10 000 files, one changed", "≤ 1.0 × buildctl", oneFile},
		{"second", "second machine, unchanged function", "no solve", secondMachine},
		{"layer", "handler changed above a layer of 120 MB", "not compressed again", largeLayer},
	}
}

func version(ctx context.Context, r *rig) (result, error) {
	m, err := race(4*r.rounds, contender{name: "fnb", do: func() error {
		_, err := r.run(ctx, r.dir, r.env, r.fnb, "version")
		return err
	}})
	if err != nil {
		return result{}, err
	}
	return result{fmt.Sprintf("%.0f ms", 1000*m[0]), m[0], 0.04}, nil
}

// goFunction is a project with one function of fnb's template for Go.
func (r *rig) goFunction(ctx context.Context, name string) (string, error) {
	dir, err := r.project(name, map[string]string{
		"stack.yaml":    r.stack(name, "go", 1),
		"f0/go.mod":     "module handler/function\n\ngo 1.23\n",
		"f0/handler.go": goHandler,
	})
	if err != nil {
		return "", err
	}
	return dir, r.build(ctx, dir)
}

const goHandler = `package function

import (
	"fmt"
	"net/http"
)

// Handle answers with a line that changes.
func Handle(w http.ResponseWriter, _ *http.Request) {
	fmt.Fprintln(w, "MARK")
}
`

// koFunction is the same program as ko wants it, with the entrypoint that the template chooses for the handler.
func (r *rig) koFunction(ctx context.Context, dir, to string) (string, error) {
	to, err := r.project(to, map[string]string{"go.mod": "module handler/function\n\ngo 1.23\n", "handler.go": goHandler})
	if err != nil {
		return "", err
	}
	_, err = r.run(ctx, to, os.Environ(), "go", "run", filepath.Join(dir, "shape", "main.go"), filepath.Join(dir, "entry"), "cmd/f0", "handler/function")
	return to, err
}

// goForAll is the same function for fnb, as a build context for buildctl, and for
// ko.
func (r *rig) goForAll(ctx context.Context, name string) (dir, files, ko string, err error) {
	if dir, err = r.goFunction(ctx, name); err != nil {
		return "", "", "", err
	}
	if files, err = r.context(ctx, dir); err != nil {
		return "", "", "", err
	}
	ko, err = r.koFunction(ctx, files, name+"-ko")
	return dir, files, ko, err
}

func (r *rig) koBuild(ctx context.Context, dir string) error {
	base := "gcr.io/distroless/static-debian12:nonroot"
	if mirror := r.mirrors["gcr.io"]; mirror != "" {
		base = mirror + "/distroless/static-debian12:nonroot"
	}
	env := append(os.Environ(), "KO_DOCKER_REPO="+r.host+"/ko", "KO_DEFAULTBASEIMAGE="+base)
	_, err := r.run(ctx, dir, env, r.ko, "build", "--bare", "--sbom=none", "./cmd/f0")
	return err
}

func unchanged(ctx context.Context, r *rig) (result, error) {
	dir, files, ko, err := r.goForAll(ctx, "unchanged")
	if err != nil {
		return result{}, err
	}
	m, err := race(r.rounds,
		contender{name: "fnb", do: func() error { return r.build(ctx, dir) }},
		contender{name: "buildctl", do: func() error { return r.buildctlBuild(ctx, files, "unchanged:latest") }},
		contender{name: "ko", do: func() error { return r.koBuild(ctx, ko) }})
	if err != nil {
		return result{}, err
	}
	return result{fmt.Sprintf("fnb %.3f s, buildctl %.3f s, ko %.2f s", m[0], m[1], m[2]), m[0] / m[1], 0.4}, nil
}

func oneLine(ctx context.Context, r *rig) (result, error) {
	dir, files, ko, err := r.goForAll(ctx, "line")
	if err != nil {
		return result{}, err
	}
	m, err := race(r.rounds,
		contender{"fnb", edit(filepath.Join(dir, "f0", "handler.go")), func() error { return r.build(ctx, dir) }},
		contender{"buildctl", edit(filepath.Join(files, "function", "handler.go")), func() error { return r.buildctlBuild(ctx, files, "line:latest") }},
		contender{"ko", edit(filepath.Join(ko, "handler.go")), func() error { return r.koBuild(ctx, ko) }})
	if err != nil {
		return result{}, err
	}
	return result{fmt.Sprintf("fnb %.2f s, buildctl on the same template %.2f s, ko %.2f s", m[0], m[1], m[2]), m[0] / m[2], 1.25}, nil
}

// plainLine is a builder that is not fnb's own.
func plainLine(ctx context.Context, r *rig) (_ result, err error) {
	dir, _, ko, err := r.goForAll(ctx, "plain")
	if err != nil {
		return result{}, err
	}
	b, err := servers.StartBuildkitd(ctx, servers.BuildkitdOptions{Mirrors: r.mirrors})
	if err != nil {
		return result{}, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	m, err := race(r.rounds,
		contender{"fnb", edit(filepath.Join(dir, "f0", "handler.go")), func() error { return r.buildWith(ctx, dir, "--attest", "none", "--builder", b.Address) }},
		contender{"ko", edit(filepath.Join(ko, "handler.go")), func() error { return r.koBuild(ctx, ko) }})
	if err != nil {
		return result{}, err
	}
	return result{fmt.Sprintf("fnb %.2f s, ko %.2f s", m[0], m[1]), m[0] / m[1], 1.1}, nil
}

// foreign is fnb with the mounts it adds against buildctl with the Dockerfile as
// it is written.
func foreign(ctx context.Context, r *rig) (result, error) {
	const name = "foreign"
	at := "template/middleware/"
	dir, err := r.project(name, map[string]string{
		"stack.yaml":      r.stack(name, "middleware", 1),
		at + "Dockerfile": middleware, at + "function/handler.go": goHandler, at + "template.yml": "language: go\nfprocess: ./handler\n",
		at + "main.go":  "package main\n\nimport (\n\t\"log\"\n\t\"net/http\"\n\n\t\"handler/function\"\n)\n\nfunc main() {\n\thttp.HandleFunc(\"/\", function.Handle)\n\tlog.Fatal(http.ListenAndServe(\":8082\", nil))\n}\n",
		at + "go.mod":   "module handler\n\ngo 1.23\n",
		"f0/handler.go": goHandler,
	})
	if err != nil {
		return result{}, err
	}
	if err := r.build(ctx, dir); err != nil {
		return result{}, err
	}
	files, err := r.context(ctx, dir, "--no-accelerate")
	if err != nil {
		return result{}, err
	}
	m, err := race(min(r.rounds, 2),
		contender{"fnb", edit(filepath.Join(dir, "f0", "handler.go")), func() error { return r.build(ctx, dir) }},
		contender{"buildctl", edit(filepath.Join(files, "function", "handler.go")), func() error { return r.buildctlBuild(ctx, files, "foreign:latest") }})
	if err != nil {
		return result{}, err
	}
	return result{fmt.Sprintf("fnb %.2f s, buildctl %.2f s", m[0], m[1]), m[0] / m[1], 0.1}, nil
}

const middleware = `FROM ghcr.io/openfaas/of-watchdog:0.11.3 AS watchdog
FROM golang:1.26-bookworm AS build
ENV CGO_ENABLED=0
COPY --from=watchdog /fwatchdog /usr/bin/fwatchdog
RUN chmod +x /usr/bin/fwatchdog
RUN mkdir -p /go/src/handler
WORKDIR /go/src/handler
COPY . .
RUN test -z "$(gofmt -l $(find . -type f -name '*.go' -not -path "./vendor/*"))" || { echo "run gofmt"; exit 1; }
WORKDIR /go/src/handler/function
RUN go test ./... -cover
WORKDIR /go/src/handler
RUN go build --ldflags "-s -w" -o handler .
FROM debian:bookworm-slim AS ship
WORKDIR /home/app
COPY --from=build /go/src/handler/handler .
COPY --from=build /usr/bin/fwatchdog .
ENV fprocess="./handler" mode="http" upstream_url="http://127.0.0.1:8082"
CMD ["./fwatchdog"]
`

// copied is a project of functions whose template only copies the handler.
func (r *rig) copied(name string, functions int, more map[string]string) (string, error) {
	files := map[string]string{
		"stack.yaml":                       r.stack(name, "copied", functions),
		"template/copied/Dockerfile":       "FROM debian:bookworm-slim\nWORKDIR /home/app\nCOPY function/ ./\n",
		"template/copied/template.yml":     "language: any\nfprocess: cat handler.txt\n",
		"template/copied/function/handler": "",
	}
	for i := range functions {
		files[fmt.Sprintf("f%d/handler.txt", i)] = fmt.Sprintf("function %d: MARK\n", i)
	}
	for file, text := range more {
		files[file] = text
	}
	return r.project(name, files)
}

func hundred(ctx context.Context, r *rig) (result, error) {
	dir, err := r.copied("hundred", 100, nil)
	if err != nil {
		return result{}, err
	}
	m, err := race(min(r.rounds, 3), contender{name: "fnb", do: func() error { return r.build(ctx, dir) }})
	if err != nil {
		return result{}, err
	}
	return result{fmt.Sprintf("%.2f s", m[0]), m[0], 1}, nil
}

// attested is what is attached to 20 images, and signed, against the same without it. "Default" is with the SBOM and the
// provenance, which nobody has signed.
func attested(ctx context.Context, r *rig) (result, error) {
	const functions = 20
	dir, err := r.copied("attested", functions, nil)
	if err != nil {
		return result{}, err
	}
	key, err := r.key()
	if err != nil {
		return result{}, err
	}
	var handlers []string
	for i := range functions {
		handlers = append(handlers, filepath.Join(dir, fmt.Sprintf("f%d", i), "handler.txt"))
	}
	m, err := race(2*r.rounds,
		contender{"none", edit(handlers...), func() error { return r.build(ctx, dir) }},
		contender{"default", edit(handlers...), func() error { return r.buildWith(ctx, dir) }},
		contender{"signed", edit(handlers...), func() error { return r.buildWith(ctx, dir, "--sign", key) }})
	if err != nil {
		return result{}, err
	}
	return result{fmt.Sprintf("without %.2f s, default %.2f s (%.2f ×), signed too %.2f s", m[0], m[1], m[1]/m[0], m[2]), m[2] / m[0], 1.15}, nil
}

func twenty(ctx context.Context, r *rig) (result, error) {
	const functions = 20
	dir, err := r.copied("twenty", functions, nil)
	if err != nil {
		return result{}, err
	}
	var handlers []string
	for i := range functions {
		handlers = append(handlers, filepath.Join(dir, fmt.Sprintf("f%d", i), "handler.txt"))
	}
	mark := filepath.Join(dir, "floor.txt")
	if err := write(mark, "MARK\n"); err != nil {
		return result{}, err
	}
	from, err := r.floorImages(ctx)
	if err != nil {
		return result{}, err
	}
	push := func(atOnce int, bare bool) func() error {
		return func() error {
			raw, err := os.ReadFile(mark)
			if err != nil {
				return err
			}
			return r.floor(ctx, from, functions, atOnce, string(raw), bare)
		}
	}
	m, err := race(2*r.rounds,
		contender{"fnb", edit(handlers...), func() error { return r.build(ctx, dir) }},
		contender{"floor", edit(mark), push(runtime.NumCPU(), false)},
		contender{"floor with all at once", edit(mark), push(functions, false)},
		contender{"bare", edit(mark), push(runtime.NumCPU(), true)})
	if err != nil {
		return result{}, err
	}
	return result{fmt.Sprintf("fnb %.2f s, floor %.2f s, with all at once %.2f s (fnb %.2f × that), bare floor %.2f s", m[0], m[1], m[2], m[0]/m[2], m[3]), m[0] / m[1], 1.15}, nil
}

// large is a function with a handler of 10 000 files, for fnb and as a build
// context for buildctl.
func (r *rig) large(ctx context.Context, name string) (dir, files string, err error) {
	more := map[string]string{}
	for i := range 10000 {
		more[fmt.Sprintf("f0/data/%02d/%04d.txt", i/100, i)] = strings.Repeat(fmt.Sprintf("line of file %d\n", i), 20)
	}
	if dir, err = r.copied(name, 1, more); err != nil {
		return "", "", err
	}
	if err = r.build(ctx, dir); err != nil {
		return "", "", err
	}
	files, err = r.context(ctx, dir)
	return dir, files, err
}

func manyFiles(ctx context.Context, r *rig) (result, error) {
	dir, files, err := r.large(ctx, "files")
	if err != nil {
		return result{}, err
	}
	m, err := race(r.rounds,
		contender{name: "fnb", do: func() error { return r.build(ctx, dir) }},
		contender{name: "buildctl", do: func() error { return r.buildctlBuild(ctx, files, "files:latest") }})
	if err != nil {
		return result{}, err
	}
	return result{fmt.Sprintf("fnb %.2f s, buildctl %.2f s", m[0], m[1]), m[0], 0.3}, nil
}

func oneFile(ctx context.Context, r *rig) (result, error) {
	dir, files, err := r.large(ctx, "onefile")
	if err != nil {
		return result{}, err
	}
	m, err := race(2*r.rounds,
		contender{"fnb", edit(filepath.Join(dir, "f0", "handler.txt")), func() error { return r.build(ctx, dir) }},
		contender{"buildctl", edit(filepath.Join(files, "function", "handler.txt")), func() error { return r.buildctlBuild(ctx, files, "onefile:latest") }})
	if err != nil {
		return result{}, err
	}
	return result{fmt.Sprintf("fnb %.2f s, buildctl %.2f s", m[0], m[1]), m[0] / m[1], 1}, nil
}

// secondMachine has another user, with nothing but the project and an empty
// builder, build what is in the registry.
func secondMachine(ctx context.Context, r *rig) (result, error) {
	dir, err := r.copied("second", 1, nil)
	if err != nil {
		return result{}, err
	}
	if err := r.build(ctx, dir); err != nil {
		return result{}, err
	}
	other := r.machine("two", filepath.Join(r.dir, "config.yaml"), filepath.Join(r.dir, "two", "builder"))
	defer func() { _, _ = r.run(context.WithoutCancel(ctx), dir, other, r.fnb, "builder", "stop") }() // the run ends
	var report struct {
		Functions []struct {
			Status string `json:"status"`
		} `json:"functions"`
	}
	start := time.Now() // once: it is another machine's first
	out, err := r.run(ctx, dir, other, r.fnb, "build", "--push", "--quiet", "--json")
	took := time.Since(start).Seconds()
	if err != nil {
		return result{}, err
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		return result{}, err
	}
	solves, status := 1.0, ""
	if len(report.Functions) == 1 {
		status = report.Functions[0].Status
	}
	if status == "skipped" {
		solves = 0
	}
	return result{fmt.Sprintf("%.2f s, %s", took, status), solves, 0}, nil
}

func largeLayer(ctx context.Context, r *rig) (result, error) {
	dir, err := r.copied("layer", 1, map[string]string{
		"template/copied/Dockerfile": "FROM debian:bookworm-slim\nRUN head -c 120000000 /dev/urandom > /dependencies\nWORKDIR /home/app\nCOPY function/ ./\n",
	})
	if err != nil {
		return result{}, err
	}
	files, err := r.context(ctx, dir)
	if err != nil {
		return result{}, err
	}
	m, err := race(min(r.rounds, 3),
		contender{"fnb", edit(filepath.Join(dir, "f0", "handler.txt")), func() error { return r.build(ctx, dir) }},
		contender{"buildctl", edit(filepath.Join(files, "function", "handler.txt")), func() error {
			return r.buildctlBuild(ctx, files, "layer:latest,rewrite-timestamp=true", "--opt", "build-arg:SOURCE_DATE_EPOCH=315532801")
		}})
	if err != nil {
		return result{}, err
	}
	return result{fmt.Sprintf("fnb %.2f s, buildctl with `rewrite-timestamp` %.2f s", m[0], m[1]), m[0], 0.8}, nil
}
