package rules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"fnb/schema/document"
)

func TestRead(t *testing.T) {
	t.Parallel()
	p, err := Parse("policy.yaml", []byte(`mode: enforce
templates:
  allow: [official, acme/*]
  min-age: 7d
  yanked: refuse
bases:
  allow:
    - docker.io/library/*
  deny: [docker.io/library/ruby]
  digest: locked
  min-age: 36h
sources: {allow: ["https://github.com/acme/**"]}
watchdog: {min: 1.4.0}
builders: {min-version: 0.20.0}
packages: {min-age: 2w}
`))
	if err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	if p.Mode != Enforce || time.Duration(p.Templates.MinAge) != 7*day || time.Duration(p.Bases.MinAge) != 36*time.Hour || time.Duration(p.Packages.MinAge) != 14*day {
		t.Errorf("%+v", p)
	}
	for rule, line := range map[string]int{"mode": 1, "templates.min-age": 4, "bases.allow": 8, "bases.digest": 10, "watchdog.min": 13} {
		if p.At[rule].Line != line {
			t.Errorf("%s is on line %d, want %d", rule, p.At[rule].Line, line)
		}
	}
	if p.Bases.MinAge.String() != "36h" || p.Packages.MinAge.String() != "14d" {
		t.Errorf("%s, %s", p.Bases.MinAge, p.Packages.MinAge)
	}
}

// An empty file, and one that is not there, have no rule and warn.
func TestNoRules(t *testing.T) {
	t.Parallel()
	none, err := Read(filepath.Join(t.TempDir(), FileName))
	if err != nil || none.File != "" {
		t.Errorf("%+v, %v", none, err)
	}
	file := filepath.Join(t.TempDir(), FileName)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := Read(file); err != nil || p.File != file || p.Mode != Warn {
		t.Errorf("%+v, %v", p, err)
	}
}

// All problems come at once, each with its line.
func TestProblems(t *testing.T) {
	t.Parallel()
	_, err := Parse("policy.yaml", []byte(`mode: strict
templates:
  alow: [official]
  min-age: soon
  yanked: warn
bases:
  allow: []
  deny: ["https://docker.io/x"]
images:
  allow: [ghcr.io/acme/*, docker.io/acme/api]
  deny: ["ghcr.io/**"]
watchdog: {min: newest}
packages: {min-age: 0d}
builders: {min-version: 1.2.3, max-version: 2}
sources: {deny: []}
`))
	if err == nil {
		t.Fatal("it was read")
	}
	want := []string{
		`policy.yaml:1:7: mode: "strict" is not understood: it must be one of warn, enforce`,
		`policy.yaml:3:3: templates.alow: is not a known key (did you mean "allow"?)`,
		`policy.yaml:4:12: templates.min-age: "soon" is not an age such as 12h, 7d or 2w`,
		`policy.yaml:5:11: templates.yanked: "warn" is not understood: the only word for it is refuse`,
		`policy.yaml:7:10: bases.allow: is empty, so that it would allow nothing: leave it out to allow everything`,
		`policy.yaml:8:10: bases.deny[0]: is a URL: an image is named without https:// or docker://`,
		`policy.yaml:10:10: images.allow: allows "ghcr.io/acme/*", and deny refuses all of it with "ghcr.io/**": take one of them out`,
		`policy.yaml:12:17: watchdog.min: "newest" is not a version such as 1.4.0`,
		`policy.yaml:13:21: packages.min-age: "0d" is not an age such as 12h, 7d or 2w`,
		`policy.yaml:14:32: builders.max-version: is not a known key (did you mean "min-version"?)`,
		`policy.yaml:15:17: sources.deny: is empty: leave it out to refuse nothing`,
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSignedBy(t *testing.T) {
	t.Parallel()
	p, err := Parse("policy.yaml", []byte(`templates: {signed-by: owner}
bases:
  signed-by:
    ghcr.io/acme/**: [keys/a.pub, keys/b.pub]
    python: "ssh-ed25519 AAAA ann"
images:
  signed-by: [release.pub]
`))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]SignedBy{
		"templates": {{By: []string{Owner}, At: document.Spot{Line: 1, Column: 24}}},
		"bases": {
			{For: "ghcr.io/acme/**", By: []string{"keys/a.pub", "keys/b.pub"}, At: document.Spot{Line: 4, Column: 5}},
			{For: "python", By: []string{"ssh-ed25519 AAAA ann"}, At: document.Spot{Line: 5, Column: 5}},
		},
		"images": {{By: []string{"release.pub"}, At: document.Spot{Line: 7, Column: 14}}},
	}
	got := map[string]SignedBy{"templates": p.Templates.SignedBy, "bases": p.Bases.SignedBy, "images": p.Images.SignedBy}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{
		"images: {signed-by: owner}":                               "owner is for templates",
		"images: {signed-by: }":                                    "is empty",
		"images: {signed-by: []}":                                  "is empty: nobody could sign it",
		"images: {signed-by: {}}":                                  "is empty: leave it out",
		"images: {signed-by: {x: [a, '']}}":                        "is empty",
		"images: {signed-by: [[a]]}":                               "is a list, but must be a string",
		"images: {signed-by: /etc/a.pub}":                          "is a file elsewhere",
		"images: {signed-by: a/../../b.pub}":                       "is a file elsewhere",
		"images: {signed-by: 'exec:rm -rf'}":                       "is for who signs",
		"templates: {signed-by: SHA256:abc}":                       "is the fingerprint of a key",
		"images: {signed-by: {'https://x': a}}":                    "is a URL",
		"images: {signed-by: {x: a}, deny: [x]}":                   `wants a signature of "x", and deny refuses all of it with "x"`,
		"images: {signed-by: [" + strings.Repeat("a,", 101) + "]}": "more than 100 signers",
	} {
		if _, err := Parse("policy.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", text, err, want)
		}
	}
}

