package containers_test

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/containers"
	"fnb/internal/fixture"
	"fnb/internal/terminal"
)

// talkTo runs a program that is talked to, and returns what it said and its exit code.
func talkTo(t *testing.T, c *builder.Client, req containers.Request, sizes <-chan terminal.Size) (string, int, error) {
	t.Helper()
	var out fixture.Buffer
	req.Stdout, req.Stderr = &out, &out
	r, err := containers.Run(t.Context(), c, req)
	if err != nil {
		return "", 0, err
	}
	t.Cleanup(r.Close)
	code, err := r.Attend(t.Context(), sizes)
	return out.String(), code, err
}

// Whoever talks to a program in an image has its output and its exit code.
func TestTalk(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	req := shell(t, "")
	req.Env = map[string]string{"GREETING": "hello"}
	req.Service.Talk = &containers.Talk{In: strings.NewReader("echo $GREETING\nexit 7\n")}
	if out, code, err := talkTo(t, c, req, nil); out != "hello\n" || code != 7 || err != nil {
		t.Errorf("a script: %q, %d, %v", out, code, err)
	}
	req.Service.Talk = &containers.Talk{Command: []string{"sh", "-c", "test ! -t 0 && exit 3"}}
	if out, code, err := talkTo(t, c, req, nil); code != 3 || err != nil {
		t.Errorf("without a terminal: %q, %d, %v", out, code, err)
	}
	sizes := make(chan terminal.Size, 1)
	sizes <- terminal.Size{Columns: 90, Rows: 20}
	req.Service.Talk = &containers.Talk{TTY: true, Term: "dumb", Command: []string{"sh", "-c", "test -t 0 && echo $TERM $$; exit 4"}}
	out, code, err := talkTo(t, c, req, sizes)
	if !strings.HasPrefix(out, "dumb ") || out == "dumb 1\r\n" || code != 4 || err != nil {
		t.Errorf("at a terminal: %q, %d, %v", out, code, err)
	}
}

// A program that somebody talks to has the ways out of the container and what the image says,
// and nothing of BuildKit's. Its exit code is told whatever else runs in the container.
func TestTalkRoutes(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	req := shell(t, "")
	req.Routes = []containers.Route{serving(t, "far", 8080, answering)}
	var mu sync.Mutex
	var unreached []string
	req.Unreached = func(u containers.Unreached) {
		mu.Lock()
		defer mu.Unlock()
		unreached = append(unreached, u.Name)
	}
	for code := range 3 {
		req.Service.Talk = &containers.Talk{Command: []string{"sh", "-c", "cat /etc/hosts; env; exit $0", strconv.Itoa(code)}}
		out, got, err := talkTo(t, c, req, nil)
		if got != code || err != nil || !strings.Contains(out, "127.102.1.1\tfar") || strings.Contains(out, "OTEL_") || strings.Contains(out, "TRACEPARENT") {
			t.Errorf("%d, not %d, %v:\n%s", got, code, err, out)
		}
	}
	req.Service.Talk = &containers.Talk{Command: []string{"sh", "-c", "kill -9 $$"}}
	if out, code, err := talkTo(t, c, req, nil); code != 137 || err != nil {
		t.Errorf("killed: %q, %d, %v", out, code, err)
	}
	for command, there := range map[string]bool{"none": false, "/none": false, "./f.sh/none": false, "/etc": true, "./f.sh": true} {
		req.Service.Talk = &containers.Talk{Command: []string{command}}
		out, _, err := talkTo(t, c, req, nil)
		if none, ok := errors.AsType[*containers.NoProgramError](err); !ok || none.There != there {
			t.Errorf("%s: %q, %v", command, out, err)
		}
	}
}

// In a stage a program has what the stage's last step had.
func TestTalkStage(t *testing.T) {
	t.Parallel()
	from := strings.TrimSuffix(buildertest.SmallBase(t), "\n")
	req := containers.Request{Name: "f", Tunnel: buildertest.BuiltWatchdog(t), Build: &builder.Request{
		Name: "f", Recipe: builder.Recipe{Target: "deps"}, Inputs: builder.Inputs{Secrets: map[string][]byte{"key": []byte("s3cret-key\n")}},
		Context: fixture.Files("Dockerfile", from+` AS base
RUN mkdir /from && echo from >/from/file
`+from+` AS deps
WORKDIR /work
ENV STAGE=deps
RUN --mount=type=bind,from=base,source=/from,target=/mnt --mount=type=secret,id=key --mount=type=cache,target=/cache echo kept >/cache/kept
ENV LATER=yes
FROM scratch
COPY --from=deps /work /
`),
	}}
	req.Service.Talk = &containers.Talk{Stage: true, Command: []string{"sh", "-c", "echo $(pwd) $STAGE $LATER $(cat /mnt/file /run/secrets/key /cache/kept)"}}
	if out, code, err := talkTo(t, buildertest.Stock(t), req, nil); out != "/work deps yes from s3cret-key kept\n" || code != 0 || err != nil {
		t.Errorf("%q, %d, %v", out, code, err)
	}
	req.Build.Target, req.Service.Talk.Stage, req.Service.Talk.Command = "", false, nil
	var none *containers.NoShellError
	if _, _, err := talkTo(t, buildertest.Stock(t), req, nil); !errors.As(err, &none) {
		t.Errorf("without a shell: %v", err)
	}
}
