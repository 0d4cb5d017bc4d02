package fleet_test

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/fleet"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// A rollout of all builders, in the middle of what they do: the selector finds the new ones, some of which have the old
// one's name. There is no cluster here.
func TestFleetRollout(t *testing.T) {
	k := newKube(t)
	first, second := k.start("pod-a"), k.start("pod-b")
	k.list("pod-a", "pod-b")
	f := fleetOf(t, fleet.Options{Builders: []builder.Options{{Address: "kube-pod://?selector=app=bk"}}, Patience: 20 * time.Second, Silence: 20 * time.Second})
	base := buildertest.SmallBase(t)
	begun := "sleep\x0014." + buildertest.SleepID(t)
	solve := func(name, step string) chan error {
		done := make(chan error, 1)
		go func() {
			_, err := f.Solve(t.Context(), builder.Request{Name: name, Affinity: name, Context: fixture.Files("Dockerfile", base+step)})
			done <- err
		}()
		return done
	}
	step := fmt.Sprintf("RUN test -e /bin && exec sleep 14.%s\n", buildertest.SleepID(t))
	both := []chan error{solve("one", step), solve("two", "RUN true\n"+step), solve("three", "RUN true && true\n"+step)}
	fixture.Eventually(t, 60*time.Second, "the builders are at work", func() bool { return processes(t, begun) == len(both) })
	for _, d := range []*servers.Buildkitd{first, second} {
		if err := syscall.Kill(d.Pid(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	k.start("pod-b") // as a stateful set's is
	k.start("pod-c")
	k.list("pod-b", "pod-c")
	for _, done := range both {
		if err := <-done; err != nil {
			t.Errorf("%T %v", err, err)
		}
	}
	if len(f.Lost()) == 0 {
		t.Error("nobody was lost")
	}
}

// Who finds nobody at first is told at once, and who finds nobody again after a while.
func TestFleetFindsNobody(t *testing.T) {
	newKube(t).list()
	f := fleetOf(t, fleet.Options{Builders: []builder.Options{{Address: "kube-pod://?selector=app=bk"}}, Renewal: time.Hour})
	_, err := f.Solve(t.Context(), builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\n")})
	if !errors.As(err, new(*fleet.NoneLeftError)) {
		t.Errorf("%T %v", err, err)
	}
}
