package rollout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"time"

	"fnb/internal/plain"
	"fnb/schema/deploy"
	"fnb/schema/words"
)

// manager is who has written the fields that are applied, as Kubernetes keeps it.
const manager = "fnb"

// ClusterOptions say which cluster is meant, and how it is spoken to.
type ClusterOptions struct {
	Context   string // of kubectl's settings; "" is the current one
	Namespace string // "" is that of the context
	Force     bool   // take over fields that others have written
}

// A Cluster is a Kubernetes that kubectl leads to, with the caller's credentials. It is a [Target].
type Cluster struct {
	opts     ClusterOptions
	platform deploy.Platform
	resource string // as kubectl names it
}

// NewCluster is a cluster, where functions run as a platform has them: kubernetes or knative.
func NewCluster(platform deploy.Platform, opts ClusterOptions) *Cluster {
	c := &Cluster{opts: opts, platform: platform, resource: "deployments.apps"}
	if c.knative() {
		c.resource = "services.serving.knative.dev"
	}
	return c
}

func (c *Cluster) knative() bool { return c.platform.Name == "knative" }

// manifests are those of a function.
func (c *Cluster) manifests(f deploy.Function) ([]byte, []string, error) {
	part, err := c.platform.Write(f)
	if err != nil {
		return nil, nil, err
	}
	raw, err := c.platform.Join("", part)
	return raw, part.Notes, err
}

// Find implements [Target].
func (c *Cluster) Find(ctx context.Context, name string) (State, error) {
	out, _, err := c.kubectl(ctx, nil, "get", c.resource, name, "--ignore-not-found", "--output=json")
	if err != nil || len(bytes.TrimSpace(out)) == 0 {
		return State{}, err
	}
	var got object
	if err := json.Unmarshal(out, &got); err != nil {
		return State{}, fmt.Errorf("reading what kubectl says of %s: %w", name, err)
	}
	return State{There: true, Image: got.image(), Previous: got.Metadata.Annotations[words.AnnotationPrevious]}, nil
}

// Apply implements [Target].
func (c *Cluster) Apply(ctx context.Context, f deploy.Function) ([]string, error) {
	raw, notes, err := c.manifests(f)
	if err != nil {
		return nil, err
	}
	args := []string{"apply", "--server-side", "--field-manager=" + manager, "--filename=-"}
	if c.opts.Force {
		args = append(args, "--force-conflicts")
	}
	_, said, err := c.kubectl(ctx, raw, args...)
	if err != nil {
		return notes, err
	}
	for line := range strings.Lines(said) {
		if text, ok := strings.CutPrefix(strings.TrimSpace(line), "Warning: "); ok {
			notes = append(notes, text)
		}
	}
	return notes, nil
}

// Diff implements [Target].
func (c *Cluster) Diff(ctx context.Context, f deploy.Function) (string, error) {
	raw, _, err := c.manifests(f)
	if err != nil {
		return "", err
	}
	args := []string{"diff", "--server-side", "--field-manager=" + manager, "--filename=-"}
	if c.opts.Force {
		args = append(args, "--force-conflicts")
	}
	out, _, err := c.kubectl(ctx, raw, args...)
	if d, ok := errors.AsType[*differs](err); ok {
		return d.text, nil
	}
	return string(out), err
}

// differs is how kubectl diff ends if there are differences.
type differs struct{ text string }

func (*differs) Error() string { return "there are differences" }

// said is how much of what kubectl complains about is kept.
const mostSaid = 16 << 10

// byAnother is the exit code of a program that a signal has ended, and sameSignal how long fnb takes at most to hear of the same one.
const (
	byAnother  = -1
	sameSignal = 500 * time.Millisecond
)

// kubectl has kubectl do something, and returns what it wrote and what it said.
func (c *Cluster) kubectl(ctx context.Context, stdin []byte, args ...string) (out []byte, said string, err error) {
	verb := args[0]
	args = append(slices.Clone(args), "--request-timeout="+answerTime.String())
	if c.opts.Context != "" {
		args = append(args, "--context="+c.opts.Context)
	}
	if c.opts.Namespace != "" {
		args = append(args, "--namespace="+c.opts.Namespace)
	}
	cmd := exec.CommandContext(ctx, "kubectl", args...) //nolint:gosec // words of a flag each
	cmd.WaitDelay = time.Second
	if stdin != nil {
		cmd.Stdin = bytes.NewReader(stdin)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	asked := time.Now()
	err = cmd.Run()
	said = stderr.String()
	said = said[:min(len(said), mostSaid)]
	exit, ended := errors.AsType[*exec.ExitError](err)
	if ended && exit.ExitCode() == byAnother {
		select { // Ctrl-C in a terminal reaches kubectl as soon as fnb
		case <-ctx.Done():
		case <-time.After(sameSignal):
		}
	}
	switch {
	case err == nil:
		return stdout.Bytes(), said, nil
	case ctx.Err() != nil:
		err := unanswered(ctx, "kubectl", asked)
		if e, ok := errors.AsType[*Error](err); ok {
			e.adds(said)
		}
		return nil, said, err
	case errors.Is(err, exec.ErrNotFound):
		return nil, "", &Error{Kind: NoProgram, Subject: "kubectl", Text: "kubectl is not on PATH"}
	case verb == "diff" && ended && exit.ExitCode() == 1 && stdout.Len() > 0:
		return nil, said, &differs{stdout.String()}
	case strings.Contains(stdout.String(), "enter Username:"):
		return nil, said, &Error{Kind: Credentials, Text: "kubectl has no credentials for the cluster"}
	case strings.TrimSpace(said) == "":
		return stdout.Bytes(), said, fmt.Errorf("kubectl %s: %w", verb, err)
	}
	return stdout.Bytes(), said, complaint(said)
}

// adds has an error tell what kubectl said too, and be of its kind.
func (e *Error) adds(said string) {
	c := complaint(said)
	if c.Kind != Other {
		e.Kind, e.Subject = c.Kind, c.Subject
	}
	_ = e.with(strings.TrimPrefix(c.Text, "kubectl: ")) // it is e
}

// complaint is what kubectl said, in one line, with why.
func complaint(said string) *Error {
	said, _, _ = strings.Cut(said, "\nPlease review the fields above") // where to look was asked of nobody
	lines := plain.Complaint(said)
	if urgent := slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return strings.HasPrefix(line, "Warning: ") }); len(urgent) > 0 {
		lines = urgent
	}
	text := strings.Join(lines[:min(len(lines), 6)], "; ")
	kind, subject := Cause(text)
	return &Error{Kind: kind, Subject: subject, Text: "kubectl: " + text}
}
