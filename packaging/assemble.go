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

	"fnb/schema"
	"fnb/templates"
	"fnb/templates/tree"
)

const dockerfileName = "Dockerfile"

// An Input is what a build context is made of.
type Input struct {
	Function schema.Function
	Template *templates.Template
	Root     string // folder of the stack file, which the stack's paths are relative to

	Copy         []string          // configuration.copy and --copy; relative to Root, and inside it
	BuildOptions []string          // beside Function.BuildOptions
	BuildArgs    map[string]string // beside Function.BuildArgs, and before them
	Watchdog     string            // before what Function and Template say; "" is what they say
	Target       string            // stage the image is made of; "" is the last
	NoAccelerate bool              // leave the Dockerfile as it is written
	// Hidden are files with secrets beside those of Function.BuildSecrets, of other
	// functions or the command line. None is ever in the context, by whatever way.
	Hidden Hidden
	// AbsentSecrets lets the files of build secrets be missing: their values are no
	// inputs.
	AbsentSecrets bool

	// Stats spares the reading of files that have not changed; nil reads all.
	Stats *StatCache
}

// Hidden are files that no build context has: their absolute paths, as they were
// named and with links resolved. The zero value hides nothing.
type Hidden map[string]bool

// Hide looks up files that are to be hidden; relative ones are below root. One that
// does not exist is no error.
func Hide(root string, files []string) Hidden {
	h := Hidden{}
	for _, file := range files {
		if file = filepath.FromSlash(file); !filepath.IsAbs(file) {
			file = filepath.Join(root, file)
		}
		full, err := filepath.Abs(file)
		if err != nil || h[full] {
			continue
		}
		h[full] = true
		if resolved, err := filepath.EvalSymlinks(full); err == nil {
			h[resolved] = true
		}
	}
	return h
}

// A Context is a build context and what becomes of the image it builds.
type Context struct {
	// FS holds the files. It implements [fs.ReadLinkFS]; see [tree.FS] for what
	// modes, times and links look like. Contents are read from where they are
	// when they are asked for, and one that has changed since is an error.
	FS fs.FS
	// Dockerfile is what is built, as it is in FS, with BuildArgs.
	Dockerfile *templates.Dockerfile
	// Files are the checksums of what is in FS, sorted by path.
	Files []schema.FileSum
	// Digest is the content checksum of FS, as [schema.Checksum] makes it.
	Digest string

	BuildArgs map[string]string
	// Unread are those of Input.BuildArgs that the Dockerfile does not declare, sorted;
	// such ones of the function are in Notes.
	Unread []string
	// Config is laid over the image configuration the Dockerfile leaves.
	Config schema.ImageConfig
	// Watchdog is which watchdog to layer in: "default" for fnb's own, an
	// image reference, or "" for none, because none is wanted or the
	// Dockerfile brings it.
	Watchdog string
	// Notes say what a user may want to know about how the context came to be.
	Notes []string
	// Cached say what the Dockerfile here keeps between builds, and the one that
	// was written does not: see [templates.Dockerfile.Accelerate].
	Cached []string
	// Secrets are the files of build secrets, by id. They are never in FS.
	Secrets map[string]string
}

// An OptionError is a build option that the template does not have.
type OptionError struct {
	Name  string
	Known []string // names of those it has, sorted
}

func (e *OptionError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("the template has no build options, so not %q", e.Name)
	}
	return fmt.Sprintf("the template has no build option %q; it has %q", e.Name, e.Known)
}

// A TargetError is a stage that the Dockerfile does not have.
type TargetError struct {
	Name  string
	Known []string // names of those it has, in order
}

func (e *TargetError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("the Dockerfile has no stage %q, and none with a name", e.Name)
	}
	return fmt.Sprintf("the Dockerfile has no stage %q; it has %q", e.Name, e.Known)
}

// A FolderError is a folder of the user's that cannot be used.
type FolderError struct {
	Dir string // as the stack file says it
	Err error
}

