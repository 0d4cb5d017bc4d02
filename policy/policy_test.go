package policy

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"fnb/schema/rules"
	"fnb/trust"
)

// with is a policy of files with these contents, each in a folder of its own.
func with(t *testing.T, o Options, contents ...string) *Policy {
	t.Helper()
	var dirs []string
	for _, c := range contents {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, rules.FileName), []byte(c), 0o600); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	p, err := Read(o, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// broken are the rules that errors name.
func broken(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	several, ok := err.(interface{ Unwrap() []error }) //nolint:errorlint // it is taken apart
	if !ok {
		t.Fatalf("%v is not joined", err)
	}
	var names []string
	for _, e := range several.Unwrap() {
		r, ok := errors.AsType[*Refusal](e)
		if !ok {
			t.Fatalf("%v is no refusal", e)
		}
		names = append(names, r.Rule)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// Where there is no file, everything is allowed, of a nil policy too.
func TestNone(t *testing.T) {
	t.Parallel()
	p, err := Read(Options{}, t.TempDir(), "", t.TempDir())
	if p != nil || err != nil {
		t.Fatalf("%v, %v", p, err)
	}
	_, first := p.Template(Template{Reference: "x", Yanked: "broken"})
	_, second := p.Image(KindBase, Image{Reference: "docker.io/library/x:1"})
	_, third := p.ImageAge(KindBase, "docker.io/library/x:1", time.Time{})
	_, fourth := p.Watchdog("x:1")
	if err := errors.Join(first, second, third, fourth, p.Packages("x", false), p.Source(KindBase, "https://x", nil), p.Builder("x", ""), p.Unasked("x")); err != nil {
		t.Error(err)
	}
	if p.Gates(KindBase) || p.Dates(KindBase) || p.Builders() || p.TooYoung("x", time.Time{}) != "" || p.Found() != nil || p.Untold() != nil {
		t.Error("it has rules")
	}
}

func TestTemplate(t *testing.T) {
	t.Parallel()
	p := with(t, Options{Reviewed: []string{"acme/new"}}, `mode: enforce
templates:
  allow: [official, acme/*, 'corp:*/go', 'https://git.example.com/**']
  deny: [acme/old]
  min-age: 7d
  yanked: refuse
`)
	day := 24 * time.Hour
	for name, tt := range map[string]struct {
		t    Template
		want string
	}{
		"fnb's own":                 {Template{Reference: "go", Store: "official", Name: "go", Here: true}, ""},
		"a folder with that name":   {Template{Reference: "go", Store: "./template/go", Name: "go", Here: true}, "templates.allow"},
		"a folder called so":        {Template{Reference: "./acme/x", Store: "./acme/x", Name: "x", Here: true}, "templates.allow"},
		"old enough":                {Template{Reference: "acme/go", Store: "corp", Name: "acme/go", Published: time.Now().Add(-8 * day)}, ""},
		"by its store":              {Template{Reference: "b/go", Store: "corp", Name: "b/go", Published: time.Now().Add(-8 * day)}, ""},
		"of another store":          {Template{Reference: "b/go", Store: "other", Name: "b/go", Published: time.Now().Add(-8 * day)}, "templates.allow"},
		"denied":                    {Template{Reference: "acme/old", Store: "corp", Name: "acme/old", Locked: true}, "templates.deny"},
		"young":                     {Template{Reference: "acme/go", Store: "corp", Name: "acme/go", Published: time.Now().Add(-6 * day)}, "templates.min-age"},
		"to come":                   {Template{Reference: "acme/go", Store: "corp", Name: "acme/go", Published: time.Now().Add(day)}, "templates.min-age"},
		"of no age":                 {Template{Reference: "https://git.example.com/x", Store: "https://git.example.com/x", Name: "x"}, "templates.min-age"},
		"young and locked":          {Template{Reference: "acme/go", Store: "corp", Name: "acme/go", Published: time.Now(), Locked: true}, ""},
		"young and reviewed":        {Template{Reference: "acme/new", Store: "corp", Name: "acme/new", Published: time.Now()}, ""},
		"withdrawn, even if locked": {Template{Reference: "acme/go", Store: "corp", Name: "acme/go", Locked: true, Yanked: "broken"}, "templates.yanked"},
	} {
		if _, err := p.Template(tt.t); broken(t, err) != tt.want {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if why := p.TooYoung("acme/go", time.Now().Add(-36*time.Hour-time.Minute)); why != "it is 36h old, and must be 7d old" {
		t.Errorf("too young: %q", why)
	}
	if why := p.TooYoung("acme/new", time.Now()); why != "" {
		t.Errorf("it was reviewed, and %q", why)
	}
}

func TestImages(t *testing.T) {
	t.Parallel()
	p := with(t, Options{Reviewed: []string{"python:3.13"}}, "mode: enforce\nbases: {allow: [python, golang], deny: ['golang:1.25*'], digest: locked, min-age: 3d}\nimages: {allow: [ghcr.io/acme/**]}\n")
	for ref, want := range map[string]string{
		"docker.io/library/python:3.13":  "",
		"docker.io/library/golang:1.26":  "",
		"docker.io/library/golang:1.25":  "bases.deny",
		"docker.io/library/debian:12":    "bases.allow",
		"evil.example.com/python:3.13":   "bases.allow",
		"docker.io/library/python2:3.13": "bases.allow",
	} {
		if _, err := p.Image(KindBase, Image{Reference: ref, Locked: true}); broken(t, err) != want {
			t.Errorf("%s: %v, want %q", ref, err, want)
		}
	}
	if _, err := p.Image(KindBase, Image{Reference: "docker.io/library/python:3.13"}); broken(t, err) != "bases.digest" {
		t.Errorf("without a digest: %v", err)
	}
	if _, err := p.ImageAge(KindBase, "docker.io/library/golang:1.26", time.Now().Add(-time.Hour)); broken(t, err) != "bases.min-age" {
		t.Errorf("young: %v", err)
	}
	if _, err := p.ImageAge(KindBase, "docker.io/library/python:3.13", time.Time{}); err != nil {
		t.Errorf("it was reviewed: %v", err)
	}
	if _, err := p.ImageAge(KindImage, "docker.io/library/golang:1.26", time.Time{}); err != nil {
		t.Errorf("there is no rule: %v", err)
	}
}

// What a builder asks about is held to the same rules, by its names for it.
func TestSource(t *testing.T) {
	t.Parallel()
	p := with(t, Options{}, "mode: enforce\nbases: {allow: [python], digest: locked}\nsources: {allow: ['https://github.com/acme/**']}\n")
	const digest = "@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	for source, want := range map[string]string{
		"docker-image://docker.io/library/python:3.13" + digest: "",
		"docker-image://docker.io/library/python:3.13":          "bases.digest",
		"docker-image://docker.io/library/ruby:3" + digest:      "bases.allow",
		"docker-image+blob://docker.io/library/ruby" + digest:   "bases.allow",
		"git://github.com/acme/a.git#main":                      "",
		"https://github.com/acme/a.tar.gz":                      "",
		"https://github.com/other/a":                            "sources.allow",
		"http://169.254.169.254/":                               "sources.allow",
		"local://context":                                       "",
		"oci-layout://fnb.local/watchdog" + digest:              "",
		"":                     "sources.allow",
		"new-kind://of-source": "sources.allow",
	} {
		if got := broken(t, p.Source(KindBase, source, nil)); got != want {
			t.Errorf("%q: %q, want %q", source, got, want)
		}
	}
	if !p.Gates(KindBase) || broken(t, p.Unasked("tcp://old")) != "bases.allow" {
		t.Error("a builder that does not ask is allowed")
	}
}

// A key's fingerprint says whose signature a template has; keys of images are looked for at each.
func TestSigned(t *testing.T) {
	t.Parallel()
	const a = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9Uf5OqZ1pX3Cd2q3T9m1mJwVwkMAbWkBfyqCFhVb6E ann"
	key, err := trust.ParsePublicKey([]byte(a))
	if err != nil {
		t.Fatal(err)
	}
	p := with(t, Options{}, "mode: enforce\ntemplates:\n  signed-by:\n    acme/*: owner\n    corp:**: "+a+"\nbases:\n  signed-by: {python: '"+a+"', 'ghcr.io/**': '"+a+"'}\n",
		"bases: {signed-by: '"+a+"'}\n")
	for name, tt := range map[string]struct {
		t    Template
		want string
	}{
		"a folder":            {Template{Reference: "./go", Store: "./go", Name: "go", Here: true}, ""},
		"of no rule":          {Template{Reference: "b/go", Store: "other", Name: "b/go"}, ""},
		"signed by an owner":  {Template{Reference: "acme/go", Store: "x", Name: "acme/go", Recorded: true, Signer: "SHA256:x"}, ""},
		"vouched for":         {Template{Reference: "acme/go", Store: "x", Name: "acme/go", Recorded: true, Vouched: true}, ""},
		"by nobody":           {Template{Reference: "acme/go", Store: "x", Name: "acme/go", Recorded: true}, "templates.signed-by"},
		"as a lock says":      {Template{Reference: "acme/go", Store: "x", Name: "acme/go", Locked: true, Signer: "SHA256:x"}, "templates.signed-by"},
		"by the key":          {Template{Reference: "b/go", Store: "corp", Name: "b/go", Recorded: true, Signer: key.Fingerprint()}, ""},
		"by another":          {Template{Reference: "b/go", Store: "corp", Name: "b/go", Recorded: true, Signer: "SHA256:x"}, "templates.signed-by"},
		"vouched for, no key": {Template{Reference: "b/go", Store: "corp", Name: "b/go", Recorded: true, Vouched: true}, "templates.signed-by"},
	} {
		if _, err := p.Template(tt.t); broken(t, err) != tt.want {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	for ref, want := range map[string]string{"docker.io/library/python:3": "bases.signed-by", "ghcr.io/a/b:1": "bases.signed-by", "docker.io/library/go:1": ""} {
		asked := 0
		notes, err := p.Signed(KindBase, ref, func(keys []trust.TrustedKey) (string, error) {
			if asked++; len(keys) != 1 || keys[0].Fingerprint() != key.Fingerprint() {
				t.Errorf("%s: %v", ref, keys)
			}
			return "no", nil
		})
		if broken(t, err) != want || len(notes) != 1 || asked != 1+len(want)/len("bases.signed-by") || !p.Signs(KindBase, ref) {
			t.Errorf("%s: %v, %q, asked %d", ref, err, notes, asked)
		}
	}
	if p.Signs(KindImage, "ghcr.io/a/b:1") || len(p.Signers(KindBase, "ghcr.io/a/b:1")) != 2 || !p.SignsTemplates() {
		t.Error("there are other rules")
	}
	// What cannot be found out is no signature, and an error of its own where that is enforced.
	gone := errors.New("gone")
	notes, err := p.Signed(KindBase, "ghcr.io/a/c:1", func([]trust.TrustedKey) (string, error) { return "", gone })
	if !errors.Is(err, gone) || len(notes) != 1 || !strings.Contains(notes[0], "nobody knows who has signed it: gone") {
		t.Errorf("%q, %v", notes, err)
	}
	if err := p.Source(KindBase, "docker-image://ghcr.io/a/d:1", func([]trust.TrustedKey) (string, error) { return "no", nil }); broken(t, err) != "bases.signed-by" {
		t.Errorf("a source: %v", err)
	}
}

// Keys are read from beside the policy, and nowhere else.
func TestKeys(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := errors.Join(
		os.WriteFile(filepath.Join(dir, "none.pub"), []byte("no key"), 0o600), os.WriteFile(filepath.Join(dir, "big.pub"), make([]byte, maxKeyFile+1), 0o600),
		os.Symlink("/etc/passwd", filepath.Join(dir, "out.pub")), os.Mkdir(filepath.Join(dir, "dir.pub"), 0o700),
	); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, rules.FileName)
	for name, want := range map[string]string{
		"none.pub": "neither a public key nor", "big.pub": "larger than any file of keys", "out.pub": "escapes", "dir.pub": "it is not a plain file", "x.pub": "no such file",
	} {
		if err := os.WriteFile(file, []byte("images:\n  signed-by: "+name+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := ReadFile(Options{}, file)
		if err == nil || !strings.Contains(err.Error(), "policy.yaml:2:14: images.signed-by: the key "+name) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTools(t *testing.T) {
	t.Parallel()
	p := with(t, Options{Version: "1.3.0"}, "mode: enforce\nwatchdog: {min: 1.4.0}\nbuilders: {min-version: 0.20.0}\npackages: {min-age: 3d}\n")
	for name, want := range map[string]string{
		"default": "watchdog.min", "none": "", "": "",
		"ghcr.io/openfaas/of-watchdog:0.11.3": "watchdog.min", "localhost:5000/w:1.4.0": "", "localhost:5000/w:v2": "",
		"localhost:5000/w": "watchdog.min", "ghcr.io/acme/w:latest@sha256:aa": "watchdog.min",
	} {
		if _, err := p.Watchdog(name); broken(t, err) != want {
			t.Errorf("watchdog %q: %v, want %q", name, err, want)
		}
	}
	p.version = "dev"
	if _, err := p.Watchdog("default"); err != nil {
		t.Errorf("of no release: %v", err)
	}
	for version, want := range map[string]string{"v0.34.2": "", "0.20.0": "", "v0.19.9": "builders.min-version", "": "builders.min-version", "v0.21.0-rc1": ""} {
		if got := broken(t, p.Builder("tcp://x", version)); got != want {
			t.Errorf("builder %q: %q, want %q", version, got, want)
		}
	}
	if got := broken(t, p.Packages("cargo", false)); got != "packages.min-age" {
		t.Errorf("packages: %q", got)
	}
	if err := p.Packages("npm", true); err != nil {
		t.Errorf("packages: %v", err)
	}
	if before, reviewed := p.PublishedBefore(); time.Since(before).Round(time.Hour) != 72*time.Hour || reviewed != nil {
		t.Errorf("%s, %v", before, reviewed)
	}
	p = with(t, Options{Reviewed: []string{"left-pad"}}, "packages: {min-age: 9d}\n", "mode: enforce\npackages: {min-age: 2d}\n", "mode: enforce\npackages: {min-age: 4d}\n")
	if before, reviewed := p.PublishedBefore(); time.Since(before).Round(time.Hour) != 96*time.Hour || len(reviewed) != 1 {
		t.Errorf("%s, %v", before, reviewed)
	}
	if err := p.Packages("npm", true); err != nil || len(p.Untold()) != 1 {
		t.Errorf("a rule that warns: %v, %v", err, p.Found())
	}
}

// Both files hold, each as it says; what is told once is not told again, and a trial refuses
// nothing.
func TestBoth(t *testing.T) {
	t.Parallel()
	files := []string{"mode: enforce\nbases: {deny: [ruby]}\n", "mode: warn\nbases: {allow: [python]}\n"}
	p := with(t, Options{}, files...)
	ruby := Image{Reference: "docker.io/library/ruby:3"}
	notes, err := p.Image(KindBase, ruby)
	if broken(t, err) != "bases.deny" || len(notes) != 1 || !strings.Contains(notes[0], "policy.yaml:2: bases.allow: base image docker.io/library/ruby:3: ") {
		t.Errorf("%q, %v", notes, err)
	}
	if notes, err = p.Image(KindBase, ruby); broken(t, err) != "bases.deny" || notes != nil {
		t.Errorf("again: %q, %v", notes, err)
	}
	if err := p.Source(KindBase, "docker-image://docker.io/library/debian:12", nil); err != nil {
		t.Error(err)
	}
	if untold := p.Untold(); len(untold) != 1 || !strings.Contains(untold[0], "debian:12") || p.Untold() != nil {
		t.Errorf("untold: %q", untold)
	}
	if len(p.Found()) != 3 {
		t.Errorf("found: %v", p.Found())
	}
	p = with(t, Options{Trial: true}, files...)
	if notes, err := p.Image(KindBase, ruby); notes != nil || err != nil || len(p.Found()) != 2 {
		t.Errorf("a trial: %q, %v, %v", notes, err, p.Found())
	}
}

// What is wrong with both files is said at once.
func TestBad(t *testing.T) {
	t.Parallel()
	a, b := t.TempDir(), t.TempDir()
	for _, dir := range []string{a, b} {
		if err := os.WriteFile(filepath.Join(dir, rules.FileName), []byte("mode: x\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p, err := Read(Options{}, a, b)
	if p != nil || err == nil || strings.Count(err.Error(), "is not understood") != 2 {
		t.Errorf("%v, %v", p, err)
	}
}
