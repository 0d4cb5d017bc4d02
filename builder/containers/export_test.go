package containers

import (
	"io"

	gw "github.com/moby/buildkit/frontend/gateway/client"
)

const (
	TailLines = tailLines
	MostOut   = mostOut
)

// Tunnels is how many connections lead to the container.
func (r *Container) Tunnels() int { return r.tunnel.mux.Streams() }

// Process runs another process in the container, as bare as BuildKit does.
func (r *Container) Process(in io.ReadCloser, out io.WriteCloser, args ...string) error {
	proc, err := r.ctr.Start(r.life, gw.StartRequest{Args: args, Cwd: "/", Stdin: in, Stdout: out})
	if err != nil {
		return err
	}
	return proc.Wait()
}
