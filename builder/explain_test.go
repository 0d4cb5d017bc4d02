package builder_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/schema"
)

func TestSolveErrors(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	locked := servers.RegistryFor(t, servers.RegistryOptions{User: "u", Password: "p"})
	tests := []struct {
		name       string
		dockerfile string
		target     string
		line       int
		step       string // in Step
		problem    string // in Problem
		log        string // in Log
		denied     string
		unreached  string
	}{
		{name: "a missing COPY source", dockerfile: "FROM scratch\nCOPY missing /\n", line: 2, step: "COPY missing /", problem: `"/missing": not found`},
		{name: "a failing RUN", dockerfile: buildertest.Debian + "RUN echo before; sleep 0.3; echo to stderr >&2; exit 7\n", line: 2, step: "RUN echo before", problem: "exit code: 7", log: "before\nto stderr"},
		{name: "a failing RUN with two mounts of one stage", dockerfile: "FROM scratch AS files\nCOPY Dockerfile /\n" + buildertest.Debian + "RUN --mount=type=bind,from=files,target=/a --mount=type=bind,from=files,target=/b exit 7\n", step: "RUN exit 7", problem: "exit code: 7"},
		{name: "an unknown program", dockerfile: buildertest.Debian + "RUN [\"nosuch\"]\n", line: 2, problem: "nosuch"},
		{name: "an unknown instruction", dockerfile: "FROM scratch\n\nCOPPY a b\n", line: 3, problem: "unknown instruction: COPPY"},
		{name: "a bad flag", dockerfile: "FROM scratch\nCOPY --wrong=1 a b\n", line: 2, problem: "unknown flag: --wrong"},
		{name: "no FROM", dockerfile: "RUN true\n", line: 1, problem: "no build stage in current context"},
		{name: "an empty Dockerfile", dockerfile: "", problem: "the Dockerfile cannot be empty"},
		{name: "an unknown base image", dockerfile: "FROM " + buildertest.RegistryHost(t) + "/no/such:image\n", line: 1, problem: "pulling " + buildertest.RegistryHost(t) + "/no/such:image: not found"},
		{name: "an unauthorised base image", dockerfile: "FROM " + locked.Host + "/a/b:1\n", line: 1, problem: "pulling " + locked.Host + "/a/b:1: unexpected status from HEAD request to http://" + locked.Host + "/v2/a/b/manifests/1: 401 Unauthorized", denied: locked.Host},
		{name: "a registry that does not answer", dockerfile: "FROM 127.0.0.1:1/a/b:1\n", line: 1, problem: "connection refused", unreached: "127.0.0.1:1"},
		{name: "a registry of no address", dockerfile: "FROM nowhere.invalid/a/b:1\n", line: 1, problem: "nowhere.invalid", unreached: "nowhere.invalid"},
		{name: "an unknown target stage", dockerfile: "FROM scratch AS one\nCOPY Dockerfile /\n", target: "two", problem: `target stage "two" could not be found`},
		{name: "an unknown stage to copy from", dockerfile: "FROM scratch\nCOPY --from=nosuch:9 a b\n", line: 2, problem: "pulling docker.io/library/nosuch:9: not found"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := c.Solve(t.Context(), builder.Request{Name: "f", Context: fixture.Files("Dockerfile", tt.dockerfile), Recipe: builder.Recipe{Target: tt.target}})
			var se *builder.SolveError
			if !errors.As(err, &se) {
				t.Fatalf("got %T %v, want a *SolveError", err, err)
			}
			if se.Line != tt.line || !strings.Contains(se.Step, tt.step) || !strings.Contains(se.Problem, tt.problem) || strings.Contains(se.Problem, "rpc error") || strings.Contains(se.Problem, "failed to solve") {
				t.Errorf("got %q, step %q, line %d", se.Problem, se.Step, se.Line)
			}
			if se.Denied != tt.denied || se.Unreached != tt.unreached {
				t.Errorf("denied by %q, want %q; %q does not answer, want %q", se.Denied, tt.denied, se.Unreached, tt.unreached)
			}
			if !strings.Contains(strings.Join(se.Log, "\n"), tt.log) {
				t.Errorf("log %q does not have %q", se.Log, tt.log)
			}
		})
	}
}

// A step of a platform that the builder lacks says so; what is only copied
// needs no emulator.
func TestForeignPlatform(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	foreign := schema.Platform{OS: "linux", Architecture: "s390x"}
	if slices.Contains(c.Lists(), foreign.String()) {
		t.Skip("this machine emulates s390x")
	}
	req := builder.Request{
		Name: "f", Platforms: []schema.Platform{foreign, {OS: "linux", Architecture: "amd64"}},
		Context: fixture.Files("Dockerfile", "FROM scratch AS amd64\nCOPY sh /bin/sh\nFROM amd64 AS s390x\nRUN true\nFROM $TARGETARCH\n", "sh*", "\x7fELF\x02\x02\x01\x00 not for this machine"),
	}
	_, err := c.Solve(t.Context(), req)
	var se *builder.SolveError
	if !errors.As(err, &se) || se.Foreign != "linux/s390x" || !strings.Contains(err.Error(), "cannot run programs of linux/s390x") {
		t.Errorf("%T %v", err, err)
	}
}
