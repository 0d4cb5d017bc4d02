package packaging

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
)

const (
	ignoreFile    = ".dockerignore"
	fnbIgnoreFile = ".fnbignore"

	// Each path is matched with each pattern, by an expression that is made of it.
	maxIgnoreFile = 1 << 20 // bytes
	maxPatterns   = 1000    // of a file
	maxPattern    = 1000    // bytes
	maxSteps      = 100_000_000
)

// errTooManySteps is of patterns and files that together would take too long.
var errTooManySteps = fmt.Errorf("the ignore files have too many patterns for so many files: more than %d comparisons", maxSteps)

// An ignore decides which files stay out of a context. It is Docker's pattern
// language: the last pattern that matches a path decides, and "!" takes back.
type ignore struct {
	folder   string // where the handler goes
	template *matcher
	user     *matcher
}

// readIgnore reads the template's ignore file, whose patterns are relative to
// the context, and the handler's two, whose patterns are relative to the
// handler. .fnbignore comes after .dockerignore, and so can take back.
func readIgnore(template, handler fs.FS, folder string) (*ignore, error) {
	ig := &ignore{folder: folder}
	var err error
	if folder != "." {
		if ig.template, err = newMatcher(template, ignoreFile); err != nil {
			return nil, fmt.Errorf("template: %w", err)
		}
	}
	if ig.user, err = newMatcher(handler, ignoreFile, fnbIgnoreFile); err != nil {
		return nil, fmt.Errorf("handler: %w", err)
	}
	return ig, nil
}

// context reports whether a path of the context is to be left out.
func (ig *ignore) context(name string, folder bool) (bool, error) {
	if name == dockerfileName {
		return false, nil
	}
	return ig.template.skip(name, folder)
}

// handler reports whether a path below the handler is to be left out.
func (ig *ignore) handler(name string, folder bool) (bool, error) {
	if ig.folder == "." && name == dockerfileName {
		return false, nil
	}
	skip, err := ig.user.skip(name, folder)
	if skip || err != nil || ig.folder == "." {
		return skip, err
	}
	return ig.template.skip(path.Join(ig.folder, name), folder)
}

// A matcher holds the patterns of one or more ignore files. A nil matcher
// matches nothing.
type matcher struct {
	patterns *patternmatcher.PatternMatcher
	folders  map[string]patternmatcher.MatchInfo // what the patterns say of folders that were asked about
	steps    int                                 // that are left: patterns that may be compared with a path
	back     []string                            // what the patterns with "!" begin with, before any wildcard
	named    []string                            // the last names of the patterns with "!"
}

func newMatcher(fsys fs.FS, files ...string) (*matcher, error) {
	var all []string
	for _, name := range files {
		if info, err := fs.Stat(fsys, name); err == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is not a file", name)
		}
		data, err := fs.ReadFile(fsys, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		if len(data) > maxIgnoreFile {
			return nil, fmt.Errorf("%s has more than %d bytes", name, maxIgnoreFile)
		}
		patterns, err := ignorefile.ReadAll(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		if len(patterns) > maxPatterns {
			return nil, fmt.Errorf("%s has more than %d patterns", name, maxPatterns)
		}
		if slices.ContainsFunc(patterns, func(p string) bool { return len(p) > maxPattern }) {
			return nil, fmt.Errorf("%s has a pattern of more than %d bytes", name, maxPattern)
		}
		if _, err := patternmatcher.New(patterns); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		all = append(all, patterns...)
	}
	if len(all) == 0 {
		return nil, nil
	}
	patterns, err := patternmatcher.New(all)
	if err != nil {
		return nil, err
	}
	m := &matcher{patterns: patterns, folders: map[string]patternmatcher.MatchInfo{}, steps: maxSteps}
	for _, p := range all {
		if after, ok := strings.CutPrefix(p, "!"); ok {
			before, _, _ := strings.Cut(after, "*")
			m.back = append(m.back, before)
			m.named = append(m.named, path.Base(path.Clean(after)))
		}
	}
	return m, nil
}

// skip reports whether name is ignored; a folder only where nothing below it
// can be taken back.
func (m *matcher) skip(name string, folder bool) (bool, error) {
	if m == nil {
		return false, nil
	}
	match, _, err := m.match(name, folder)
	if err != nil || !match {
		return false, err
	}
	return !folder || !m.mayTakeBack(name), nil
}

// match matches a path, as BuildKit does, with what the patterns say of the folder that
// it is in, so that a deep path costs no more than a short one.
func (m *matcher) match(name string, folder bool) (bool, patternmatcher.MatchInfo, error) {
	var above patternmatcher.MatchInfo
	if dir := path.Dir(name); dir != "." && dir != "/" {
		known, ok := m.folders[dir]
		if !ok {
			var err error
			if _, known, err = m.match(dir, true); err != nil {
				return false, known, err
			}
		}
		above = known
	}
	if m.steps -= len(m.patterns.Patterns()); m.steps < 0 {
		return false, above, errTooManySteps
	}
	match, info, err := m.patterns.MatchesUsingParentResults(name, above)
	if err == nil && folder {
		m.folders[name] = info
	}
	return match, info, err
}

// names reports whether a pattern with "!" takes back a file by its own name, rather
// than by that of a folder or by a wildcard.
func (m *matcher) names(file string) bool {
	if m == nil || !slices.Contains(m.named, path.Base(file)) {
		return false
	}
	match, _, err := m.match(file, false)
	return err == nil && !match
}

// mayTakeBack reports whether a pattern with "!" can match below a folder.
func (m *matcher) mayTakeBack(folder string) bool {
	for _, p := range m.back {
		if i := strings.IndexAny(p, `?[\`); i >= 0 {
			p = p[:i]
		}
		if strings.HasPrefix(p, folder+"/") || strings.HasPrefix(folder+"/", p) {
			return true
		}
	}
	return false
}
