package buildertest

import (
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"fnb/builder"
	"fnb/builder/display"
	"fnb/builder/managed"
	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// NewManaged describes a managed builder in a temporary folder, whose program is
// this test.
func NewManaged(t *testing.T, mirrors map[string]string, flags ...string) managed.Builder {
	t.Helper()
	servers.Require(t, "buildkit", Needs())
	dir, err := os.MkdirTemp("", "fnb-builder-") //nolint:usetesting // a test's own folder is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { RemoveState(t, dir) })
	m := managed.Builder{Root: filepath.Join(dir, "root"), Socket: filepath.Join(dir, "run", "fnb", "b.sock"), Identity: "one"}
	return Again(t, m, m.Identity, mirrors, flags...)
}

// Again is a builder with another identity.
func Again(t *testing.T, m managed.Builder, identity string, mirrors map[string]string, flags ...string) managed.Builder {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var pairs []string
	for _, host := range slices.Sorted(maps.Keys(mirrors)) {
		pairs = append(pairs, host+"="+mirrors[host])
	}
	m.Identity = identity
	m.Command = append([]string{
		exe, serveCommand, "-root=" + m.Root, "-socket=" + m.Socket,
		"-identity=" + identity, "-mirrors=" + strings.Join(pairs, ","),
	}, flags...)
	return m
}

// Needs says what is missing to have a builder.
func Needs() error {
	if os.Geteuid() != 0 {
		return errors.New("it needs root here")
	}
	for _, name := range []string{"runc", "crun"} {
		if _, err := managed.LookPath(name); err == nil {
			return nil
		}
	}
	return errors.New("neither runc nor crun is installed")
}

// RemoveState removes a builder's folder.
func RemoveState(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
}

// Start starts a managed builder, and stops it at the end.
func Start(t *testing.T, m managed.Builder) {
	t.Helper()
	t.Cleanup(func() {
		if err := m.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
		log, err := os.ReadFile(filepath.Join(m.Root, "builder.log"))
		if err != nil {
			return // it never started
		}
		for _, race := range Races(string(log)) {
			t.Error(race)
		}
	})
	address, err := m.Start(t.Context())
	if err != nil {
		var ue *builder.UnreachableError
		if errors.As(err, &ue) {
			t.Log(strings.Join(ue.Log, "\n"))
		}
		t.Fatal(err)
	}
	if address != m.Address() {
		t.Errorf("started at %s, want %s", address, m.Address())
	}
}

// Races are the reports of the race detector in a builder's log where fnb's own code makes one of
// the two accesses. BuildKit has races of its own, such as that of util/pull's resolver with its
// provider, which nothing here can mend, whoever called it.
func Races(log string) []string {
	var ours []string
	for report := range strings.SplitSeq(log, "==================\n") {
		accesses, _, _ := strings.Cut(report, "\nGoroutine ")
		if strings.HasPrefix(report, "WARNING: DATA RACE") && slices.ContainsFunc(strings.Split(accesses, "\n\n"), isOurs) {
			ours = append(ours, report)
		}
	}
	return ours
}

// isOurs reports whether an access is made by fnb's code, itself or through the standard library.
func isOurs(access string) bool {
	for line := range strings.Lines(access) {
		frame, ok := strings.CutPrefix(line, "  ")
		if !ok || strings.HasPrefix(frame, " ") { // what is done, or where a frame is
			continue
		}
		if first, _, _ := strings.Cut(frame, "/"); first == "fnb" || strings.Contains(frame, "/") && strings.Contains(first, ".") {
			return first == "fnb"
		}
	}
	return false
}

// StartManaged starts a managed builder, and is a client of it.
func StartManaged(t *testing.T, m managed.Builder) *builder.Client {
	t.Helper()
	Start(t, m)
	return Connect(t, builder.Options{Address: m.Address()})
}

// State is what is known of a builder.
func State(t *testing.T, m managed.Builder) managed.State {
	t.Helper()
	s, err := m.State()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Sleepy solves a step that says "sleeping" and sleeps.
func Sleepy(ctx context.Context, t *testing.T, c *builder.Client, out *fixture.Buffer) error {
	p, err := display.New(out, "plain", false)
	if err != nil {
		return err
	}
	defer p.Close()
	_, err = c.Solve(ctx, builder.Request{
		Name: "sleepy", Progress: p, Recipe: builder.Recipe{NoCache: true}, Output: builder.Output{Store: t.TempDir()}, Inputs: builder.Inputs{Secrets: map[string][]byte{"token": []byte("hidden")}},
		Context: fixture.Files("Dockerfile", SmallBase(t)+"COPY id /id\nRUN --mount=type=secret,id=token echo sleep\"\"ing; exec sleep 1234.$(cat /id)\n", "id", SleepID(t)),
	})
	return err
}

// SleepID tells the sleeping processes of the tests apart.
func SleepID(t *testing.T) string {
	t.Helper()
	id := ""
	for _, r := range t.Name() {
		id += string('0' + r%10)
	}
	return id
}

// sleepers are the processes of this test's steps.
func sleepers(t *testing.T) []int {
	t.Helper()
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for _, p := range paths {
		if raw, err := os.ReadFile(p); err == nil && string(raw) == "sleep\x001234."+SleepID(t)+"\x00" {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(p)))
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// Sleeps reports whether a step of this test sleeps.
func Sleeps(t *testing.T) bool { t.Helper(); return len(sleepers(t)) > 0 }
