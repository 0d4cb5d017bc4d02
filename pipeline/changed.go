package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"fnb/gitrepo"
	"fnb/packaging/lists"
	"fnb/schema"
	"fnb/templates/tree"
)

// Changed returns the names of the functions whose inputs differ from those that a git
// revision has; all are new since git's null commit. The settings have to be CompareOnly.
// Open opens the repository that the stack file is in.
func (p *Pipeline) Changed(ctx context.Context, fns []schema.Function, revision string, open func() (*gitrepo.Repo, error)) ([]string, error) {
	then, err := p.at(ctx, fns, revision, open)
	if err != nil {
		return nil, fmt.Errorf("comparing with %s: %w", revision, err)
	}
	if then != nil {
		defer then.close()
	}
	changed := []string{}
	var errs []error
	for _, fn := range fns {
		if fn.SkipBuild {
			continue
		}
		differs, err := p.differs(ctx, then, fn)
		if err != nil {
			errs = append(errs, &FunctionError{Name: fn.Name, Place: PlaceOf(p.Stack, fn), Doing: "comparing with " + revision, Err: err})
		}
		if differs {
			changed = append(changed, fn.Name)
		}
	}
	return changed, errors.Join(errs...)
}

// IsNullCommit reports whether a revision is the commit before any other, which has
// nothing.
func IsNullCommit(revision string) bool { return strings.Trim(revision, "0") == "" }

// An oldProject is the project as a revision has it. Of its files those are written to a
// folder that are read.
type oldProject struct {
	*Pipeline
	dir   string // where its files are
	repo  *gitrepo.Repo
	tree  *gitrepo.Tree
	wrote map[string]bool // paths in the repository
	same  map[string]bool // what untouched says, by whether it need not be there and the path

	checkout gitrepo.Checkout // says what is as the revision has it
	alike    bool             // the stack has the same functions
}

// at opens the project of an earlier revision; nil where the revision is
// git's null commit, or has no such stack file, so that everything is new.
func (p *Pipeline) at(ctx context.Context, fns []schema.Function, revision string, open func() (*gitrepo.Repo, error)) (_ *oldProject, err error) {
	if IsNullCommit(revision) {
		return nil, nil
	}
	repo, err := open()
	if err != nil {
		return nil, err
	}
	then := &oldProject{repo: repo, wrote: map[string]bool{}, same: map[string]bool{}}
	if then.dir, err = os.MkdirTemp("", "fnb-changed-*"); err != nil {
		return nil, err
	}
	tree := sync.OnceValues(func() (*gitrepo.Tree, error) { return repo.Tree(ctx, revision) })
	var both errgroup.Group
	both.Go(func() (err error) {
		then.checkout, err = repo.Checkout(ctx, tree, p.repositoryPaths(repo, fns))
		return err
	})
	both.Go(func() (err error) {
		if then.tree, err = tree(); err != nil {
			return err
		}
		return then.open(ctx, p)
	})
	if err = both.Wait(); err == nil {
		then.alike = reflect.DeepEqual(p.Stack.Functions, then.Stack.Functions)
		return then, nil
	}
	then.close() // the error says more
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return nil, err
}

