package store_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/fixture"
	"fnb/schema"
	"fnb/store"
	"fnb/templates"
)

func newStore(tb testing.TB, opts store.Options) *store.Finder {
	tb.Helper()
	if opts.CacheDir == "" {
		opts.CacheDir = filepath.Join(tb.TempDir(), "cache")
	}
	if opts.Getenv == nil {
		home := tb.TempDir()
		opts.Getenv = func(name string) string {
			if name == "HOME" {
				return home
			}
			return ""
		}
	}
	s, err := store.New(opts)
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// writeTemplate writes a small template of a version into the folder dir.
func writeTemplate(tb testing.TB, dir, version string) {
	tb.Helper()
	fixture.Must(tb, os.MkdirAll(filepath.Join(dir, "function"), 0o755))
	for name, content := range map[string]string{
		"template.yml":     "language: test\nfprocess: cat\nversion: " + version + "\n",
		"Dockerfile":       "FROM scratch\nCOPY function /\n",
		"function/handler": version + "\n",
	} {
		fixture.Must(tb, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
}

func officialVersion(tb testing.TB, name string) string {
	tb.Helper()
	t, err := templates.OpenOfficial(name)
	fixture.Must(tb, err)
	return t.Manifest.Version
}

func TestResolveOfficial(t *testing.T) {
	t.Parallel()
	s := newStore(t, store.Options{Offline: true})
	version := officialVersion(t, "go")
	major, _, _ := strings.Cut(version, ".")
	for ref, ok := range map[string]bool{
		"go": true, "official:go": true, "go@" + version: true, "go@^" + version: true, "go@" + major: true,
		"go@>=0.0.1": true, "go@99": false, "go@99.0.0": false, "go@0.0.1": false, "go@some-branch": false,
		"nothing-like-it": false, "acme/go": false, "other:go": false,
	} {
		tmpl, pin, notes, err := s.Resolve(t.Context(), ref, store.Scope{Root: t.TempDir()})
		if (err == nil) != ok {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		if !ok {
			if _, is := errors.AsType[*store.NotFoundError](err); !is {
				t.Errorf("%s: %T %v", ref, err, err)
			}
			continue
		}
		want := schema.Pin{Store: "official", Version: version, Checksum: tmpl.Checksum}
		if diff := cmp.Diff(want, pin); diff != "" || tmpl.Name != "go" || len(notes) != 0 {
			t.Errorf("%s is %s, %v (-want +got):\n%s", ref, tmpl.Name, notes, diff)
		}
	}
	_, _, _, err := s.Resolve(t.Context(), "pyhton3", store.Scope{Root: t.TempDir()})
	if e, ok := errors.AsType[*store.NotFoundError](err); !ok || len(e.Near) == 0 || e.Near[0] != "python3" {
		t.Errorf("a slip of the pen: %v", err)
	}
	_, _, _, err = s.Resolve(t.Context(), "go@77.0.0", store.Scope{Root: t.TempDir()})
	if e, ok := errors.AsType[*store.VersionError](err); !ok || len(e.Have) != 1 || e.Have[0] != version {
		t.Errorf("a version that is not there: %v", err)
	}
}

func TestResolveFolder(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	writeTemplate(t, filepath.Join(root, "stack", "mine"), "1.2.3")
	writeTemplate(t, filepath.Join(root, "beside"), "2.0.0")
	s := newStore(t, store.Options{})
	where := store.Scope{Root: filepath.Join(root, "stack")}
	if err := os.Symlink("../beside", filepath.Join(root, "stack", "link")); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{"../beside", filepath.Join(root, "beside"), "./link"} {
		if _, _, _, err := s.Resolve(t.Context(), ref, where); !fixture.Is[*schema.OutsideError](err) {
			t.Errorf("%s: %v", ref, err)
		}
	}
	where.Allow = []string{filepath.Join(root, "beside")}
	for ref, from := range map[string]string{
		"./mine": "./mine", "./mine/": "./mine", "../beside": "../beside",
		filepath.Join(root, "beside"): filepath.Join(root, "beside"),
	} {
		tmpl, pin, _, err := s.Resolve(t.Context(), ref, where)
		if err != nil {
			t.Errorf("%s: %v", ref, err)
			continue
		}
		if pin.Store != from || pin.Checksum != tmpl.Checksum || pin.Commit != "" || pin.Version == "" {
			t.Errorf("%s: %+v", ref, pin)
		}
	}
	_, _, _, err := s.Resolve(t.Context(), "./nothing", where)
	if _, ok := errors.AsType[*store.NotFoundError](err); !ok {
		t.Errorf("no folder: %v", err)
	}
}

func TestResolveVendored(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	writeTemplate(t, filepath.Join(root, "template", "go"), "0.0.3")
	writeTemplate(t, filepath.Join(root, "template", "python3-http@1.2.0"), "7.0.0")
	s := newStore(t, store.Options{Offline: true})
	where := store.Scope{Root: root}
	official := officialVersion(t, "go")
	for ref, want := range map[string]string{
		"go": "./template/go", "go@0.0.3": "./template/go", "go@" + official: "official",
		"official:go": "official", "python3-http@1.2.0": "./template/python3-http@1.2.0",
	} {
		_, pin, notes, err := s.Resolve(t.Context(), ref, where)
		if err != nil || pin.Store != want {
			t.Errorf("%s: %+v, %v", ref, pin, err)
		}
		if passed := ref == "go@"+official; passed != (len(notes) == 1) {
			t.Errorf("%s: notes %q", ref, notes)
		}
	}
	_, _, _, err := s.Resolve(t.Context(), "go@9.9.9", where)
	if _, ok := errors.AsType[*store.VersionError](err); !ok {
		t.Errorf("in no place: %v", err)
	}
}

func TestSourcesAreExclusive(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	writeTemplate(t, filepath.Join(root, "ours", "template", "go"), "3.0.0")
	writeTemplate(t, filepath.Join(root, "template", "python3"), "3.0.0")
	s := newStore(t, store.Options{Offline: true})
	where := store.Scope{Root: root, Sources: []schema.TemplateSource{
		{Name: "go", Source: "./ours"},
		{Name: "python3", Source: "./ours"},
		{Name: "node"},
	}}
	for ref, from := range map[string]string{
		"go": "./ours/template/go", "go@^3": "./ours/template/go", "go@3.0.0": "./ours/template/go",
		"go@^1": "", "go@1.0.0": "", "python3": "", "python3@3.0.0": "", "node": "official",
	} {
		_, pin, _, err := s.Resolve(t.Context(), ref, where)
		if pin.Store != from || (err == nil) != (from != "") {
			t.Errorf("%s: %+v, %v", ref, pin, err)
		}
		if _, ok := errors.AsType[*store.NotFoundError](err); err != nil && !ok {
			t.Errorf("%s: %T", ref, err)
		}
	}
	where.Sources[0].Source = "not a source"
	if _, _, _, err := s.Resolve(t.Context(), "go", where); err == nil || !strings.Contains(err.Error(), "the source of template go") {
		t.Errorf("a malformed source: %v", err)
	}
}

func TestLockDecides(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	writeTemplate(t, filepath.Join(root, "mine"), "1.0.0")
	s := newStore(t, store.Options{Offline: true})
	_, goPin, _, err := s.Resolve(t.Context(), "go", store.Scope{Root: root})
	fixture.Must(t, err)
	_, minePin, _, err := s.Resolve(t.Context(), "./mine", store.Scope{Root: root})
	fixture.Must(t, err)
	other := schema.Pin{Store: "official", Checksum: "fnb1:sha256:" + strings.Repeat("0", 64)}
	otherMine := other
	otherMine.Store = "./mine"
	for _, test := range []struct {
		name   string
		ref    string
		pins   map[string]schema.Pin
		frozen bool
		ok     bool
		notes  int
	}{
		{"the same", "go", map[string]schema.Pin{"go": goPin}, true, true, 0},
		{"no entry", "go", nil, false, true, 0},
		{"no entry, frozen", "go", map[string]schema.Pin{"./mine": minePin}, true, false, 0},
		{"another", "go", map[string]schema.Pin{"go": other}, false, false, 0},
		{"the folder is the same", "./mine", map[string]schema.Pin{"./mine": minePin}, true, true, 0},
		{"the folder has changed", "./mine", map[string]schema.Pin{"./mine": otherMine}, false, true, 1},
		{"the folder has changed, frozen", "./mine", map[string]schema.Pin{"./mine": otherMine}, true, false, 0},
		{"a folder in place of another store", "./mine", map[string]schema.Pin{"./mine": other}, false, false, 0},
	} {
		where := store.Scope{Root: root, Lock: &schema.Lock{Templates: test.pins}, Frozen: test.frozen}
		_, _, notes, err := s.Resolve(t.Context(), test.ref, where)
		if (err == nil) != test.ok || len(notes) != test.notes {
			t.Errorf("%s: %v, %q", test.name, err, notes)
		}
		if _, is := errors.AsType[*store.MismatchError](err); err != nil && !is {
			t.Errorf("%s: %T", test.name, err)
		}
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	writeTemplate(t, filepath.Join(root, "template", "go"), "0.0.3")
	writeTemplate(t, filepath.Join(root, "template", "zebra"), "1.0.0")
	fixture.Must(t, os.MkdirAll(filepath.Join(root, "template", "not-one"), 0o755))
	writeTemplate(t, filepath.Join(root, "ours"), "4.0.0")
	s := newStore(t, store.Options{})
	entries, err := s.List(t.Context(), store.Scope{Root: root, Sources: []schema.TemplateSource{
		{Name: "ours", Source: "./ours"}, {Name: "far", Source: "https://git.example.com/x/y#v1"},
	}})
	fixture.Must(t, err)
	var got []string
	for _, e := range entries {
		got = append(got, e.Name+" "+e.Store)
		if e.Missing != (e.Name == "far") {
			t.Errorf("%+v", e)
		}
	}
	want := []string{
		"ours ./ours", "far https://git.example.com/x/y#v1", "go ./template/go", "zebra ./template/zebra",
	}
	officials, err := templates.Official()
	fixture.Must(t, err)
	for _, o := range officials {
		if o.Name != "go" { // the project has one of its own
			want = append(want, o.Name+" official")
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestResolveInterrupted(t *testing.T) {
	t.Parallel()
	s := newStore(t, store.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _, _, err := s.Resolve(ctx, "http://127.0.0.1:1/x/y", store.Scope{Root: t.TempDir()})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