func (e *FolderError) Error() string { return fmt.Sprintf("handler %s: %s", e.Dir, e.Err) }

// Unwrap returns the cause: [fs.ErrNotExist] where the folder is missing.
func (e *FolderError) Unwrap() error { return e.Err }

// Assemble makes the build context of a function.
//
// Of the template's starter nothing is taken but a package list that the
// handler lacks, and Notes say so. Where the template has no Dockerfile, the
// handler is the whole context. A file that the handler and Copy, or two paths
// of Copy, bring to one place is an error.
func Assemble(ctx context.Context, in Input) (*Context, error) {
	a := assembly{in: in, folder: in.Template.Handler.Folder}
	if in.Template.Dockerfile.Path == "" {
		a.folder = "."
	}
	if err := schema.ValidateFunctionName(in.Function.Name); err != nil {
		return nil, err
	}
	steps := []func(context.Context) error{a.openHandler, a.findSecrets, a.addTemplate, a.addHandler, a.addPackageLists, a.addCopies, a.mergeArgs, a.addDockerfile}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return a.finish(ctx)
}

// An assembly is a context in the making.
type assembly struct {
	in      Input
	folder  string // where the handler goes; "." where it is the whole context
	handler *os.Root
	dir     string // of the handler, absolute, with links resolved
	ignore  *ignore
	entries []tree.Entry
	args    map[string]string
	secrets map[string]string
	hidden  Hidden // the function's own secrets
	notes   []string
	cached  []string

	dockerfile *templates.Dockerfile
}

func (a *assembly) note(format string, args ...any) {
	a.notes = append(a.notes, fmt.Sprintf(format, args...))
}

// path returns the absolute path of one that the stack file says.
func (a *assembly) path(p string) string {
	p = filepath.FromSlash(p)
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(a.in.Root, p)
}

func (a *assembly) openHandler(context.Context) error {
	handler := a.in.Function.Handler
	fail := func(err error) error { return &FolderError{Dir: handler, Err: err} }
	if handler == "" {
		return fmt.Errorf("function %s has no handler", a.in.Function.Name)
	}
	dir, err := filepath.EvalSymlinks(a.path(handler))
	if errors.Is(err, fs.ErrNotExist) {
		return fail(fmt.Errorf("there is no such folder: %w", fs.ErrNotExist))
	}
	if err != nil {
		return fail(err)
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return fail(errors.Join(errors.New("it is not a folder"), err))
	}
	if a.handler, err = os.OpenRoot(dir); err != nil {
		return fail(err)
	}
	if a.dir, err = filepath.Abs(dir); err != nil {
		return fail(err)
	}
	a.ignore, err = readIgnore(a.in.Template.FS, a.handler.FS(), a.folder)
	return err
}

