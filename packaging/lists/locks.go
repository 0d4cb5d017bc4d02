package lists

import (
	"bytes"
	"encoding/json"
	"path"
	"slices"

	"fnb/internal/lazyregexp"
	"fnb/schema/languages"
)

// A BadLockError is a lock that packages cannot be installed from: it is empty, has the marks
// of a merge that was not finished, cannot be read, or has no manifest of its manager beside it.
type BadLockError struct {
	Lock     string // of [Search.Files]
	Manifest string // that is missing beside it, by its name; "" where it is there
	Err      error  // a [*document.FieldError]
}

func (e *BadLockError) Error() string { return e.Err.Error() }

// Unwrap returns what is wrong with it.
func (e *BadLockError) Unwrap() error { return e.Err }

// checkLock refuses a bad lock.
func (c chooser) checkLock(l foundLock) error {
	bad := &BadLockError{Lock: l.file}
	if m, _, ok := languages.ManagerOf(path.Base(l.file)); ok && m.Name != "pylock" && !c.hasManifest(path.Dir(l.file), m) {
		bad.Manifest = m.Manifest
	}
	if bad.Err = c.lockProblem(l, bad.Manifest); bad.Err != nil {
		return bad
	}
	return nil
}

// lockProblem is what is wrong with a lock, beside which a manifest is missing if it is named.
func (c chooser) lockProblem(l foundLock, missing string) error {
	t, err := c.open(l.file, maxLock)
	if err != nil {
		return err
	}
	base := path.Base(l.file)
	if len(bytes.TrimSpace(t.data)) == 0 && base != "go.sum" { // a module without dependencies
		return t.at(0, "is empty, which a lock of %s never is", l.manager)
	}
	for _, mark := range []string{"<<<<<<< ", ">>>>>>> "} {
		if i := bytes.Index(t.data, []byte("\n"+mark)); i >= 0 || bytes.HasPrefix(t.data, []byte(mark)) {
			return t.at(lineAt(t.data, i+1), "has the marks of a merge that was not finished")
		}
	}
	if missing != "" {
		return t.at(0, "is a lock of %s, which reads %s, but there is none beside it", l.manager, missing)
	}
	return t.lockSyntax(base)
}

// hasManifest reports whether a folder has what a package manager reads.
func (c chooser) hasManifest(dir string, m languages.Manager) bool {
	if c.has(path.Join(dir, m.Manifest)) {
		return true
	}
	return m.Name == "deno" && slices.ContainsFunc([]string{"deno.jsonc", "package.json"}, func(name string) bool { return c.has(path.Join(dir, name)) })
}

// pnpm9 begins a lock of pnpm 9 or later, which has importers, be it one.
var pnpm9 = lazyregexp.New(`(?m)^lockfileVersion: '?(?:9|[1-9]\d)\.`)

// lockSyntax refuses what no package manager can have written.
func (t text) lockSyntax(base string) error {
	has := func(words ...string) error {
		for _, w := range words {
			if bytes.Contains(t.data, []byte(w)) {
				return nil
			}
		}
		return t.at(1, "is not a lock: it has no %s", words[0])
	}
	switch base {
	case "package-lock.json", "npm-shrinkwrap.json", "Pipfile.lock", "deno.lock":
		return t.lockJSON()
	case "uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "Cargo.lock":
		_, err := t.toml()
		return err
	case "pnpm-lock.yaml":
		if pnpm9.Match(t.data) {
			return has("importers:")
		}
		return has("lockfileVersion:")
	case "yarn.lock":
		return has("# yarn lockfile v1", "__metadata:")
	case "bun.lock":
		return has(`"lockfileVersion"`)
	}
	return nil
}

// lockJSON checks a lock that is an object of JSON, without keeping it.
func (t text) lockJSON() error {
	var keys map[string]json.RawMessage
	if err := t.unmarshal(t.data, &keys, "a lock"); err != nil {
		return err
	}
	if keys == nil {
		return t.at(1, "is not a lock: it is null")
	}
	return nil
}
