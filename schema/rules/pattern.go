package rules

import (
	"errors"
	"strings"
)

// Bounds of patterns.
const (
	maxPattern  = 300 // bytes of one
	maxPatterns = 1000
	// maxCompared is how much patterns are held against one another to find contradictions: the lengths
	// of each two, multiplied. It is ten thousand pairs of patterns as people write them.
	maxCompared = 20_000_000
)

func checkPattern(s string) error {
	switch {
	case len(s) > maxPattern:
		return errors.New("is a pattern of more than 300 bytes")
	case strings.ContainsAny(s, " \t\n"):
		return errors.New("is a pattern with a blank in it")
	}
	return nil
}

func checkImagePattern(s string) error {
	if strings.Contains(s, "://") {
		return errors.New("is a URL: an image is named without https:// or docker://")
	}
	return checkPattern(s)
}

// Matches reports whether a text is what a pattern says: * is anything without a slash, **
// is anything. It takes time in proportion to the length of each.
func Matches(pattern, text string) bool {
	can := make([]bool, len(text)+1) // can[i]: what was read of the pattern matches text[:i]
	can[0] = true
	for len(pattern) > 0 {
		rest, star := strings.CutPrefix(pattern, "*")
		if !star {
			for i := len(text); i > 0; i-- {
				can[i] = can[i-1] && text[i-1] == pattern[0]
			}
			can[0], pattern = false, pattern[1:]
			continue
		}
		rest, deep := strings.CutPrefix(rest, "*")
		for i := 1; i <= len(text); i++ {
			can[i] = can[i] || can[i-1] && (deep || text[i-1] != '/')
		}
		pattern = rest
	}
	return can[len(text)]
}

// MatchesImage reports whether a full reference is what a pattern says. A pattern without a
// tag is for all tags, and one without a registry is of Docker Hub, as in a Dockerfile.
func MatchesImage(pattern, ref string) bool {
	pattern = wholeImage(pattern)
	ref = wholeImage(ref)
	name, _, _ := strings.Cut(ref, "@")
	repository := name
	if at := strings.LastIndexByte(name, ':'); at > strings.LastIndexByte(name, '/') {
		repository = name[:at]
	}
	return Matches(pattern, ref) || Matches(pattern, name) || Matches(pattern, repository)
}

// wholeImage is a pattern of images with a registry.
func wholeImage(pattern string) string {
	first, _, deeper := strings.Cut(pattern, "/")
	switch {
	case strings.HasPrefix(first, "*"):
		return pattern
	case !deeper:
		return "docker.io/library/" + pattern
	case !strings.ContainsAny(first, ".:") && first != "localhost":
		return "docker.io/" + pattern
	}
	return pattern
}
