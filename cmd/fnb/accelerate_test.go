package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"fnb/internal/servers"
)

// foreign are templates of the shape of OpenFaaS's, with a build stage and no
// mounts.
func foreign() map[string]map[string]string {
	const watchdog = "FROM --platform=${TARGETPLATFORM:-linux/amd64} ghcr.io/openfaas/of-watchdog:0.11.3 AS watchdog\n"
	const last = "COPY --from=watchdog /fwatchdog /usr/bin/fwatchdog\nWORKDIR /home/app\n"
	return map[string]map[string]string{
		"of-go": {
			"Dockerfile": watchdog + `FROM --platform=${BUILDPLATFORM:-linux/amd64} golang:1.26-bookworm AS build
ARG TARGETOS
ARG TARGETARCH
ENV CGO_ENABLED=0
RUN mkdir -p /go/src/handler
WORKDIR /go/src/handler
COPY . .
RUN test -z "$(gofmt -l $(find . -type f -name '*.go' -not -path "./vendor/*"))" \
    || { echo "run gofmt -s -w"; exit 1; }
RUN GOOS=${TARGETOS} GOARCH=${TARGETARCH} go build --ldflags "-s -w" -o handler .
FROM debian:bookworm-slim
` + last + "COPY --from=build /go/src/handler/handler .\n",
			"template.yml":        "language: go\nfprocess: ./handler\n",
			"main.go":             "package main\n\nimport (\n\t\"io\"\n\t\"os\"\n\n\t\"handler/function\"\n)\n\nfunc main() {\n\tbody, _ := io.ReadAll(os.Stdin)\n\tos.Stdout.Write(function.Handle(body))\n}\n",
			"go.mod":              "module handler\n\ngo 1.23\n",
			"function/handler.go": "package function\n\nfunc Handle(req []byte) []byte { return append(req, \"first\"...) }\n",
		},
		"of-node": {
			"Dockerfile": watchdog + `FROM node:22-alpine AS build
RUN mkdir -p /home/app/function
WORKDIR /home/app
COPY function/package.json function/
WORKDIR /home/app/function
RUN npm i --omit=dev
COPY function/ .
FROM node:22-alpine
` + last + "COPY --from=build /home/app/function function\n",
			"template.yml":          "language: node\nfprocess: node function/handler.js\n",
			"function/package.json": "{\"name\": \"f\", \"version\": \"1.0.0\", \"dependencies\": {\"ms\": \"2.1.3\"}}\n",
			"function/handler.js":   "console.log(require('ms')(1), 'first')\n",
		},
		"of-python": {
			"Dockerfile": watchdog + `FROM python:3.13-slim-bookworm AS build
WORKDIR /home/app
COPY function/requirements.txt .
RUN pip install --no-compile --target=/home/app/python -r requirements.txt
COPY function/ function/
FROM python:3.13-slim-bookworm
` + last + "COPY --from=build /home/app/ ./\n",
			"template.yml":              "language: python\nfprocess: python3 function/handler.py\n",
			"function/requirements.txt": "humanize==4.9.0\n",
			"function/handler.py":       "print('first')\n",
		},
	}
}

// TestAccelerated builds templates that were not written for BuildKit with cache
// mounts and without, before and after a change: the layers are the same.
func TestAccelerated(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	u := newUser(t, r, "FNB_PREFIX="+r.registry.Host+"/accelerated")
	for name, files := range foreign() {
		for file, text := range files {
			at := filepath.Join("template", name, filepath.FromSlash(file))
			if err := os.MkdirAll(filepath.Join(u.dir, filepath.Dir(at)), 0o755); err != nil {
				t.Fatal(err)
			}
			u.write(at, text)
		}
		u.run("new", name, "--lang", name, "--quiet")
	}
	u.run("build", "--context-only", "shown")
	for name := range foreign() {
		raw, err := os.ReadFile(filepath.Join(u.dir, "shown", name, "Dockerfile"))
		if err != nil || !strings.Contains(string(raw), "RUN --mount=type=cache,target=/") {
			t.Errorf("%s is not accelerated: %v\n%s", name, err, raw)
		}
	}
	plain := buildLayers(t, u, "--no-accelerate")
	sameLayers(t, plain, buildLayers(t, u))
	for name, files := range foreign() {
		for file, text := range files {
			if strings.HasPrefix(file, "function/") {
				u.write(filepath.Join(name, strings.TrimPrefix(file, "function/")), strings.ReplaceAll(text, "first", "second"))
			}
		}
	}
	changed := buildLayers(t, u)
	sameLayers(t, changed, buildLayers(t, u, "--no-accelerate"))
	for name := range foreign() {
		if slices.Equal(plain[name], changed[name]) {
			t.Errorf("%s: the change is not in the image", name)
		}
	}
}

// buildLayers pushes all functions and returns the digests of each one's layers.
func buildLayers(t *testing.T, u *fnbUser, flags ...string) map[string][]string {
	t.Helper()
	layers := map[string][]string{}
	for line := range strings.Lines(u.run(append([]string{"build", "--push", "--progress", "plain"}, flags...)...)) {
		f := strings.Fields(line)
		repo, _, _ := strings.Cut(f[1], ":latest")
		img, err := pullImage(repo+"@"+f[2], "")
		if err != nil {
			t.Fatal(err)
		}
		m, err := img.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range m.Layers {
			layers[f[0]] = append(layers[f[0]], l.Digest.String())
		}
	}
	return layers
}

func sameLayers(t *testing.T, a, b map[string][]string) {
	t.Helper()
	for name := range foreign() {
		if len(a[name]) == 0 || !slices.Equal(a[name], b[name]) {
			t.Errorf("%s: layers %v, and with the other Dockerfile %v", name, a[name], b[name])
		}
	}
}