// open reads the stack file and the lock of the revision.
func (t *oldProject) open(ctx context.Context, now *Pipeline) error {
	stackFile := filepath.Base(now.Stack.File)
	for _, name := range []string{stackFile, filepath.Base(LockFile(now.Stack.File))} {
		if err := t.write(ctx, name); err != nil && (name == stackFile || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	file := filepath.Join(t.dir, filepath.FromSlash(t.repo.Prefix), stackFile)
	stack, err := t.stackAt(file, now.Stack)
	if err != nil {
		return err
	}
	s := now.settings
	s.Allow = slices.Clone(now.Reach.Allow)
	for _, path := range now.Reach.Allow { // in the checkout that is where it was
		if below, ok := t.below(path); ok {
			s.Allow = append(s.Allow, filepath.Join(t.dir, filepath.FromSlash(below)))
		}
	}
	m := now.Means
	m.CacheDir = "" // nothing is kept of files that are about to be removed
	t.Pipeline, err = New(stack, s, m)
	return err
}

// stackAt is the stack of a file: one that says the same as now is not read again.
func (t *oldProject) stackAt(file string, now *schema.Stack) (*schema.Stack, error) {
	is, err := os.ReadFile(now.File)
	if err != nil {
		return nil, err
	}
	was, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if bytes.Equal(is, was) {
		stack := *now
		stack.File = file
		return &stack, nil
	}
	return schema.ReadStack(file, os.LookupEnv)
}

// close removes the files.
func (t *oldProject) close() {
	if t.tree != nil {
		_ = t.tree.Close() // it was only read from
	}
	_ = os.RemoveAll(t.dir) // a leftover in the temporary folder
}

// below is where a path of this machine is in the repository, with slashes; ok is false
// where it is not in it.
func (t *oldProject) below(path string) (name string, ok bool) {
	root, err := filepath.EvalSymlinks(t.repo.Root)
	if err != nil {
		return "", false
	}
	for _, top := range []string{t.repo.Root, root} {
		if below, err := filepath.Rel(top, path); err == nil && filepath.IsLocal(below) {
			return filepath.ToSlash(below), true
		}
	}
	return "", false
}

// write writes the files at a path of the stack, once.
func (t *oldProject) write(ctx context.Context, path string) error {
	name, ok := t.repo.Path(path)
	if filepath.IsAbs(filepath.FromSlash(path)) {
		name, ok = t.below(path)
	}
	if !ok || t.wrote[name] {
		return nil // what is elsewhere has no revision
	}
	root, err := os.OpenRoot(t.dir) // nothing is written outside of it
	if err != nil {
		return err
	}
	t.wrote[name] = true
	return errors.Join(t.tree.Write(ctx, root, name), root.Close())
}

// writeInputs writes what a function of the revision is made of. What the revision does not
// have is for whoever reads it to miss.
func (t *oldProject) writeInputs(ctx context.Context, fn schema.Function) error {
	paths, perhaps := t.inputPaths(fn)
	around, _ := t.around(fn) // what cannot be told, packaging will say
	for _, path := range slices.Concat(paths, perhaps, around, secretsOf(t.Stack)) {
		if err := t.write(ctx, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// inputPaths are the paths of the stack that a function's image is made of, and those that
// need not be there: where its template may be.
func (p *Pipeline) inputPaths(fn schema.Function) (paths, perhaps []string) {
	paths = slices.Concat([]string{fn.Handler}, p.Stack.Configuration.Copy, p.settings.Inputs.Copies)
	sources := []string{fn.Lang}
	for _, src := range p.Stack.Configuration.Templates {
		sources = append(sources, src.Source)
	}
	for _, src := range sources {
		if ref, err := schema.ParseTemplateRef(src); err == nil && ref.Kind == schema.RefFolder {
			perhaps = append(perhaps, ref.Dir)
		}
	}
	return paths, append(append(perhaps, "template"), versionFiles(fn.Handler)...)
}

// repositoryPaths are the paths in a repository of what functions are made of.
func (p *Pipeline) repositoryPaths(repo *gitrepo.Repo, fns []schema.Function) []string {
	var all []string
	for _, fn := range fns {
		paths, perhaps := p.inputPaths(fn)
		around, _ := p.around(fn)
		for _, path := range slices.Concat(paths, perhaps, around) {
			if name, ok := repo.Path(path); ok {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// unchanged reports whether a function surely is what it was, without reading its files:
// what the stack file, the lock and the command line say of it is the same, and git knows
// that nothing has changed where it is made of.
func (t *oldProject) unchanged(now *Pipeline, fn, was schema.Function) bool {
	is, had := now.Pins.File(), t.Pins.File() // what was found out since is no difference
	if !t.alike {                             // whose titles depend on one another
		fn, was = now.titled(fn), t.titled(was)
	}
	fn.Line, was.Line = 0, 0
	if !reflect.DeepEqual(fn, was) || !reflect.DeepEqual(now.Stack.Configuration, t.Stack.Configuration) ||
		!reflect.DeepEqual(is.Templates[fn.Lang], had.Templates[fn.Lang]) || !reflect.DeepEqual(is.Bases, had.Bases) ||
		!reflect.DeepEqual(is.Watchdogs, had.Watchdogs) || !reflect.DeepEqual(is.Settings, had.Settings) ||
		now.ofOpenFaaS() != t.ofOpenFaaS() || !reflect.DeepEqual(secretsOf(now.Stack), secretsOf(t.Stack)) {
		return false
	}
	if len(fn.BuildSecrets)+len(fn.EnvironmentFile) > 0 && now.CheckPaths(fn) != nil {
		return false
	}
	paths, perhaps := now.inputPaths(fn)
	for i, path := range slices.Concat(paths, perhaps) {
		if !t.untouchedOnce(now, path, i >= len(paths)) {
			return false
		}
	}
	return t.sameAround(now, fn, was)
}

// untouchedOnce is untouched, which it asks once for each path.
func (t *oldProject) untouchedOnce(now *Pipeline, path string, perhaps bool) bool {
	key := fmt.Sprint(perhaps, path)
	same, known := t.same[key]
	if !known {
		same = t.untouched(now, path, perhaps)
		t.same[key] = same
	}
	return same
}

// untouched reports whether what is at a path of the stack is surely as it was, and where the
// stack says it is: not by way of a link.
func (t *oldProject) untouched(now *Pipeline, path string, perhaps bool) bool {
	name, ok := t.repo.Path(path)
	if !ok || filepath.IsAbs(path) || !t.checkout.Same(name) {
		return false
	}
	if !filepath.IsLocal(filepath.FromSlash(path)) { // it has to be allowed
		leads, err := now.Reach.Path(path)
		if at, ok := t.below(leads); err != nil || !ok || at != name {
			return false
		}
	}
	e, err := t.tree.Entry(name) // which goes through folders alone
	return err == nil && (e.Mode == gitrepo.Folder || e.Mode.IsFile()) || perhaps && errors.Is(err, fs.ErrNotExist)
}

// leftOut reports whether a path of the stack is one that a sparse checkout leaves out.
func (t *oldProject) leftOut(path string) bool {
	if t == nil {
		return false
	}
	name, ok := t.repo.Path(path)
	return ok && t.checkout.LeftOut(name)
}

// secretsOf are the files of the build secrets of all functions, which no image has.
func secretsOf(stack *schema.Stack) []string {
	var files []string
	for _, fn := range stack.Functions {
		files = slices.AppendSeq(files, maps.Values(fn.BuildSecrets))
	}
	slices.Sort(files)
	return slices.Compact(files)
}

// differs reports whether a function is not what it was. One that could not be
// built then is new now.
func (p *Pipeline) differs(ctx context.Context, then *oldProject, fn schema.Function) (bool, error) {
	at := -1
	if then != nil {
		at = slices.IndexFunc(then.Stack.Functions, func(f schema.Function) bool { return f.Name == fn.Name })
	}
	if at >= 0 && then.unchanged(p, fn, then.Stack.Functions[at]) {
		return false, nil
	}
	is, err := p.Prepare(ctx, &Job{Function: fn})
	err = cause(err)
	if missing, ok := errors.AsType[*schema.MissingError](err); ok && then.leftOut(missing.Path) {
		return true, nil // git knows that it changed, and it is not checked out
	}
	if err != nil || at < 0 || then.Stack.Functions[at].Image != fn.Image {
		return true, err
	}
	if err := then.writeInputs(ctx, then.Stack.Functions[at]); err != nil {
		return false, err
	}
	was, err := then.Prepare(ctx, &Job{Function: then.Stack.Functions[at]})
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return err != nil || is.Digest != was.Digest, nil
}

// around are the paths of the stack that a function's packages are installed from, beside
// its handler: members of its workspace. Sure is false where that cannot be told.
func (p *Pipeline) around(fn schema.Function) (paths []string, sure bool) {
	handler, ok := stackPath(fn.Handler)
	if !ok {
		return nil, true
	}
	root, err := os.OpenRoot(p.Reach.Root)
	if err != nil {
		return nil, false
	}
	paths, err = lists.Around(tree.Folder(root), handler)
	return paths, err == nil && root.Close() == nil
}

// around is that of the revision, as git has it.
func (t *oldProject) around(fn schema.Function) (paths []string, sure bool) {
	handler, ok := stackPath(fn.Handler)
	if !ok {
		return nil, true
	}
	paths, err := lists.Around(t.tree.Files(path.Clean(filepath.ToSlash(t.repo.Prefix))), handler)
	return paths, err == nil
}

// stackPath is a path below the stack's folder, cleaned; false for that folder itself, and
// for what is elsewhere.
func stackPath(name string) (string, bool) {
	clean := path.Clean(filepath.ToSlash(name))
	return clean, clean != "." && filepath.IsLocal(filepath.FromSlash(clean))
}

// sameAround reports whether what is around a function is surely what it was.
func (t *oldProject) sameAround(now *Pipeline, fn, was schema.Function) bool {
	is, sure := now.around(fn)
	had, known := t.around(was)
	return sure && known && slices.Equal(is, had) && !slices.ContainsFunc(is, func(name string) bool { return !t.untouchedOnce(now, name, false) })
}
