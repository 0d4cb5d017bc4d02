package packaging

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"fnb/templates"
)

// Hidden are files that no build context has, under whatever name. The zero value hides
// nothing.
type Hidden struct {
	paths map[string]bool // absolute, as they were named and with links resolved
	files []fs.FileInfo   // of those that exist: another name of one is a hard link
}

// Hide looks up files that are to be hidden; relative ones are below root. One that
// does not exist is no error.
func Hide(root string, files []string) Hidden {
	h := Hidden{paths: map[string]bool{}}
	for _, file := range files {
		if file = filepath.FromSlash(file); !filepath.IsAbs(file) {
			file = filepath.Join(root, file)
		}
		full, err := filepath.Abs(file)
		if err != nil || h.paths[full] {
			continue
		}
		h.paths[full] = true
		if resolved, err := filepath.EvalSymlinks(full); err == nil {
			h.paths[resolved] = true
		}
		if info, err := os.Stat(full); err == nil && info.Mode().IsRegular() {
			h.files = append(h.files, info)
		}
	}
	return h
}

// has reports whether a file is hidden; its path is absolute, with links resolved.
func (h Hidden) has(full string) bool {
	if len(h.paths) == 0 {
		return false
	}
	if h.paths[full] {
		return true
	}
	info, err := os.Lstat(full)
	return err == nil && info.Mode().IsRegular() && slices.ContainsFunc(h.files, func(secret fs.FileInfo) bool { return os.SameFile(secret, info) })
}

// findSecrets looks for the files of build secrets, and notes where they are so that
// they stay out of the context.
func (a *assembly) findSecrets(context.Context) error {
	for _, id := range slices.Sorted(maps.Keys(a.in.Function.BuildSecrets)) {
		file := a.in.Function.BuildSecrets[id]
		full, err := a.reach().Path(file)
		if err != nil {
			return fmt.Errorf("build secret %s: %w", id, err)
		}
		info, err := os.Stat(full)
		switch {
		case errors.Is(err, fs.ErrNotExist) && a.in.AbsentSecrets:
		case errors.Is(err, fs.ErrNotExist):
			return fmt.Errorf("build secret %s: %s: %w", id, file, fs.ErrNotExist)
		case err != nil:
			return fmt.Errorf("build secret %s: %w", id, err)
		case !info.Mode().IsRegular():
			return fmt.Errorf("build secret %s: %s is not a file", id, file)
		}
		if a.secrets == nil {
			a.secrets = map[string]string{}
		}
		a.secrets[id] = full
	}
	a.hidden = Hide(a.in.Root, slices.Collect(maps.Values(a.in.Function.BuildSecrets)))
	return nil
}

// hides reports whether a file is one of the secrets that the build knows.
func (a *assembly) hides(full string) bool { return a.hidden.has(full) || a.in.Hidden.has(full) }

// noSecret refuses a secret that is among the files that a template brings: each of its
// functions would have it.
func (a *assembly) noSecret(name string) error {
	dir := a.in.Template.Dir
	if dir == "" {
		return nil
	}
	file := filepath.Join(dir, filepath.FromSlash(name))
	if !a.hides(file) && !a.hides(file+templates.StoredSuffix) {
		return nil
	}
	return fmt.Errorf("the build secret %s is a file of template %s, which every function of it would have; move it out of the template's folder", name, a.in.Template.Name)
}

// secret reports whether a file below a folder has to stay out, and notes that. The
// folder is absolute, with links resolved; prefix is where the folder goes.
func (a *assembly) secret(dir, name, prefix string) bool {
	if !a.hides(filepath.Join(dir, filepath.FromSlash(name))) {
		return false
	}
	a.note("%s is a build secret and not copied", path.Join(prefix, name))
	return true
}

// logins are the files of a handler that look like credentials, by their paths below it.
type logins struct{ left, copied, lists []string }

// login reports whether a file of the handler, or one that is copied into it, is what
// only a person's own tools need, and so stays out. The file is at name below the
// folder dir, and place is what it is called below the handler. One that is named behind
// a "!" in an ignore file is wanted.
func (a *assembly) login(dir, name, place string) bool {
	full := filepath.Join(dir, filepath.FromSlash(name))
	info, err := os.Lstat(full)
	if err != nil || !info.Mode().IsRegular() || a.ignore.user.names(place) {
		return false
	}
	switch templates.LooksLikeCredential(place, info.Size(), func() ([]byte, error) { return os.ReadFile(full) }) {
	case templates.LoginCredential:
		a.logins.left = append(a.logins.left, place)
		return true
	case templates.LikelyCredential:
		a.logins.copied = append(a.logins.copied, place)
	case templates.ListCredential:
		a.logins.lists = append(a.logins.lists, place)
	case templates.NoCredential:
	}
	return false
}

// noteLogins says which files look like credentials.
func (a *assembly) noteLogins() {
	if files := a.logins.left; len(files) > 0 {
		a.note("not copied, since only your own tools need such credentials: %s; have one copied with a line !%s in %s", listed(files), slices.Min(files), fnbIgnoreFile)
	}
	if files := a.logins.copied; len(files) > 0 {
		a.note("copied, though it looks like credentials: %s; leave such a file out with %s, give it to a step as a build secret, or say that it belongs there with a line !%s in %s",
			listed(files), ignoreFile, slices.Min(files), fnbIgnoreFile)
	}
}

// noteLists says which package lists and locks have a login in them.
func (a *assembly) noteLists() {
	if files := a.logins.lists; len(files) > 0 {
		a.note("copied with a login in a URL, which whoever has the image or its build cache can read: %s; take the login out of the URL, and give it to the step that installs as a build secret; if it belongs there, say so with a line !%s in %s",
			listed(files), slices.Min(files), fnbIgnoreFile)
	}
}

// listed names files, of many only some.
func listed(files []string) string {
	const some = 5
	files = slices.Compact(slices.Sorted(slices.Values(files)))
	if len(files) > some {
		return fmt.Sprintf("%s and %d more", strings.Join(files[:some], ", "), len(files)-some)
	}
	return strings.Join(files, ", ")
}
