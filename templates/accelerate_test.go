package templates

import (
	"strings"
	"testing"
)

// middleware is of the shape of OpenFaaS's template for Go.
const middleware = `FROM ghcr.io/openfaas/of-watchdog:0.11.3 AS watchdog
FROM --platform=${BUILDPLATFORM:-linux/amd64} golang:1.26-bookworm AS build
ARG TARGETOS
ARG GO111MODULE="on"
ARG GOPROXY=""
ENV CGO_ENABLED=0
COPY --from=watchdog /fwatchdog /usr/bin/fwatchdog
RUN chmod +x /usr/bin/fwatchdog
RUN mkdir -p /go/src/handler
WORKDIR /go/src/handler
COPY . .
# A comment.
RUN test -z "$(gofmt -l $(find . -type f -name '*.go' -not -path "./vendor/*"))" \
    # Another.
    || { echo no; exit 1; }
WORKDIR /go/src/handler/function
RUN GOOS=${TARGETOS} go test ./... -cover
WORKDIR /go/src/handler
RUN go build -o handler .
FROM debian:bookworm-slim AS ship
RUN adduser app
COPY --from=build /go/src/handler/handler .
COPY --from=build /usr/bin/fwatchdog .
CMD ["./fwatchdog"]
`

const goMounts = " --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build"

func TestAccelerate(t *testing.T) {
	t.Parallel()
	got, lines := readDockerfile(t, middleware, nil).Accelerate("", nil)
	build, ship, _ := strings.Cut(middleware, "FROM debian")
	if want := strings.ReplaceAll(build, "\nRUN", "\nRUN"+goMounts) + "FROM debian" + ship; string(got.Data) != want {
		t.Errorf("got\n%s\nwant\n%s", got.Data, want)
	}
	if len(lines) != 5 || len(lines[8]) != 2 {
		t.Errorf("changed %v", lines)
	}
	if again, lines := got.Accelerate("", nil); again != got || len(lines) != 0 {
		t.Errorf("once more it becomes\n%s", again.Data)
	}
}

