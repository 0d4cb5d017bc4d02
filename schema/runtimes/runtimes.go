// Package runtimes chooses the version of a language's runtime that a project asks for in
// files that its other tools read as well: begin with [Read].
package runtimes

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/Masterminds/semver/v3"

	"fnb/internal/lazyregexp"
)

// Runtimes that fnb knows more of than their names.
const (
	Python = "python"
	Node   = "node"
	Go     = "go"
	Java   = "java"
	Rust   = "rust"
	Bun    = "bun"
	Deno   = "deno"
)

// Title is a runtime's name in a sentence.
func Title(runtime string) string {
	if t, ok := map[string]string{Python: "Python", Node: "Node.js", Go: "Go", Java: "Java", Rust: "Rust", Bun: "Bun", Deno: "Deno"}[runtime]; ok {
		return t
	}
	return runtime
}

// Of is the runtime whose version a build arg is: "python" of PYTHON_VERSION.
func Of(arg string) string {
	name := strings.TrimSuffix(strings.ToLower(arg), "_version")
	switch name {
	case "python3":
		return Python
	case "nodejs":
		return Node
	case "golang":
		return Go
	case "jdk", "jre":
		return Java
	}
	return name
}

// A Wish is what a file asks for.
type Wish struct {
	Runtime string
	Text    string // as the file has it: "3.13.1", ">=18 <23", "lts/iron"
	Key     string // in the file, such as "requires-python"; "" where the file has nothing else

	// Unversioned is true where Text is no version but a word such as "system", "nightly" or
	// "pypy3.10": whatever version is there will do, as far as images go.
	Unversioned bool

	pin     string // the version, or the beginning of it
	holds   *semver.Constraints
	anyLong bool // a release with long term support
}

// plain is a version as the tags of images have it, or the beginning of one.
var plain = lazyregexp.New(`^\d{1,9}(\.\d{1,9}){0,2}$`)

// maxText is how long a wish may be.
const maxText = 200

// pinned is the wish for one version.
func pinned(runtime, text string) (Wish, error) {
	w := Wish{Runtime: runtime, Text: text}
	v := strings.ToLower(text)
	if runtime == Node {
		v = strings.TrimPrefix(strings.TrimPrefix(v, "node@"), "node-")
		if name, ok := strings.CutPrefix(v, "lts/"); ok {
			return w.longTerm(name)
		}
	}
	for _, prefix := range []string{runtime + "@", runtime + "-", runtime, "c" + runtime + "@", "c" + runtime + "-", "v", "="} {
		if rest, ok := strings.CutPrefix(v, prefix); ok && rest != "" && rest[0] >= '0' && rest[0] <= '9' {
			v = rest
			break
		}
	}
	if runtime == Java {
		v = feature(v)
	}
	v = strings.TrimSuffix(strings.TrimSuffix(v, ".x"), ".*")
	switch {
	case plain.MatchString(v):
		w.pin = v
		return w, nil
	case unversioned.MatchString(v):
		w.Unversioned = true
		return w, nil
	}
	return Wish{}, &TextError{Runtime: runtime, Text: text}
}

// Any reports whether a wish without a version is for whatever version is there.
func (w Wish) Any() bool {
	return w.Unversioned && slices.Contains([]string{"system", "default", "local"}, strings.ToLower(w.Text))
}

// unversioned are words that tools take in a version's place, other implementations of a
// language, and versions that no release has.
var unversioned = lazyregexp.New(`^(system|default|stable|latest|current|node|beta|nightly|canary|lts|rc|local|(nightly|beta|stable)-[\w-]+|(pypy|graalpy|graalpython|jython|ironpython|micropython|stackless|anaconda|miniconda|miniforge|mambaforge|iojs)[\w.-]*|\d+(\.\d+)*(t|-dev|a\d+|b\d+|rc\d+|-beta[\w.-]*|-rc[\w.-]*))$`)

// feature is the number by which Java's images are called: 21 of "temurin-21.0.2+13.0.LTS",
// "21.0.2-tem" and "openjdk64-21.0.2", 8 of "1.8.0_392".
func feature(v string) string {
	m := javaVersion.FindStringSubmatch(v)
	if m == nil {
		return v
	}
	if m[1] == "1" && m[2] != "" {
		return m[2]
	}
	return m[1]
}

var javaVersion = lazyregexp.New(`^(?:[a-z][a-z0-9_]*-)*(\d{1,9})(?:\.(\d{1,9}))?(?:[.+_u-][\w.+-]*)?$`)

// longTerm is the wish for a release that Node mends for long: "*" is any.
func (w Wish) longTerm(name string) (Wish, error) {
	if name == "*" {
		w.anyLong = true
		return w, nil
	}
	for _, r := range Releases(w.Runtime) {
		if r.LongTerm == name && name != "" {
			w.pin = r.Version
			return w, nil
		}
	}
	return Wish{}, &TextError{Runtime: w.Runtime, Text: w.Text}
}

