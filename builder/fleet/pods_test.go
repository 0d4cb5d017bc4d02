package fleet_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"fnb/builder"
	"fnb/builder/fleet"
	"fnb/internal/fixture"
)

// A selector is a fleet. There is no cluster here: the list is a recorded one.
func TestKubernetesFleet(t *testing.T) {
	k := newKube(t)
	k.found(fixture.Read(t, "..", "testdata/pods.json"))
	k.start("buildkitd-0")
	k.start("buildkitd-2")
	nodes, err := builder.ParseAddresses("kube-pod://?selector=app=buildkitd,tier=ci&namespace=build&container=buildkitd&context=prod", builder.Options{})
	if err != nil {
		t.Fatal(err)
	}
	f := fleetOf(t, fleet.Options{Builders: nodes, Patience: 20 * time.Second})
	made := map[string]bool{}
	for i := range 8 {
		res, err := f.Solve(t.Context(), builder.Request{Name: fmt.Sprint("f", i), Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY Dockerfile /\n")})
		if err != nil {
			t.Fatal(err)
		}
		made[res.Builders[0]] = true
	}
	if want := "kube-pod://buildkitd-0?container=buildkitd&context=prod&namespace=build"; len(made) != 2 || !made[want] {
		t.Errorf("made by %v", made)
	}
	log := k.log()
	for _, want := range []string{
		"get pods --selector=app=buildkitd,tier=ci --output=json --namespace=build --context=prod\n",
		"--context=prod --namespace=build exec --container=buildkitd -i buildkitd-2 -- buildctl dial-stdio\n",
	} {
		if !strings.Contains(log, want) {
			t.Errorf("kubectl was not called with %s, only with\n%s", want, log)
		}
	}

	// What kubectl says is what is said of the selector.
	for text, want := range map[string]string{
		"echo 'error: You must be logged in to the server' >&2\nexit 1\n": "kubectl: error: You must be logged in to the server",
		"exit 3\n":                "kubectl: exit status 3",
		"echo '{\"items\":[]}'\n": "of 0 pods with app=buildkitd,tier=ci none is ready",
	} {
		k.script(text)
		_, err := fleetOf(t, fleet.Options{Builders: nodes}).Solve(t.Context(), builder.Request{Name: "f", Context: fixture.Files("Dockerfile", "FROM scratch\n")})
		if !errors.As(err, new(*fleet.NoneLeftError)) || !errors.As(err, new(*builder.UnreachableError)) || !strings.Contains(err.Error(), want) {
			t.Errorf("%T %v", err, err)
		}
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := builder.Expand(t.Context(), nodes); err == nil || !strings.Contains(err.Error(), "kubectl is not on PATH") {
		t.Errorf("%T %v", err, err)
	}
}
