package schema

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/distribution/reference"
)

var (
	functionName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	storeName    = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	deviceName   = regexp.MustCompile(`^(con|prn|aux|nul|com[0-9]|lpt[0-9])$`)
)

// ValidateFunctionName returns an error if name cannot name a function. A
// function's name is a DNS label: at most 63 lower-case letters, digits and
// hyphens, a letter or digit first and last.
func ValidateFunctionName(name string) error {
	switch {
	case name == "":
		return errors.New("a function's name cannot be empty")
	case len(name) > 63:
		return fmt.Errorf("function name %q is longer than 63 characters", name)
	case !functionName.MatchString(name):
		return fmt.Errorf("%q is not a function's name: use a-z, 0-9 and -, with a letter or digit first and last", name)
	}
	return nil
}

// ValidateName returns an error if name cannot be the name of a namespace, or
// of a template or function in one, that somebody publishes: at most 40
// lower-case letters, digits and hyphens, a letter or digit first and last,
// and none of the names kept for fnb and for Windows devices.
func ValidateName(name string) error {
	if err := checkStoreName(name); err != nil {
		return err
	}
	if slices.Contains([]string{"template", "official", "fnb"}, name) {
		return fmt.Errorf("the name %q is reserved", name)
	}
	return nil
}

// checkStoreName is ValidateName for a name that is only referred to.
func checkStoreName(name string) error {
	switch {
	case name == "":
		return errors.New("a name cannot be empty")
	case !storeName.MatchString(name):
		return fmt.Errorf("%q is not a name: use a-z, 0-9 and -, at most 40, with a letter or digit first and last", name)
	case deviceName.MatchString(name):
		return fmt.Errorf("the name %q is reserved", name)
	}
	return nil
}

// ValidateImage returns an error unless ref is an image reference.
func ValidateImage(ref string) error { return checkImage(ref) }

// checkImage returns an error if ref is not an image reference. The grammar is
// that of the library which Docker and registries use themselves.
func checkImage(ref string) error {
	if _, err := reference.ParseNormalizedNamed(ref); err == nil {
		return nil
	}
	if _, err := reference.ParseNormalizedNamed(strings.ToLower(ref)); err == nil {
		return fmt.Errorf("%q is not an image reference: its repository has upper-case letters", ref)
	}
	return fmt.Errorf("%q is not an image reference", ref)
}

// checkWatchdog returns an error if s names no watchdog, the words apart.
func checkWatchdog(s string, words ...string) error {
	if slices.Contains(words, s) {
		return nil
	}
	// A bare word is an image on Docker Hub, but here it is a slip.
	if !strings.ContainsAny(s, "/:@") || checkImage(s) != nil {
		return &wordError{word: s, words: words, or: "an image reference"}
	}
	return nil
}

// checkWord returns a function that returns an error for a string that is none
// of words.
func checkWord(words ...string) func(string) error {
	return func(s string) error {
		if slices.Contains(words, s) {
			return nil
		}
		return &wordError{word: s, words: words}
	}
}

// A wordError is a word that is none of those allowed.
type wordError struct {
	word  string
	words []string
	or    string
}

func (e *wordError) Error() string {
	all := e.words
	if e.or != "" {
		all = append(slices.Clone(all), e.or)
	}
	return fmt.Sprintf("%q is none of %s", e.word, strings.Join(all, ", "))
}
