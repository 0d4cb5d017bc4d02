package rules

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"fnb/schema/document"
)

// Read reads a policy. A file that does not exist is a policy without a rule. Problems are
// returned all at once, each a [*document.FieldError].
func Read(path string) (*Policy, error) {
	data, err := document.ReadFile(path, document.MaxBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return &Policy{}, nil
	}
	if err != nil {
		return nil, err
	}
	return Parse(path, data)
}

// Parse reads the contents of a policy. The name of the file is for errors and refusals.
func Parse(file string, data []byte) (*Policy, error) {
	r := &reader{Reader: document.Reader{File: file}, p: &Policy{File: file, At: map[string]document.Spot{}, Mode: Warn}}
	if v, ok := r.Document(data); ok {
		r.Object(v, document.Fields{
			"mode":      r.rule(r.mode),
			"templates": r.templates,
			"bases":     r.images(&r.p.Bases),
			"images":    r.images(&r.p.Images),
			"sources": r.section(document.Fields{
				"allow": r.patterns(&r.p.Sources.Allow, checkPattern), "deny": r.patterns(&r.p.Sources.Deny, checkPattern),
			}, func(v document.Value) { r.contradiction(v, r.p.Sources.Allow, r.p.Sources.Deny, Matches) }),
			"watchdog": r.section(document.Fields{"min": r.version(&r.p.Watchdog.Min)}, nil),
			"builders": r.section(document.Fields{"min-version": r.version(&r.p.Builders.MinVersion)}, nil),
			"packages": r.section(document.Fields{"min-age": r.age(&r.p.Packages.MinAge)}, nil),
		})
	}
	if len(r.Problems) > 0 {
		return nil, document.Join(r.Problems)
	}
	return r.p, nil
}

// A reader reads one policy.
type reader struct {
	document.Reader
	p        *Policy
	compared int // how much work comparing patterns was
}

// rule returns a function that reads a rule, and notes where it is.
func (r *reader) rule(read func(document.Value)) func(document.Value) {
	return func(v document.Value) {
		r.p.At[v.Field] = document.Spot{Line: v.Line, Column: v.Column}
		read(v)
	}
}

// section returns a function that reads some rules, and then looks at them together.
func (r *reader) section(fields document.Fields, whole func(document.Value)) func(document.Value) {
	return func(v document.Value) {
		if r.Object(v, fields); whole != nil {
			whole(v)
		}
	}
}

func (r *reader) mode(v document.Value) {
	r.NonEmpty((*string)(&r.p.Mode), oneOf(string(Warn), string(Enforce)))(v)
}

func (r *reader) templates(v document.Value) {
	t := &r.p.Templates
	r.section(document.Fields{
		"allow": r.patterns(&t.Allow, checkPattern), "deny": r.patterns(&t.Deny, checkPattern),
		"min-age": r.age(&t.MinAge), "yanked": r.rule(r.NonEmpty(&t.Yanked, oneOf("refuse"))),
		"signed-by": r.signedBy(&t.SignedBy, checkPattern, checkSigner),
	}, func(v document.Value) {
		r.contradiction(v, t.Allow, t.Deny, Matches)
		r.deniedSigners(v, t.SignedBy, t.Deny, Matches)
	})(v)
}

func (r *reader) images(i *Images) func(document.Value) {
	return r.section(document.Fields{
		"allow": r.patterns(&i.Allow, checkImagePattern), "deny": r.patterns(&i.Deny, checkImagePattern),
		"digest": r.rule(r.NonEmpty(&i.Digest, oneOf("locked"))), "min-age": r.age(&i.MinAge),
		"signed-by": r.signedBy(&i.SignedBy, checkImagePattern, checkImageSigner),
	}, func(v document.Value) {
		r.contradiction(v, i.Allow, i.Deny, MatchesImage)
		r.deniedSigners(v, i.SignedBy, i.Deny, MatchesImage)
	})
}

// patterns returns a function that reads a list of patterns, one at least.
func (r *reader) patterns(dst *[]string, check func(string) error) func(document.Value) {
	return r.rule(func(v document.Value) {
		before := len(r.Problems)
		r.Strs(dst, check)(v)
		if len(*dst) > maxPatterns {
			r.Fail(v, fmt.Sprintf("has more than %d patterns", maxPatterns), "")
			*dst = nil
			return
		}
		if len(*dst) == 0 && len(r.Problems) == before {
			if strings.HasSuffix(v.Field, ".allow") {
				r.Fail(v, "is empty, so that it would allow nothing: leave it out to allow everything", "")
			} else {
				r.Fail(v, "is empty: leave it out to refuse nothing", "")
			}
		}
	})
}

// contradiction refuses patterns that are allowed and whose every match is refused.
func (r *reader) contradiction(v document.Value, allow, deny []string, matches func(pattern, text string) bool) {
	field := document.Below(v.Field, "allow")
	for _, a := range allow {
		for _, d := range deny {
			if a == d || r.afford(len(a)*len(d)) && matches(d, a) {
				at := r.p.At[field]
				r.Fail(document.Value{Field: field, Line: at.Line, Column: at.Column}, fmt.Sprintf("allows %q, and deny refuses all of it with %q: take one of them out", a, d), "")
				break
			}
		}
	}
}

// afford reports whether patterns may be compared, which takes so much work: a policy that is hostile has no end otherwise.
func (r *reader) afford(work int) bool {
	r.compared += work
	return r.compared <= maxCompared
}

func (r *reader) age(dst *Age) func(document.Value) {
	return r.rule(r.NonEmpty(new(string), func(s string) (err error) {
		*dst, err = ParseAge(s)
		return err
	}))
}

func (r *reader) version(dst *string) func(document.Value) {
	return r.rule(r.NonEmpty(dst, func(s string) error {
		if _, err := semver.NewVersion(s); err != nil {
			return fmt.Errorf("%q is not a version such as 1.4.0", s)
		}
		return nil
	}))
}

// oneOf is a check of a word.
func oneOf(words ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(words, s) {
			return nil
		}
		if len(words) == 1 {
			return fmt.Errorf("%q is not understood: the only word for it is %s", s, words[0])
		}
		return fmt.Errorf("%q is not understood: it must be one of %s", s, strings.Join(words, ", "))
	}
}

// maxAge is a hundred years, beyond which nothing would ever be used.
const maxAge = 100 * 365 * 24 * time.Hour

// ParseAge reads an age such as 12h, 7d or 2w.
func ParseAge(s string) (Age, error) {
	wrong := fmt.Errorf("%q is not an age such as 12h, 7d or 2w", s)
	if s == "" {
		return 0, wrong
	}
	unit, ok := map[byte]time.Duration{'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour}[s[len(s)-1]]
	n, err := strconv.ParseUint(s[:len(s)-1], 10, 31)
	if !ok || err != nil || n == 0 {
		return 0, wrong
	}
	if n > uint64(maxAge/unit) {
		return 0, fmt.Errorf("%q is more than a hundred years", s)
	}
	return Age(time.Duration(n) * unit), nil //nolint:gosec // it was compared with a hundred years
}

// String is the age as it is written: in days where it is whole days.
func (a Age) String() string {
	if d := time.Duration(a); d%(24*time.Hour) != 0 {
		return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
	}
	return strconv.FormatInt(int64(time.Duration(a)/(24*time.Hour)), 10) + "d"
}