// ranged is the wish for any version of a range, as npm or Cargo write it.
func ranged(runtime, key, text string) (Wish, error) {
	w := Wish{Runtime: runtime, Key: key, Text: text}
	if runtime == Node && (strings.HasPrefix(text, "lts/") || text == "lts") {
		w, err := pinned(runtime, text)
		w.Key = key
		return w, err
	}
	if t := strings.ToLower(text); t == "latest" || t == "current" || t == "stable" {
		w.Unversioned = true
		return w, nil
	}
	if len(text) > maxText {
		return Wish{}, &TextError{Runtime: runtime, Key: key, Text: text[:maxText]}
	}
	holds, err := semver.NewConstraint(text)
	if err != nil {
		return Wish{}, &TextError{Runtime: runtime, Key: key, Text: text}
	}
	w.holds = holds
	return w, nil
}

// atLeast is the wish for a version or any later one.
func atLeast(runtime, key, text string) (Wish, error) {
	v := text
	if runtime == Java {
		v = feature(v)
	}
	if !plain.MatchString(v) {
		return Wish{}, &TextError{Runtime: runtime, Key: key, Text: text}
	}
	w, err := ranged(runtime, key, ">="+v)
	w.Text = text
	return w, err
}

// A TextError is what a file says, and nobody understands.
type TextError struct {
	Runtime, Key, Text string
}

func (e *TextError) Error() string {
	if e.Key != "" {
		return fmt.Sprintf("%s: %q is neither a version of %s nor a range of versions", e.Key, e.Text, Title(e.Runtime))
	}
	return fmt.Sprintf("%q is not a version of %s", e.Text, Title(e.Runtime))
}

// A NoneError says that no version is as a file wishes.
type NoneError struct{ Wish Wish }

func (e *NoneError) Error() string {
	return fmt.Sprintf("fnb knows no version of %s for %s", Title(e.Wish.Runtime), e.Wish)
}

// String is the wish in a sentence.
func (w Wish) String() string {
	if w.Key == "" {
		return w.Text
	}
	return w.Key + " " + w.Text
}

// Choose returns the version by which there is an image, for all that is known: the one
// that is there already where it is as the file wishes, or else the nearest release that is, or the one that the
// file names. Where no version is as the file wishes, it is a [*NoneError].
func (w Wish) Choose(there string) (string, error) {
	switch {
	case w.Unversioned:
		return there, nil
	case w.pin != "":
		if within(there, w.pin) {
			return there, nil
		}
		return w.pin, nil
	case w.meets(there):
		return there, nil
	}
	fit := w.fit(true)
	if len(fit) == 0 {
		fit = w.fit(false)
	}
	if len(fit) > 0 {
		if w.anyLong {
			return fit[len(fit)-1], nil
		}
		return Nearest(there, fit)[0], nil
	}
	for _, literal := range literals.FindAllString(w.Text, -1) {
		if w.meets(literal) {
			return literal, nil
		}
	}
	return "", &NoneError{w}
}

// fit are the releases that are as the file wishes: all, or only those that are mended for
// long, which Node's odd ones are not.
func (w Wish) fit(long bool) []string {
	var fit []string
	for _, r := range Releases(w.Runtime) {
		if w.meets(r.Version) && (!long || r.LongTerm != "") {
			fit = append(fit, r.Version)
		}
	}
	return fit
}

var literals = lazyregexp.New(`\d{1,9}(\.\d{1,9}){0,2}`)

// meets reports whether the newest version of a series is as the file wishes. A series is
// all versions that begin in the same way: an image's tag leads to the newest of them.
func (w Wish) meets(series string) bool {
	if w.anyLong {
		return slices.ContainsFunc(Releases(w.Runtime), func(r Release) bool { return r.LongTerm != "" && within(series, r.Version) })
	}
	if !plain.MatchString(series) {
		return false
	}
	newest := series + strings.Repeat(".999999999", 2-strings.Count(series, "."))
	v, err := semver.NewVersion(newest)
	return err == nil && w.holds != nil && w.holds.Check(v)
}

// within reports whether a version is of a series: 3.13.1 of 3.13, and 3.13 of itself.
func within(version, series string) bool {
	return version == series || strings.HasPrefix(version, series+".")
}

// IsVersion reports whether a text is a version as the tags of images have it, or the
// beginning of one.
func IsVersion(text string) bool { return plain.MatchString(text) }

// Older reports whether a version is older than another. What one has no number for is 0.
func Older(version, than string) bool {
	a, b := numbers(version), numbers(than)
	return slices.Compare(a[:], b[:]) < 0
}

// Nearest sorts versions by how near they are to one, the nearest first, and of two that
// are as near the later one. What is no version is left out.
func Nearest(to string, versions []string) []string {
	at := numbers(to)
	var fit []string
	for _, v := range versions {
		if plain.MatchString(v) {
			fit = append(fit, v)
		}
	}
	slices.SortStableFunc(fit, func(a, b string) int {
		x, y := numbers(a), numbers(b)
		for i := range at {
			if c := cmp.Compare(distance(x[i], at[i]), distance(y[i], at[i])); c != 0 {
				return c
			}
			if c := cmp.Compare(y[i], x[i]); c != 0 {
				return c
			}
		}
		return cmp.Compare(len(a), len(b))
	})
	return slices.Compact(fit)
}

func distance(a, b int) int { return max(a-b, b-a) }

func numbers(version string) (n [3]int) {
	for i, part := range strings.SplitN(version, ".", 3) {
		n[i], _ = strconv.Atoi(part) // what is no number is 0
	}
	return n
}
