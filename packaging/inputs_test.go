package packaging

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/schema"
)

// TestInputs says what is an input and what is none.
func TestInputs(t *testing.T) {
	t.Parallel()
	amd := schema.Platform{OS: "linux", Architecture: "amd64"}
	base := func() (Input, Settings) {
		root := files(t, map[string]string{"hello/handler.x": "text", "hello/run": "#!text", "common/x": "x", "secret": "s"})
		fn := function()
		fn.BuildSecrets = map[string]string{"npmrc": "./secret"}
		return Input{Function: fn, Template: plainTemplate(t), Root: root, Watchdog: "none", BuildArgs: map[string]string{"A": "1"}},
			Settings{Platforms: []schema.Platform{amd}, Bases: map[string]string{"docker.io/library/debian:bookworm-slim": "sha256:1"}, Labels: map[string]string{"team": "a"}}
	}
	digest := func(in Input, s Settings) string {
		c, err := Assemble(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		maps.Copy(c.Config.Labels, s.Labels)
		s.Labels = c.Config.Labels
		inputs, err := c.Inputs(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range inputs {
			if strings.Contains(e.Value, "secret-value") {
				t.Errorf("%s holds a secret: %s", e.Name, e.Value)
			}
		}
		return inputs.Digest()
	}
	in, s := base()
	want := digest(in, s)
	for name, c := range map[string]struct {
		equal  bool
		change func(*Input, *Settings)
	}{
		"nothing":            {true, func(*Input, *Settings) {}},
		"times and modes":    {true, func(in *Input, _ *Settings) { touch(t, filepath.Join(in.Root, "hello/handler.x")) }},
		"a given revision":   {false, func(_ *Input, s *Settings) { s.Labels["org.opencontainers.image.revision"] = "x" }},
		"a given source":     {false, func(_ *Input, s *Settings) { s.Labels["org.opencontainers.image.source"] = "x" }},
		"a secret's value":   {true, func(in *Input, _ *Settings) { write(t, in.Root, "secret", "secret-value") }},
		"a file outside":     {true, func(in *Input, _ *Settings) { write(t, in.Root, "common/y", "y") }},
		"a file":             {false, func(in *Input, _ *Settings) { write(t, in.Root, "hello/handler.x", "TEXT") }},
		"a new file":         {false, func(in *Input, _ *Settings) { write(t, in.Root, "hello/other", "") }},
		"a name":             {false, func(in *Input, _ *Settings) { rename(t, in.Root, "hello/handler.x", "hello/handler.y") }},
		"a mode that counts": {false, func(in *Input, _ *Settings) { chmod(t, in.Root, "hello/handler.x", 0o700) }},
		"a copied folder":    {false, func(in *Input, _ *Settings) { in.Copy = []string{"common"} }},
		"a build arg":        {false, func(in *Input, _ *Settings) { in.BuildArgs["A"] = "2" }},
		"a build option":     {false, func(in *Input, _ *Settings) { in.BuildOptions = []string{"dev"} }},
		"the process":        {false, func(in *Input, _ *Settings) { in.Function.FProcess = "./other" }},
		"the template": {false, func(in *Input, _ *Settings) {
			in.Template = template(t, map[string]string{"template.yml": "fprocess: ./run\n", "Dockerfile": "FROM scratch\n"})
		}},
		"the watchdog": {false, func(in *Input, _ *Settings) { in.Watchdog = "example.org/watchdog:1" }},
		"the platform": {false, func(_ *Input, s *Settings) {
			s.Platforms = append(s.Platforms, schema.Platform{OS: "linux", Architecture: "arm64"})
		}},
		"the target":          {false, func(_ *Input, s *Settings) { s.Target = "small" }},
		"the base image":      {false, func(_ *Input, s *Settings) { s.Bases["docker.io/library/debian:bookworm-slim"] = "sha256:2" }},
		"a label":             {false, func(_ *Input, s *Settings) { s.Labels["team"] = "b" }},
		"the epoch":           {false, func(_ *Input, s *Settings) { s.Epoch = 7 }},
		"the id of a secret":  {false, func(_ *Input, s *Settings) { s.Secrets = []string{"token"} }},
		"the id of an agent":  {false, func(_ *Input, s *Settings) { s.SSH = []string{"default"} }},
		"names that run over": {false, func(_ *Input, s *Settings) { s.Labels = map[string]string{"team\" \"a\"\n\"x": "a"} }},
	} {
		in, s := base()
		c.change(&in, &s)
		if got := digest(in, s); (got == want) != c.equal {
			t.Errorf("%s: equal is %v, want %v", name, got == want, c.equal)
		}
	}
}

func TestInputsSince(t *testing.T) {
	t.Parallel()
	now := Inputs{{"a", "1"}, {"b", "2"}, {"c", "3"}}
	var got []string
	for _, c := range now.Since(Inputs{{"a", "1"}, {"b", "0"}, {"d", ""}}) {
		got = append(got, c.How+" "+c.Name)
	}
	if text := strings.Join(got, ", "); text != "changed b, added c, removed d" {
		t.Error(text)
	}
	if d := now.Since(now); d != nil {
		t.Errorf("nothing changed, and yet %v", d)
	}
}

// TestStatCache checks that only what may have changed is read.
func TestStatCache(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{"hello/old": "1111", "hello/new": "2222"})
	dir := t.TempDir()
	assemble := func(at time.Time) (string, *StatCache) {
		t.Helper()
		stats := OpenStatCache(dir, root)
		stats.now = func() time.Time { return at }
		c, err := Assemble(t.Context(), Input{Function: function(), Template: plainTemplate(t), Root: root, Stats: stats})
		if err != nil {
			t.Fatal(err)
		}
		if err := stats.Save(); err != nil {
			t.Fatal(err)
		}
		return c.Digest, OpenStatCache(dir, root)
	}
	plain, err := Assemble(t.Context(), Input{Function: function(), Template: plainTemplate(t), Root: root})
	if err != nil {
		t.Fatal(err)
	}
	digest, stats := assemble(time.Now())
	if digest != plain.Digest || len(stats.known) != 0 {
		t.Errorf("the digest is %s, want %s; what was just written is remembered: %v", digest, plain.Digest, stats.known)
	}
	digest, stats = assemble(time.Now().Add(time.Minute))
	if digest != plain.Digest || len(stats.known) != 2 {
		t.Errorf("the digest is %s, want %s, with %d files remembered", digest, plain.Digest, len(stats.known))
	}
	// What it remembers is what it says, without reading.
	for path, s := range stats.known {
		s.sum = strings.Repeat("0", 64)
		stats.known[path] = s
	}
	stats.dirty = true
	if err := stats.Save(); err != nil {
		t.Fatal(err)
	}
	if digest, _ = assemble(time.Now().Add(time.Minute)); digest == plain.Digest {
		t.Error("files were read that have not changed")
	}
	// Equal size and time is not enough: the status has another time.
	write(t, root, "hello/old", "3333")
	info, err := os.Stat(filepath.Join(root, "hello/new"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(root, "hello/old"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	_, stats = assemble(time.Now().Add(time.Minute))
	for path, s := range stats.known {
		if zero := s.sum == strings.Repeat("0", 64); zero != strings.HasSuffix(path, "new") {
			t.Errorf("%s has %s", path, s.sum)
		}
	}
	// A damaged cache is empty, and what nobody asks for is forgotten.
	if err := os.WriteFile(stats.file, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, stats = assemble(time.Now().Add(time.Minute)); len(stats.known) != 2 {
		t.Error("a damaged cache is used")
	}
	rename(t, root, "hello/old", "hello/moved")
	_, stats = assemble(time.Now().Add(40 * 24 * time.Hour))
	if _, ok := stats.known[filepath.Join(root, "hello/old")]; ok || len(stats.known) != 2 {
		t.Errorf("after forty days it has %v", stats.known)
	}
}

func TestCircularCopy(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{"fns/hello/handler.x": "", "link": "-> fns"})
	fn := function()
	fn.Handler = "./fns/hello"
	for _, name := range []string{"fns", "fns/hello", "link"} {
		_, err := Assemble(t.Context(), Input{Function: fn, Template: plainTemplate(t), Root: root, Copy: []string{name}})
		if err == nil || !strings.Contains(err.Error(), "would be copied into itself") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func write(t *testing.T, root, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, root, from, to string) {
	t.Helper()
	if err := os.Rename(filepath.Join(root, from), filepath.Join(root, to)); err != nil {
		t.Fatal(err)
	}
}

func chmod(t *testing.T, root, name string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(filepath.Join(root, name), mode); err != nil {
		t.Fatal(err)
	}
}

func touch(t *testing.T, file string) {
	t.Helper()
	if err := os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(file, 0o644); err != nil {
		t.Fatal(err)
	}
}
