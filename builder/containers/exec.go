package containers

import (
	"context"
	"errors"
	"fmt"
	"slices"

	gw "github.com/moby/buildkit/frontend/gateway/client"

	"fnb/builder"
)

// notFound is the exit code with which the watchdog says that there is no such program.
const notFound = 127

// Exec runs a command in the container, as its process is run, and returns its exit code and
// the last lines that it wrote. It needs the tunnel's watchdog, and no shell in the image. It ends
// with the container; the end of ctx ends Exec only. A program that is not there is a [NoProgramError].
func (r *Container) Exec(ctx context.Context, args []string) (code int, output []string, err error) {
	said := tail{begun: make(chan struct{})}
	c := r.image.Config
	start := gw.StartRequest{
		Args: slices.Concat([]string{r.Program(), "exec"}, args), Env: r.env, User: c.User, Cwd: c.WorkingDir,
		Stdout: said.under(nil), Stderr: said.under(nil),
	}
	proc, err := r.ctr.Start(r.life, start)
	if err != nil {
		return 0, nil, fmt.Errorf("running %s in the container: %w", args[0], builder.WithoutGRPC(err))
	}
	done := make(chan error, 1)
	go func() { done <- proc.Wait() }()
	select {
	case <-ctx.Done():
		return 0, said.last(), ctx.Err()
	case <-r.gone:
		return 0, said.last(), r.goneError()
	case err = <-done:
	}
	output = said.last()
	if err == nil && len(output) == 0 {
		err = errors.New("it said nothing of its end")
	}
	if err == nil {
		_, err = fmt.Sscan(output[len(output)-1], &code)
	}
	if err != nil {
		return 0, output, fmt.Errorf("running %s in the container: %w", args[0], builder.WithoutGRPC(err))
	}
	if code == notFound { // which a shell that is there says as well, of what it runs
		if err := findProgram(ctx, r.ctr, args[0], start); err != nil {
			return 0, output, err
		}
	}
	return code, slices.DeleteFunc(output[:len(output)-1], func(line string) bool { return line == "" }), nil
}
