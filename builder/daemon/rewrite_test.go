package daemon_test

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// TestRewriteOnce has the managed builder export a large layer, and then again
// with another handler on top of it: the layer is not compressed anew, and the
// images are the same as a stock daemon's, which does all of it each time.
func TestRewriteOnce(t *testing.T) {
	t.Parallel()
	m := buildertest.NewManaged(t, buildertest.Mirrors(t))
	own, other := buildertest.StartManaged(t, m), buildertest.Stock(t)
	pid := buildertest.State(t, m).PID
	request := func(large, handler string, out builder.Output) builder.Request {
		return builder.Request{Name: "large", Output: out, Context: fixture.Files("handler", handler, "Dockerfile", buildertest.Debian+
			"RUN seq 1 2000000 > /"+large+" && touch -d 2001-02-03 /old\nCOPY handler /\nWORKDIR /home/app\n")}
	}
	for _, target := range []struct {
		name string
		out  func() builder.Output
	}{
		{"store", func() builder.Output { return builder.Output{Store: t.TempDir()} }},
		{"push", func() builder.Output {
			return builder.Output{Push: []string{buildertest.RegistryHost(t) + "/rewrite/large:1"}}
		}},
	} {
		var spent [2]int
		for i, handler := range []string{"one", "other"} {
			handler += " to " + target.name
			before := cpu(t, pid)
			got := buildertest.Solve(t, own, request(target.name, handler, target.out()))
			spent[i] = cpu(t, pid) - before
			if want := buildertest.Solve(t, other, request(target.name, handler, target.out())); got.Digest != want.Digest {
				t.Errorf("%s: %s with fnb's own builder, %s with a stock one", handler, got.Digest, want.Digest)
			}
		}
		t.Logf("%s: the builder spent %d and %d ticks", target.name, spent[0], spent[1])
		if spent[1]*2 > spent[0] {
			t.Errorf("%s: the builder spent %d ticks on the first image, %d on one with the same large layer", target.name, spent[0], spent[1])
		}
	}
}

// TestPushed has the managed builder say what a push sent: all layers to an empty
// registry, then the one that changed, then nothing.
func TestPushed(t *testing.T) {
	t.Parallel()
	own := buildertest.StartManaged(t, buildertest.NewManaged(t, buildertest.Mirrors(t)))
	ref := servers.RegistryFor(t, servers.RegistryOptions{}).Host + "/pushed/f:1"
	var known []ocispecs.Descriptor
	for _, handler := range []string{"one", "two", "two"} {
		res := buildertest.Solve(t, own, builder.Request{
			Name: "f", Context: fixture.Files("handler", handler, "Dockerfile", buildertest.Debian+"RUN seq 1 100000 > /x\nCOPY handler /\n"), Output: builder.Output{Push: []string{ref}},
		})
		var m ocispecs.Manifest
		if err := json.Unmarshal(res.Manifest, &m); err != nil {
			t.Fatal(err)
		}
		var want int64
		for _, l := range m.Layers {
			if !slices.ContainsFunc(known, func(k ocispecs.Descriptor) bool { return k.Digest == l.Digest }) {
				want += l.Size
			}
		}
		if known = m.Layers; res.Pushed != want {
			t.Errorf("handler %s: %d bytes were pushed, want %d", handler, res.Pushed, want)
		}
	}
}

// cpu is the time of processors that a process has spent so far, in the kernel's
// ticks.
func cpu(t *testing.T, pid int) int {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	fields := strings.Fields(string(raw)[strings.LastIndexByte(string(raw), ')')+1:])
	total := 0
	for _, f := range fields[11:13] {
		n, err := strconv.Atoi(f)
		if err != nil {
			t.Fatal(err)
		}
		total += n
	}
	return total
}
