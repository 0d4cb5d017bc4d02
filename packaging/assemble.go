package packaging

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"

	"fnb/schema"
	"fnb/schema/checksum"
	"fnb/schema/languages"
	"fnb/templates"
	"fnb/templates/tree"
)

const dockerfileName = "Dockerfile"

// An Input is what a build context is made of.
type Input struct {
	Function schema.Function
	Template *templates.Template
	// Root is the folder of the stack file. The stack's paths are relative to it, and one
	// that leads elsewhere is a [*schema.OutsideError], unless it leads to what Allow names.
	Root  string
	Allow []string // absolute

	Copy         []string          // configuration.copy and --copy; relative to Root
	BuildOptions []string          // beside Function.BuildOptions
	BuildArgs    map[string]string // beside Function.BuildArgs, and before them
	Watchdog     string            // before what Function and Template say; "" is what they say
	Target       string            // stage the image is made of; "" is the last
	Debug        bool              // make the image for a debugger, if the template has one; see [schema.Debug]
	NoAccelerate bool              // leave the Dockerfile as it is written
	// Hidden are files with secrets beside those of Function.BuildSecrets, of other
	// functions or the command line. None is ever in the context, by whatever way.
	Hidden Hidden
	// AbsentSecrets lets the files of build secrets be missing: their values are no
	// inputs.
	AbsentSecrets bool

	// Relock is set for a context in which a lock is to be made; nil for all others.
	Relock *Relock

	// Stats spares the reading of files that have not changed; nil reads all.
	Stats *StatCache
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
	Files []checksum.FileSum
	// Digest is the content checksum of FS, as [checksum.Of] makes it.
	Digest string

	BuildArgs map[string]string
	// Runtime is the version of the language's runtime; nil where the template does not say
	// how it is chosen.
	Runtime *Runtime
	// Unread are those of Input.BuildArgs that the Dockerfile does not declare, sorted;
	// such ones of the function are in Notes.
	Unread []string
	// Config is laid over the image configuration the Dockerfile leaves.
	Config schema.ImageConfig
	Stages
	// Watchdog is which watchdog to layer in: "default" for fnb's own, an
	// image reference, or "" for none, because none is wanted or the
	// Dockerfile brings it.
	Watchdog string
	// Notes say what a user may want to know about how the context came to be.
	Notes []string
	// Details are for those who look at the build context: which package lists are the
	// template's, for want of the handler's, and what the Dockerfile here keeps between
	// builds while the one that was written does not: see [templates.Dockerfile.Accelerate].
	Details []string
	// Packages say what packages are installed from.
	Packages Packages
	// Secrets are the files of build secrets, by id. They are never in FS.
	Secrets map[string]string
}

// Stages are those of the Dockerfile that are made.
type Stages struct {
	Target string // that the image is made of; "" is the last
	Check  string // that has to be made beside the image; "" is none
	// Debugger is set for an image whose function is started under a debugger. No registry
	// gets it.
	Debugger bool
}

// An OptionError is a build option that the template does not have.
type OptionError struct {
	Name  string
	Known []string // names of those it has, sorted
}

func (e *OptionError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("the template has no build option %q; it has none", e.Name)
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
		return fmt.Sprintf("the Dockerfile has no stage %q; its stages have no names", e.Name)
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
	steps := []func(context.Context) error{a.openHandler, a.findSecrets, a.addTemplate, a.addHandler, a.addPackageLists, a.addCopies, a.addPackages, a.mergeArgs, a.chooseRuntime, a.chooseDebugger, a.addDockerfile}
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
	logins  logins
	entries []tree.Entry
	args    map[string]string
	secrets map[string]string
	hidden  Hidden // the function's own secrets
	notes   []string
	details []string
	packageInputs

	dockerfile *templates.Dockerfile
	runtime    *Runtime
}

func (a *assembly) note(format string, args ...any) {
	a.notes = append(a.notes, fmt.Sprintf(format, args...))
}

// reach is how far the paths of the stack file may lead.
func (a *assembly) reach() schema.Reach { return schema.Reach{Root: a.in.Root, Allow: a.in.Allow} }

func (a *assembly) openHandler(context.Context) error {
	handler := a.in.Function.Handler
	fail := func(err error) error { return &FolderError{Dir: handler, Err: err} }
	if handler == "" {
		return fmt.Errorf("function %s has no handler", a.in.Function.Name)
	}
	dir, err := a.reach().Path(handler)
	if err != nil {
		return fail(err)
	}
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fail(fmt.Errorf("there is no such folder: %w", fs.ErrNotExist))
	}
	if err != nil || !info.IsDir() {
		return fail(errors.Join(errors.New("it is not a folder"), err))
	}
	if a.handler, err = os.OpenRoot(dir); err != nil {
		return fail(err)
	}
	a.dir = dir
	a.ignore, err = readIgnore(a.in.Template.FS, a.handler.FS(), a.folder)
	return err
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
		skip, err := a.ignore.handler(name, folder)
		if skip || err != nil || folder {
			return skip, err
		}
		return a.login(a.dir, name, name), nil
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

// noteForeignLocks names the locks of package managers that no step of the template uses:
// what they pin is not what the image gets. If the template says which locks it can use, such
// a lock was refused before.
func (a *assembly) noteForeignLocks() {
	if len(a.ownLists()) > 0 {
		return
	}
	used := func(name string) bool {
		return bytes.Contains(a.dockerfile.Data, []byte(name)) || slices.ContainsFunc(a.in.Template.Packages.Lists, func(l schema.PackageList) bool {
			return path.Base(l.Manifest) == name || path.Base(l.Lock) == name
		})
	}
	for _, name := range languages.Locks() {
		if a.has(path.Join(a.folder, name)) && !used(name) {
			a.note("%s is not used: no step of template %s names it", name, a.in.Template.Name)
		}
	}
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
	dockerfile := a.dockerfile.Summary()
	out := &Context{FS: view, Dockerfile: a.dockerfile, BuildArgs: a.args, Runtime: a.runtime, Packages: a.packages, Secrets: a.secrets, Stages: Stages{a.in.Target, a.check(dockerfile), a.in.Debug}}
	if out.Files, err = a.in.Stats.sums(ctx, view); err != nil {
		return nil, err
	}
	out.Digest = checksum.OfFiles(out.Files)
	if err := a.target(dockerfile); err != nil {
		return nil, err
	}
	out.Unread = a.unread(dockerfile)
	a.configure(out, dockerfile)
	if err := a.noteProgram(view, cmp.Or(a.in.Function.FProcess, a.in.Template.Entrypoint.FProcess)); err != nil {
		return nil, err
	}
	a.noteLogins()
	a.noteLists()
	a.noteForeignLocks()
	out.Notes, out.Details = a.notes, a.details
	return out, nil
}
