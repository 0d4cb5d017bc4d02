package fleet

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/builder"
)

// The first setting that names a builder counts.
func TestNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ flag, environment, file, address, by string }{
		{"", "", "", "", ""},
		{"unix:///a", "unix:///b", "unix:///c", "unix:///a", "flag"},
		{"", "unix:///b", "unix:///c", "unix:///b", "environment"},
		{"", "", "unix:///c", "unix:///c", "file"},
	} {
		c := Choice{Settings: []Setting{{"flag", tt.flag}, {"environment", tt.environment}, {"file", tt.file}}}
		if address, by := c.Named(); address != tt.address || by != tt.by {
			t.Errorf("%+v: %q by %q", tt, address, by)
		}
	}
}

func choiceOf(address string) Choice {
	return Choice{Settings: []Setting{{By: "the test", Address: address}}}
}

func TestParallelism(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]int{
		"":                               6,
		"unix:///a":                      6,
		"unix:///a,unix:///a":            6, // one, named twice
		"unix:///a,unix:///b":            8,
		"unix:///a,unix:///b,unix:///c":  12,
		"kube-pod://?selector=app=b":     16,
		"kube-pod://pod":                 6,
		"gopher://a,unix:///b,unix:///c": 6, // who connects says what is wrong
	} {
		c := choiceOf(address)
		if got := c.Parallelism(6); got != want {
			t.Errorf("%q: %d, want %d", address, got, want)
		}
		if several := c.Several(); several != (want > 6) {
			t.Errorf("%q is several: %t", address, several)
		}
	}
	if got := choiceOf("unix:///a,unix:///b").Parallelism(32); got != 32 {
		t.Errorf("many processors: %d", got)
	}
}

// What is wrong with an address is said by whatever connects, and so is which setting
// names a builder that does not answer.
func TestFindErrors(t *testing.T) {
	t.Parallel()
	finders := map[string]func(Choice) error{
		"Find":    func(c Choice) error { _, err := Find(t.Context(), c); return err },
		"FindOne": func(c Choice) error { _, err := FindOne(t.Context(), c); return err },
		"FindAll": func(c Choice) error { _, err := FindAll(t.Context(), c); return err },
		"Inspect": func(c Choice) error { _, err := Inspect(t.Context(), c); return err },
		"Prune":   func(c Choice) error { _, err := Prune(t.Context(), c); return err },
	}
	for name, find := range finders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var address *builder.AddressError
			if err := find(choiceOf("gopher://a")); !errors.As(err, &address) {
				t.Errorf("a wrong address: %T %v", err, err)
			}
			if err := find(choiceOf("tcp://192.0.2.1:1234")); !errors.As(err, new(*builder.PlaintextError)) {
				t.Errorf("clear text: %T %v", err, err)
			}
			for _, list := range []string{"unix:///no/such", "unix:///no/such,unix:///neither"} {
				err := find(choiceOf(list))
				if !errors.As(err, new(*builder.UnreachableError)) || !strings.Contains(err.Error(), "/no/such") {
					t.Errorf("%s: %T %v", list, err, err)
				}
				if name != "Prune" && name != "Inspect" && !strings.Contains(err.Error(), " of the test: ") {
					t.Errorf("%s does not say who names it: %v", list, err)
				}
			}
		})
	}
}

// Where no setting names a builder the managed one is started, once for each who asks.
func TestFindManaged(t *testing.T) {
	t.Parallel()
	asked := 0
	want := errors.New("it does not start")
	c := choiceOf("")
	c.Managed = func(context.Context) (*builder.Client, error) { asked++; return nil, want }
	for range 2 {
		if b, err := Find(t.Context(), c); !errors.Is(err, want) || b != nil {
			t.Errorf("%v %v", b, err)
		}
	}
	if asked != 2 {
		t.Errorf("it was asked for %d times", asked)
	}
	c.Settings[0].Address = "unix:///no/such"
	if _, err := Find(t.Context(), c); errors.Is(err, want) {
		t.Error("the managed builder was started beside one that is named")
	}
}

func TestRunning(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "fnb-find-") //nolint:usetesting // a test's own folder is too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	first, second, file := filepath.Join(dir, "1"), filepath.Join(dir, "2"), filepath.Join(dir, "file")
	sockets := []socket{{file, "unix://"}, {first, "unix://"}, {second, "docker://"}}
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := running(sockets); got != "" {
		t.Errorf("without a socket: %s", got)
	}
	for path, want := range map[string]string{second: "docker://" + second, first: "unix://" + first} {
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
		if err != nil {
			t.Fatal(err)
		}
		if got := running(sockets); got != want {
			t.Errorf("with %s: %s", path, got)
		}
		_ = l.Close()
	}
	if err := error(&NoBuilderError{}); !errors.As(err, new(*builder.UnreachableError)) {
		t.Errorf("no builder at all: %v", err)
	}
}

// If nothing is named and nothing is started, the Docker Engine that docker itself uses is the builder.
func TestDockersOwn(t *testing.T) {
	t.Setenv("DOCKER_HOST", "unix:///run/user/1/docker.sock")
	if all := usualSockets(); all[len(all)-1] != (socket{"/run/user/1/docker.sock", "docker://"}) {
		t.Errorf("of DOCKER_HOST: %v", all)
	}
	t.Setenv("DOCKER_HOST", "ssh://a@b")
	if all := usualSockets(); running(all[len(all)-1:]) != "" {
		t.Errorf("of another machine: %v", all)
	}
}

// A builder that cannot be reached is asked once, and its error is everybody's.
func TestOnDemand(t *testing.T) {
	t.Parallel()
	lost := 0
	b := NewOnDemand(choiceOf("unix:///no/such"), t.TempDir())
	b.Lost = func() { lost++ }
	if b.Err() != nil {
		t.Error("nobody has asked yet:", b.Err())
	}
	_, first := b.Get(t.Context())
	_, second := b.Get(t.Context())
	if first == nil || first != second || b.Err() != first || lost != 1 { //nolint:errorlint // the same error
		t.Errorf("%v, then %v; lost %d times", first, second, lost)
	}
	b.Close()
	b.Close()
}

// A builder's platform is known for a day without asking it.
func TestOnDemandPlatform(t *testing.T) {
	t.Parallel()
	b := NewOnDemand(choiceOf("unix:///no/such"), t.TempDir())
	if _, err := b.Platform(t.Context()); err == nil {
		t.Error("the platform of a builder that nobody reached")
	}
	b = NewOnDemand(choiceOf("unix:///no/such"), t.TempDir())
	_, file := b.remembered()
	if err := os.WriteFile(file, []byte("linux/arm64\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := b.Platform(t.Context()); err != nil || p.String() != "linux/arm64" {
		t.Errorf("remembered: %s %v", p, err)
	}
	old := time.Now().Add(-25 * time.Hour)
	if err := os.Chtimes(file, old, old); err != nil {
		t.Fatal(err)
	}
	if p, err := b.Platform(t.Context()); err == nil {
		t.Errorf("remembered for more than a day: %s", p)
	}
	if p, err := NewOnDemand(choiceOf(""), t.TempDir()).Platform(t.Context()); err != nil || p != ownPlatform() {
		t.Errorf("of this machine: %s %v", p, err)
	}
}