// findSecrets looks for the files of build secrets, and notes where they are so that
// they stay out of the context.
func (a *assembly) findSecrets(context.Context) error {
	for _, id := range slices.Sorted(maps.Keys(a.in.Function.BuildSecrets)) {
		file := a.in.Function.BuildSecrets[id]
		full, err := filepath.Abs(a.path(file))
		if err != nil {
			return err
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
	a.hidden = Hide(a.in.Root, slices.Collect(maps.Values(a.secrets)))
	return nil
}

// noSecret refuses a secret that is among the files that a template brings: each of its
// functions would have it.
func (a *assembly) noSecret(name string) error {
	dir := a.in.Template.Dir
	if dir == "" || len(a.hidden)+len(a.in.Hidden) == 0 {
		return nil
	}
	file := filepath.Join(dir, filepath.FromSlash(name))
	stored := file + templates.StoredSuffix
	if !a.hidden[file] && !a.in.Hidden[file] && !a.hidden[stored] && !a.in.Hidden[stored] {
		return nil
	}
	return fmt.Errorf("the build secret %s is a file of template %s, which every function of it would have; move it out of the template's folder", name, a.in.Template.Name)
}

// secret reports whether a file below a folder has to stay out, and notes that. The
// folder is absolute, with links resolved; prefix is where the folder goes.
func (a *assembly) secret(dir, name, prefix string) bool {
	if len(a.hidden)+len(a.in.Hidden) == 0 {
		return false
	}
	full := filepath.Join(dir, filepath.FromSlash(name))
	if !a.hidden[full] && !a.in.Hidden[full] {
		return false
	}
	a.note("%s is a build secret and not copied", path.Join(prefix, name))
	return true
}

// addTemplate adds the template's files but those of its starter.
func (a *assembly) addTemplate(ctx context.Context) error {
	if a.folder == "." {
		return nil
	}
	entries, err := tree.Scan{Skip: func(name string, folder bool) (bool, error) {
		if name == a.folder || name == ignoreFile {
			return true, nil
		}
		return a.ignore.context(name, folder)
	}}.Entries(ctx, a.in.Template.FS)
	if err != nil {
		return fmt.Errorf("template %s: %w", a.in.Template.Name, err)
	}
	for _, e := range entries {
		if err := a.noSecret(e.Path); err != nil {
			return err
		}
	}
	a.entries = entries
	return nil
}

func (a *assembly) addHandler(ctx context.Context) error {
	entries, err := tree.Scan{Skip: func(name string, folder bool) (bool, error) {
		if name == ignoreFile || name == fnbIgnoreFile {
			return true, nil
		}
		if a.secret(a.dir, name, a.folder) {
			return true, nil
		}
		return a.ignore.handler(name, folder)
	}}.Entries(ctx, tree.FolderAt(a.handler, a.dir))
	if err != nil {
		return &FolderError{Dir: a.in.Function.Handler, Err: err}
	}
	if len(entries) == 0 {
		a.note("the handler %s has no files", a.in.Function.Handler)
	}
	for _, e := range entries {
		e.Path = path.Join(a.folder, e.Path)
		a.entries = append(a.entries, e)
	}
	return nil
}

// addPackageLists takes those package lists from the template's starter that
// the handler lacks, each with its lock.
func (a *assembly) addPackageLists(context.Context) error {
	if a.folder == "." {
		return nil
	}
	for _, list := range a.in.Template.Packages.Lists {
		if !inside(a.folder, list.Manifest) || a.has(list.Manifest) {
			continue
		}
		taken := list.Manifest
		for _, name := range []string{list.Manifest, list.Lock} {
			if name == "" || a.has(name) {
				continue
			}
			if err := a.noSecret(name); err != nil {
				return err
			}
			e, err := tree.File(a.in.Template.FS, name, name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return fmt.Errorf("template %s: %w", a.in.Template.Name, err)
			}
			a.entries = append(a.entries, e)
			if name != taken {
				taken += " and " + name
			}
		}
		a.note("%s from the template, because the handler has none", taken)
	}
	return nil
}

// has reports whether the context has an entry at a path.
func (a *assembly) has(name string) bool {
	return slices.ContainsFunc(a.entries, func(e tree.Entry) bool { return e.Path == name })
}

func (a *assembly) finish(ctx context.Context) (*Context, error) {
	view, err := tree.New(a.entries)
	if err != nil {
		return nil, err
	}
	out := &Context{FS: view, Dockerfile: a.dockerfile, BuildArgs: a.args, Secrets: a.secrets}
	if out.Files, err = a.in.Stats.sums(ctx, view); err != nil {
		return nil, err
	}
	out.Digest = schema.ChecksumFiles(out.Files)
	dockerfile := a.dockerfile.Summary()
	if err := a.target(dockerfile); err != nil {
		return nil, err
	}
	out.Unread = a.unread(dockerfile)
	a.configure(out, dockerfile)
	out.Notes, out.Cached = a.notes, a.cached
	return out, nil
}
