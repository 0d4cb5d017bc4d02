package pipeline

import "testing"

// The version of a tag is found where it is one, and not where it is a part of another.
func TestAround(t *testing.T) {
	t.Parallel()
	for tag, want := range map[string]string{
		"9":                      "|",
		"9-slim-bookworm":        "|-slim-bookworm",
		"debian-9":               "debian-|",
		"3.9-eclipse-temurin-9":  "3.9-eclipse-temurin-|",
		"3.9-eclipse-temurin-99": "",
		"9.1":                    "",
		"slim":                   "",
		"":                       "",
	} {
		before, behind, ok := around(tag, "9")
		if got := before + "|" + behind; ok != (want != "") || ok && got != want {
			t.Errorf("%q: %q, %v, want %q", tag, got, ok, want)
		}
	}
	if _, _, ok := around("slim", ""); ok {
		t.Error("nothing is a version")
	}
}

// One version is in the singular.
func TestNoImage(t *testing.T) {
	t.Parallel()
	for want, near := range map[string][]string{
		"there is no image python:3.99 for Python 3.99, from .python-version":                             nil,
		"there is no image python:3.99 for Python 3.99, from .python-version; the nearest is 3.14":        {"3.14"},
		"there is no image python:3.99 for Python 3.99, from .python-version; the nearest are 3.14, 3.13": {"3.14", "3.13"},
	} {
		e := &NoImageError{Runtime: "python", Version: "3.99", From: ".python-version", Image: "python:3.99", Near: near}
		if got := e.Error(); got != want {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}
