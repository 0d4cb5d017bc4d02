package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/distribution/reference"

	"fnb/internal/lazyregexp"
	"fnb/internal/spelling"
)

var (
	functionName = lazyregexp.New(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`)
	folderName   = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)
	storeName    = lazyregexp.New(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
	deviceName   = lazyregexp.New(`^(con|prn|aux|nul|com[0-9]|lpt[0-9])$`)
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

// ValidateImage returns an error unless ref is an image reference: an [*ImageError].
func ValidateImage(ref string) error {
	_, err := ParseImageRef(ref)
	return err
}

// An ImageError says why a text is not an image reference.
type ImageError struct {
	Image   string
	Problem string
	Slashed bool // its tag has a slash, as names of git branches have
}

func (e *ImageError) Error() string {
	return fmt.Sprintf("%q is not an image reference: %s", e.Image, e.Problem)
}

// slashed reports whether what follows the colon behind a repository has a slash.
func slashed(ref string) bool {
	_, repository, _ := strings.Cut(ref, "/") // a colon before that is a port's
	_, tag, _ := strings.Cut(repository, ":")
	return strings.Contains(tag, "/") && !strings.Contains(ref, "://")
}

// withoutPassword is a text that was meant to be an image reference, and has a password in it as URLs do, without that.
func withoutPassword(ref string) string {
	scheme, rest, ok := strings.Cut(ref, "://")
	if !ok {
		scheme, rest = "", ref
	}
	at := strings.LastIndexByte(rest[:strings.LastIndexByte(rest, '/')+1], '@') // one of a digest is behind the last slash
	name, _, ok := strings.Cut(rest[:max(at, 0)], ":")
	if !ok {
		return ref
	}
	if scheme != "" {
		name = scheme + "://" + name
	}
	return name + ":…" + rest[at:]
}

// malformed says what keeps a text from being an image reference.
func malformed(ref string) string {
	if withoutPassword(ref) != ref {
		return "leave out the name and the password: fnb login HOST keeps them"
	}
	if scheme, rest, ok := strings.Cut(ref, "://"); ok {
		return fmt.Sprintf("leave out %q: it begins with the host of its registry: %s", scheme+"://", rest)
	}
	if slashed(ref) {
		_, repository, _ := strings.Cut(ref, "/")
		_, tag, _ := strings.Cut(repository, ":")
		return fmt.Sprintf("its tag %q: %v", tag, ValidateTag(tag))
	}
	if _, err := reference.ParseNormalizedNamed(strings.ToLower(ref)); err == nil {
		return "its repository has upper-case letters"
	}
	rest, _, _ := strings.Cut(ref, "@")
	if i := strings.LastIndex(rest, ":"); i > strings.LastIndex(rest, "/") {
		if err := ValidateTag(rest[i+1:]); err != nil {
			return fmt.Sprintf("its tag %q: %v", rest[i+1:], err)
		}
		rest = rest[:i]
	}
	for part := range strings.SplitSeq(rest, "/") {
		switch {
		case part == "":
			return "a part of its repository is empty"
		case strings.ContainsFunc(part, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune("${}\\", r) }):
			return fmt.Sprintf("%q cannot be a part of a repository", part)
		}
	}
	return "want [HOST/]REPOSITORY[:TAG][@DIGEST]"
}

// ValidateTag returns an error unless tag can be the tag of an image, by the grammar
// of the OCI distribution specification.
func ValidateTag(tag string) error {
	switch {
	case tag == "":
		return errors.New("it is empty")
	case len(tag) > tagLimit:
		return fmt.Errorf("it has %d characters; %d are allowed", len(tag), tagLimit)
	case reference.TagRegexp.FindString(tag) != tag:
		return errors.New("a tag has letters, digits, '_', '.' and '-', and begins with neither '.' nor '-'")
	}
	return nil
}

// tagLimit is how long a tag may be, in characters.
const tagLimit = 128

// checkWatchdog returns an error if s names no watchdog, the words apart.
func checkWatchdog(s string, words ...string) error {
	if slices.Contains(words, s) {
		return nil
	}
	// A bare word is an image on Docker Hub, but here it is a slip.
	if !strings.ContainsAny(s, "/:@") || ValidateImage(s) != nil {
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

// Near returns the word that was probably meant, or "".
func (e *wordError) Near() string { return spelling.Nearest(e.word, e.words) }

func (e *wordError) Error() string {
	all := e.words
	if e.or != "" {
		all = append(slices.Clone(all), e.or)
	}
	if len(all) == 1 {
		return fmt.Sprintf("%q is not %s", e.word, all[0])
	}
	return fmt.Sprintf("%q is not one of %s", e.word, strings.Join(all, ", "))
}
