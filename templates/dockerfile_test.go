package templates

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/schema"
	"fnb/schema/document"
)

// openFaaSGo has the shape of the Dockerfiles that OpenFaaS's Go templates have.
const openFaaSGo = `FROM --platform=${TARGETPLATFORM:-linux/amd64} ghcr.io/openfaas/of-watchdog:0.11.3 as watchdog
FROM --platform=${BUILDPLATFORM:-linux/amd64} golang:1.25-alpine as build

ARG TARGETPLATFORM
ARG TARGETOS
ARG GO111MODULE="on"
ARG GOPROXY=""

COPY --from=watchdog /fwatchdog /usr/bin/fwatchdog
WORKDIR /go/src/handler
COPY . .
RUN go test ./... -cover && go build -o handler .

FROM --platform=${TARGETPLATFORM:-linux/amd64} alpine:3.22.2 as ship
RUN addgroup -S app && adduser -S -g app app
COPY --from=build --chown=app /go/src/handler/handler /home/app/handler
COPY --from=build --chown=app /usr/bin/fwatchdog      .
USER app
ENV fprocess="./handler"
ENV mode="http" upstream_url="http://127.0.0.1:8082"
CMD ["./fwatchdog"]
`

func readDockerfile(t *testing.T, text string, args map[string]string) *Dockerfile {
	t.Helper()
	d, err := ReadDockerfile("Dockerfile", []byte(text), args)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestReadDockerfile(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		text string
		want schema.Dockerfile
	}{
		"OpenFaaS's shape": {openFaaSGo, schema.Dockerfile{
			Bases:          []string{"ghcr.io/openfaas/of-watchdog:0.11.3", "golang:1.25-alpine", "alpine:3.22.2"},
			Stages:         []string{"watchdog", "build", "ship"},
			Args:           []string{"GO111MODULE", "GOPROXY", "TARGETOS", "TARGETPLATFORM"},
			BringsWatchdog: true, Watchdog: "ghcr.io/openfaas/of-watchdog:0.11.3",
		}},
		"global arguments": {"ARG V=3.12\nARG OS=alpine\nARG IMAGE=python:${V}-$OS\nFROM --platform=linux/amd64 $IMAGE AS build\nFROM ${BASE:-debian:12}\nFROM ${UNSET}/x:1\n", schema.Dockerfile{
			Bases: []string{"python:3.12-alpine", "debian:12", "${UNSET}/x:1"}, Stages: []string{"build", "", ""}, Args: []string{"IMAGE", "OS", "V"},
		}},
		"all ways to read an image": {"FROM scratch AS Empty\nFROM golang:1 AS build\nCOPY --from=empty /a /b\nCOPY --from=0 /a /b\nCOPY --from=busybox:1 /a /b\nRUN --mount=type=bind,from=alpine:3,target=/x --mount=type=cache,target=/y ls\nFROM BUILD\nCOPY --from=golang:1 /x /y\n", schema.Dockerfile{
			Bases: []string{"golang:1", "busybox:1", "alpine:3"}, Stages: []string{"empty", "build", ""},
		}},
		"a watchdog in shell form":               {"FROM a:1\nCMD exec /usr/bin/fwatchdog\n", schema.Dockerfile{Bases: []string{"a:1"}, Stages: []string{""}, BringsWatchdog: true}},
		"a watchdog behind an init":              {"FROM a:1\nENTRYPOINT [\"tini\", \"--\", \"fwatchdog\"]\n", schema.Dockerfile{Bases: []string{"a:1"}, Stages: []string{""}, BringsWatchdog: true}},
		"a watchdog in a stage below":            {"FROM a:1 AS base\nCOPY --from=w:1 /fwatchdog /usr/bin/\nFROM base\nCMD [\"./start\"]\n", schema.Dockerfile{Bases: []string{"a:1", "w:1"}, Stages: []string{"base", ""}, BringsWatchdog: true, Watchdog: "w:1"}},
		"a watchdog of the last stage of a name": {"FROM a:1 AS w\nFROM b:1 AS w\nFROM c:1\nCOPY --from=w /fwatchdog /usr/bin/\n", schema.Dockerfile{Bases: []string{"a:1", "b:1", "c:1"}, Stages: []string{"w", "w", ""}, BringsWatchdog: true, Watchdog: "b:1"}},
		"a watchdog in process":                  {"FROM a:1\nENV fprocess=\"\" mode=\"inproc\"\nCMD [\"./handler\"]\n", schema.Dockerfile{Bases: []string{"a:1"}, Stages: []string{""}, BringsWatchdog: true}},
		"a watchdog that is not shipped": {
			"FROM w:1 AS build\nCOPY --from=w:2 /fwatchdog /x/fwatchdog\nCMD [\"fwatchdog\"]\nFROM a:1\nCMD [\"cat\"]\n",
			schema.Dockerfile{Bases: []string{"w:1", "w:2", "a:1"}, Stages: []string{"build", ""}},
		},
		"lower case, old ENV, heredoc": {"from a:1\nenv mode http\nrun <<EOF\ncp a b\nEOF\n", schema.Dockerfile{Bases: []string{"a:1"}, Stages: []string{""}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := readDockerfile(t, c.text, nil).Summary()
			c.want.Path = "Dockerfile"
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadDockerfileErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"FROM a:1\n\nCOPPY x y\n":      "D:3: unknown instruction: COPPY (did you mean COPY?)",
		"FROM a:1\nRUN --nothing ls\n": "D:2: unknown flag: --nothing",
		"ARG A\n":                      "D:1: has no FROM",
		"RUN x\nFROM a\n":              "D:1: no build stage in current context",
		"":                             "D: file with no instructions",
		"FROM a\nCOPY <<EOF /x\nabc\n": "D:2: unterminated heredoc",
	} {
		_, err := ReadDockerfile("D", []byte(text), nil)
		var field *document.FieldError
		if !errors.As(err, &field) || err.Error() != want {
			t.Errorf("%q: the error is %v, not %s", text, err, want)
		}
	}
}

func FuzzReadDockerfile(f *testing.F) {
	for _, seed := range []string{openFaaSGo, "ARG A=$A\nFROM ${A:-$A}", "FROM a\nRUN --mount=from=$X,target=/x y", "FROM a\nONBUILD COPY a b", "# syntax=x\n# escape=`\nFROM a`\n b"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := ReadDockerfile("Dockerfile", data, nil)
		if err == nil && len(d.Summary().Stages) == 0 {
			t.Errorf("%q parses and has no stage", data)
		}
		var field *document.FieldError
		if err != nil && !errors.As(err, &field) {
			t.Errorf("the error is %#v", err)
		}
	})
}
