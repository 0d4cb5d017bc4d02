// Package changes says which functions of a stack are not what they were at a git revision
// ([Since]): by git alone where that knows, else by the digests of their inputs.
package changes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"fnb/gitrepo"
	"fnb/pipeline"
	"fnb/schema"
)

// Since returns the names of the functions whose inputs differ from those that a git
// revision has; all are new since git's null commit. The pipeline's settings have to be
// CompareOnly. Open opens the repository that the stack file is in.
func Since(ctx context.Context, p *pipeline.Pipeline, fns []schema.Function, revision string, open func() (*gitrepo.Repo, error)) ([]string, error) {
	then, err := at(ctx, p, fns, revision, open)
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
		differs, err := differ(ctx, p, then, fn)
		if err != nil {
			failed := (&pipeline.Job{Function: fn, Place: pipeline.PlaceOf(p.Stack, fn)}).Failed(err)
			failed.Doing = "comparing with " + revision
			errs = append(errs, failed)
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
	*pipeline.Pipeline
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
func at(ctx context.Context, p *pipeline.Pipeline, fns []schema.Function, revision string, open func() (*gitrepo.Repo, error)) (_ *oldProject, err error) {
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
		then.checkout, err = repo.Checkout(ctx, tree, repositoryPaths(p, repo, fns))
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
func (t *oldProject) open(ctx context.Context, now *pipeline.Pipeline) error {
	stackFile := filepath.Base(now.Stack.File)
	for _, name := range []string{stackFile, filepath.Base(pipeline.LockFile(now.Stack.File))} {
		if err := t.write(ctx, name); err != nil && (name == stackFile || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	file := filepath.Join(t.dir, filepath.FromSlash(t.repo.Prefix), stackFile)
	stack, err := t.stackAt(file, now.Stack)
	if err != nil {
		return err
	}
	allow := slices.Clone(now.Reach.Allow)
	for _, path := range now.Reach.Allow { // in the checkout that is where it was
		if below, ok := t.below(path); ok {
			allow = append(allow, filepath.Join(t.dir, filepath.FromSlash(below)))
		}
	}
	t.Pipeline, err = now.At(stack, allow)
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
	paths, perhaps := t.InputPaths(fn)
	around, _ := t.around(fn) // what cannot be told, packaging will say
	for _, path := range slices.Concat(paths, perhaps, around, t.Stack.BuildSecretFiles()) {
		if err := t.write(ctx, path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// repositoryPaths are the paths in a repository of what functions are made of.
func repositoryPaths(p *pipeline.Pipeline, repo *gitrepo.Repo, fns []schema.Function) []string {
	var all []string
	for _, fn := range fns {
		paths, perhaps := p.InputPaths(fn)
		around, _ := p.Around(fn)
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
func (t *oldProject) unchanged(now *pipeline.Pipeline, fn, was schema.Function) bool {
	is, had := fn, was
	if !t.alike { // whose titles depend on one another
		is, had = now.Titled(fn), t.Titled(was)
	}
	if !now.Same(is, t.Pipeline, had) {
		return false
	}
	if len(fn.BuildSecrets)+len(fn.EnvironmentFile) > 0 && now.CheckPaths(fn) != nil {
		return false
	}
	paths, perhaps := now.InputPaths(fn)
	for i, path := range slices.Concat(paths, perhaps) {
		if !t.untouchedOnce(now, path, i >= len(paths)) {
			return false
		}
	}
	return t.sameAround(now, fn, was)
}

// untouchedOnce is untouched, which it asks once for each path.
func (t *oldProject) untouchedOnce(now *pipeline.Pipeline, path string, perhaps bool) bool {
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
func (t *oldProject) untouched(now *pipeline.Pipeline, path string, perhaps bool) bool {
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

// differ reports whether a function is not what it was. One that could not be
// built then is new now.
func differ(ctx context.Context, p *pipeline.Pipeline, then *oldProject, fn schema.Function) (bool, error) {
	at := -1
	if then != nil {
		at = slices.IndexFunc(then.Stack.Functions, func(f schema.Function) bool { return f.Name == fn.Name })
	}
	if at >= 0 && then.unchanged(p, fn, then.Stack.Functions[at]) {
		return false, nil
	}
	is, err := p.Prepare(ctx, &pipeline.Job{Function: fn})
	if missing, ok := errors.AsType[*schema.MissingError](err); ok && then.leftOut(missing.Path) {
		return true, nil // git knows that it changed, and it is not checked out
	}
	if err != nil || at < 0 || then.Stack.Functions[at].Image != fn.Image {
		return true, err
	}
	if err := then.writeInputs(ctx, then.Stack.Functions[at]); err != nil {
		return false, err
	}
	was, err := then.Prepare(ctx, &pipeline.Job{Function: then.Stack.Functions[at]})
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return err != nil || is.Digest != was.Digest, nil
}

// around is what is around a function of the revision, as git has it.
func (t *oldProject) around(fn schema.Function) (paths []string, sure bool) {
	return pipeline.Around(t.tree.Files(path.Clean(filepath.ToSlash(t.repo.Prefix))), fn)
}

// sameAround reports whether what is around a function is surely what it was.
func (t *oldProject) sameAround(now *pipeline.Pipeline, fn, was schema.Function) bool {
	is, sure := now.Around(fn)
	had, known := t.around(was)
	return sure && known && slices.Equal(is, had) && !slices.ContainsFunc(is, func(name string) bool { return !t.untouchedOnce(now, name, false) })
}