// TestAccelerateSteps has a build stage of a few steps each; %RUN stands for a
// RUN that gets the mounts.
func TestAccelerateSteps(t *testing.T) {
	t.Parallel()
	const final = "FROM debian\nCOPY --from=build /out/app /app\n"
	for name, file := range map[string]string{
		"node":              "FROM node:22 AS build\nWORKDIR /home/app\nCOPY . .\n%RUN mkdir -p /home/app/x && npm ci\n" + final,
		"python":            "FROM docker.io/library/python:3.13@sha256:0000000000000000000000000000000000000000000000000000000000000000 AS build\n%RUN pip install --prefix /out/app x\n" + final,
		"rust":              "FROM rust AS build\nWORKDIR /src\n%RUN cargo build\n" + final,
		"maven":             "FROM maven:3 AS build\nWORKDIR /src\n%RUN mvn package\n" + final,
		"heredoc":           "FROM golang AS build\n%RUN <<EOF\nset -e\ngo build -o /out/app\nEOF\n" + final,
		"exec form":         "FROM golang AS build\n  %run [\"go\", \"build\"]\n" + final,
		"continued":         "FROM golang AS build\n%RUN \\\n  go build\n" + final,
		"secret":            "FROM golang AS build\n%RUN --mount=type=secret,id=netrc,target=/root/.netrc go build\n" + final,
		"by number":         "FROM golang\n%RUN go build\nFROM debian\nCOPY --from=0 /out /out\n",
		"test stage":        "FROM golang AS build\n%RUN go build\nFROM build AS test\n%RUN go test ./...\n" + final,
		"plain syntax":      "# syntax=docker/dockerfile:1\nFROM golang AS build\n%RUN go build\n" + final,
		"crlf":              "FROM golang AS build\r\n%RUN go build\r\nFROM debian\r\nCOPY --from=build /out /\r\n",
		"other syntax":      "# syntax=example.com/frontend\nFROM golang AS build\nRUN go build\n" + final,
		"old syntax":        "# syntax=docker/dockerfile:1.1\nFROM golang AS build\nRUN go build\n" + final,
		"only stage":        "FROM golang\nRUN go build\n",
		"final from build":  "FROM golang AS build\nRUN go build\nFROM build\nRUN true\n",
		"has mounts":        "FROM golang AS build\nRUN --mount=type=cache,target=/x go build\nRUN go test\n" + final,
		"no network":        "FROM golang AS build\nRUN --network=none go build\n" + final,
		"cache copied":      "FROM golang AS build\nRUN go build\nFROM debian\nCOPY --from=build /root/ /go/pkg/mod/cache /x/\n",
		"everything copied": "FROM golang AS build\nRUN go build\nFROM debian\nCOPY --from=build / /x\n",
		"wildcard copied":   "FROM golang AS build\nRUN go build\nFROM debian\nCOPY --from=build /* /x\n",
		"variable copied":   "FROM golang AS build\nRUN go build\nFROM debian\nARG WHAT=/out\nCOPY --from=build $WHAT /x\n",
		"variable stage":    "FROM golang AS build\nRUN go build\nFROM debian\nARG S=build\nCOPY --from=$S /out /x\n",
		"mounted whole":     "FROM golang AS build\nRUN go build\nFROM debian\nRUN --mount=from=build,target=/m cp -a /m /x\n",
		"vendor":            "FROM golang AS build\nRUN go mod vendor && go build\n" + final,
		"cleaned":           "FROM golang AS build\nRUN go build && go clean -modcache\n" + final,
		"removed":           "FROM golang AS build\nRUN go build && rm -rf /go /root/.cache\n" + final,
		"searched":          "FROM golang AS build\nRUN find / -name x\n" + final,
		"relative":          "FROM golang AS build\nWORKDIR /\nRUN cp -a go/pkg/mod root/.cache /out\n" + final,
		"from there":        "FROM golang AS build\nWORKDIR /go\nWORKDIR /root\nRUN cp -a . /out\n" + final,
		"home":              "FROM golang AS build\nENV HOME=/tmp\nRUN go build\n" + final,
		"gopath":            "FROM golang AS build\nARG GOPATH\nRUN go build\n" + final,
		"gocache":           "FROM golang AS build\nRUN GOCACHE=/tmp/c go build\n" + final,
		"user":              "FROM golang AS build\nUSER 1000\nRUN go build\n" + final,
		"unknown folder":    "FROM golang AS build\nCOPY . .\nRUN go build\n" + final,
		"put there":         "FROM golang AS build\nCOPY modules /go/pkg/mod/\nADD c.tar /root\nRUN go build\n" + final,
		"custom base":       "FROM example.com/golang:1 AS build\nRUN go build\n" + final,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			mounts := map[string]string{
				"node": " --mount=type=cache,target=/root/.npm", "python": " --mount=type=cache,target=/root/.cache/pip",
				"rust":  " --mount=type=cache,target=/usr/local/cargo/git --mount=type=cache,target=/usr/local/cargo/registry",
				"maven": " --mount=type=cache,target=/root/.m2,sharing=locked",
			}[name]
			if mounts == "" {
				mounts = goMounts
			}
			in := strings.NewReplacer("%RUN", "RUN", "%run", "run").Replace(file)
			want := strings.NewReplacer("%RUN", "RUN"+mounts, "%run", "run"+mounts).Replace(file)
			if got, _ := readDockerfile(t, in, nil).Accelerate("", nil); string(got.Data) != want {
				t.Errorf("got\n%s\nwant\n%s", got.Data, want)
			}
		})
	}
}

func TestAccelerateOptions(t *testing.T) {
	t.Parallel()
	file := "ARG BASE=debian\nFROM ${BASE} AS build\nRUN make\nFROM scratch\nCOPY --from=build /out /\n"
	for _, c := range []struct {
		target string
		caches []string
		args   map[string]string
		want   string
	}{
		{want: "RUN make"},
		{caches: []string{"/var/ccache/a", "/out/c", "bad", "/"}, want: "RUN --mount=type=cache,target=/var/ccache/a make"},
		{args: map[string]string{"BASE": "golang:1.26"}, want: "RUN" + goMounts + " make"},
		{caches: []string{"/var/ccache/a"}, target: "build", want: "RUN make"},
		{caches: []string{"/var/ccache/a"}, target: "none", want: "RUN make"},
	} {
		if got, _ := readDockerfile(t, file, c.args).Accelerate(c.target, c.caches); !strings.Contains(string(got.Data), "\n"+c.want+"\n") {
			t.Errorf("%+v: got\n%s", c, got.Data)
		}
	}
}