func TestMatches(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"official", "official", true},
		{"official", "officially", false},
		{"acme/*", "acme/go", true},
		{"acme/*", "acme/go/x", false},
		{"acme/**", "acme/go/x", true},
		{"https://github.com/acme/**", "https://github.com/acme/a#v1", true},
		{"https://github.com/acme/**", "https://github.com/acme.evil/a", false},
		{"**", "", true},
		{"*a*b*", "xxaxxbxx", true},
		{"*a*b*", "xxbxxaxx", false},
		{"", "", true},
		{"", "a", false},
	} {
		if got := Matches(tt.pattern, tt.text); got != tt.want {
			t.Errorf("%q, %q: %t", tt.pattern, tt.text, got)
		}
	}
	for _, tt := range []struct {
		pattern, ref string
		want         bool
	}{
		{"docker.io/library/*", "docker.io/library/python:3.13", true},
		{"docker.io/library/*", "docker.io/library/python:3.13@sha256:aa", true},
		{"docker.io/library/*", "docker.io/libraryx/python:3.13", false},
		{"python", "docker.io/library/python:3.13", true},
		{"python:3.*", "docker.io/library/python:3.13", true},
		{"python:3.*", "docker.io/library/python:4", false},
		{"acme/*", "docker.io/acme/api", true},
		{"localhost:5000/**", "localhost:5000/a/b:c", true},
		{"ghcr.io/acme/**", "ghcr.io/acme.evil.com/a", false},
		{"**", "ghcr.io/a/b:c", true},
	} {
		if got := MatchesImage(tt.pattern, tt.ref); got != tt.want {
			t.Errorf("%q, %q: %t", tt.pattern, tt.ref, got)
		}
	}
}

func TestAges(t *testing.T) {
	t.Parallel()
	for _, s := range []string{"", "d", "-1d", "1.5d", "7", "1y", "99999999999w", "2000000w", "0h"} {
		if a, err := ParseAge(s); err == nil {
			t.Errorf("%q is %s", s, a)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("mode: enforce\nbases: {allow: [a, b]}\n"))
	f.Add([]byte("templates: &t {deny: ['**']}\nbases: *t\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse("policy.yaml", data)
		if (p == nil) == (err == nil) {
			t.Errorf("%+v, %v", p, err)
		}
	})
}
