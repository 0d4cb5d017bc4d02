package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/servers"
	"fnb/internal/servers/emulation"
)

// hasEmulation is the condition "emulation". It is long work, so that it is done only where FNB_REQUIRE names it.
func hasEmulation() (bool, error) {
	if !servers.Required("emulation") {
		return false, nil
	}
	return true, emulation.Fetch(context.Background())
}

// An emulated is where programs of another platform run: the fnb of its rig, and the builder of that, are in a room.
type emulated struct {
	*rig
	version string
}

// emulatedRig is shared by all tests that want it.
var emulatedRig = sync.OnceValues(startEmulated) //nolint:gochecknoglobals // as shared

// startEmulated has base images of the official templates with the programs of both platforms.
func startEmulated() (*emulated, error) {
	ctx := context.Background()
	if ok, err := hasEmulation(); !ok || err != nil {
		return nil, cmp.Or(err, errors.New("it is long work, which is done by: make test-emulation"))
	}
	r, err := shared()
	if err != nil {
		return nil, err
	}
	bases, err := servers.StartBases(ctx, servers.BasesOptions{Emulated: []string{emulation.Architecture}, Only: servers.TemplateBases()})
	if err != nil {
		return nil, err
	}
	stops = append(stops, func() { _ = bases.Close() })
	room, err := emulation.Start(ctx)
	if err != nil {
		return nil, err
	}
	stops = append(stops, func() { _ = room.Close() })
	e := &rig{registry: r.registry, mirrors: bases.Mirrors, config: filepath.Join(filepath.Dir(r.config), "emulation.yaml")}
	if err := writeSettings(e.config, mirrorLists(bases.Mirrors, r.mirrors), r.registry.Host); err != nil {
		return nil, err
	}
	if e.bin, err = room.Client(filepath.Join(r.bin, "fnb")); err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	// As with the builder of all other tests, a second run is quick.
	e.builder = filepath.Join(cache, "fnb-tests", cmp.Or(os.Getenv("FNB_TEST_BUILDER"), "builder")+"-emulation")
	stops = append(stops, func() {
		stop := exec.Command(filepath.Join(e.bin, "fnb"), "builder", "stop")
		stop.Env = append(os.Environ(), "FNB_BUILDER_ROOT="+e.builder, "FNB_CONFIG="+e.config)
		_ = stop.Run() // the room ends it, too
	})
	return &emulated{rig: e, version: room.Version()}, nil
}

// platforms are this machine's and the one that is emulated.
func (e *emulated) platforms() string {
	all := []string{"linux/" + runtime.GOARCH, "linux/" + emulation.Architecture}
	slices.Sort(all)
	return strings.Join(all, ",")
}

// emulatedNames are the official templates whose starters are tested: all, or those whose steps are short there.
func emulatedNames(t *testing.T) []string {
	t.Helper()
	if os.Getenv("FNB_TEST_EMULATION") == "all" {
		return officialNames(t)
	}
	return []string{"command", "dockerfile", "go", "node", "python3"}
}

// TestEmulation holds the starters of official templates to the contract on the platform that is emulated, where their RUN steps and
// their own tests run. On both platforms a rebased image is what a build gives.
func TestEmulation(t *testing.T) {
	t.Parallel()
	e, err := emulatedRig()
	servers.Require(t, "emulation", err)
	for _, name := range emulatedNames(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, e.rig, "FNB_PREFIX="+e.registry.Host+"/emulated")
			u.run("new", name, "--lang", name, "--quiet")
			u.run("test", name, "--platform", "linux/"+emulation.Architecture, "--timeout", "2m", "--progress", "plain")
			checkRebase(t, e.rig, u, e.platforms())
		})
	}
}

// cmdEmulation has a script build for a platform that is not this machine's.
//
//	emulation bases        leads fnb to base images that have that platform's programs, and to a builder of its own
//	emulation room         has fnb, and a builder that tests share, run where such programs run
//	emulation version      prints which programs such programs are handed to
func cmdEmulation(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: emulation bases|room|version")
	}
	e, err := emulatedRig()
	ts.Check(err)
	switch args[0] {
	case "bases":
		ts.Setenv("FNB_CONFIG", e.config)
		ts.Setenv("FNB_BUILDER_ROOT", filepath.Join(ts.Getenv("WORK"), "builder"))
	case "room":
		ts.Setenv("PATH", e.bin+string(os.PathListSeparator)+ts.Getenv("PATH"))
		ts.Setenv("FNB_BUILDER_ROOT", e.builder)
	case "version":
		_, err := fmt.Fprintln(ts.Stdout(), e.version)
		ts.Check(err)
	default:
		ts.Fatalf("emulation %s: no such command", args[0])
	}
}
