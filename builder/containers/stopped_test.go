package containers_test

import (
	"syscall"
	"testing"
	"time"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/containers"
	"fnb/internal/servers"
)

// A builder that answers nothing any more holds up nobody who wants to be done with a container.
func TestCloseOfSilentBuilder(t *testing.T) {
	t.Parallel()
	d := servers.BuildkitdFor(t, servers.BuildkitdOptions{})
	c := buildertest.Connect(t, builder.Options{Address: d.Address, Silence: time.Hour})
	r, err := containers.Run(t.Context(), c, shell(t, "exec sleep 600\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(d.Pid(), syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Kill(d.Pid(), syscall.SIGCONT) })
	closed := make(chan struct{})
	go func() {
		r.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(2 * time.Minute):
		t.Error("it waits for a builder that is silent")
	}
}
