package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"fnb/gitrepo"
	"fnb/internal/plain"
	"fnb/registry"
	"fnb/schema"
	"fnb/templates"
)

// A CheckRequest says what of a store is checked.
type CheckRequest struct {
	Dir string // of the store: a git repository, whose HEAD is checked, or a folder
	// Base is the revision that the store was at before; "" checks all of it as if
	// it were new.
	Base string
	// Authors are the names by which namespaces may know who proposes the change;
	// none means that ownership is not checked.
	Authors []string
	// Registry is asked for the images of new functions; nil means that they are not
	// compared.
	Registry *registry.Client
	// Credentials says that they are sent to every repository, and not to those alone
	// that records of the base name.
	Credentials bool
}

// A StoreProblem is one thing that is wrong with a store.
type StoreProblem struct {
	File     string             `json:"file"`
	Severity templates.Severity `json:"severity"` // a warning is for a person to look at
	Message  string             `json:"message"`
}

// String returns p as one line.
func (p StoreProblem) String() string {
	return p.File + ": " + string(p.Severity) + ": " + p.Message
}

// A check is one run of [Store.Check].
type check struct {
	store    *Store // with an empty cache
	req      CheckRequest
	tree     recordTree
	base     recordTree // nil where there is none
	problems []StoreProblem
	scan     *scan
	records  map[string]schema.Record // by file
	touched  []string                 // files that are new or different since base; all without base
	known    map[string]bool          // repositories that records of the base name
	private  map[string]bool          // those that credentials were sent to
}

func (k *check) fail(file, format string, args ...any) {
	k.problems = append(k.problems, StoreProblem{plainPath(file), templates.SeverityError, plain.Short(fmt.Sprintf(format, args...))})
}

func (k *check) warn(file, message string) {
	k.problems = append(k.problems, StoreProblem{plainPath(file), templates.SeverityWarning, message})
}

// Check returns all that is wrong with a store: files that are not what they should
// be, versions that were changed or taken back since the base, namespaces of
// others, new records whose template cannot be fetched, has another checksum
// or does not pass lint, and new records whose image is not in its registry. The error is about reading the store itself.
func (s *Store) Check(ctx context.Context, req CheckRequest) ([]StoreProblem, error) {
	fresh, remove, err := s.fresh()
	if err != nil {
		return nil, err
	}
	defer remove()
	k := &check{store: fresh, req: req, records: map[string]schema.Record{}, known: map[string]bool{}, private: map[string]bool{}}
	done, err := k.open(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	k.scan = &scan{tree: k.tree}
	if err := k.scan.check(req.Dir); err != nil {
		k.fail(storeFileName, "%v", err)
	}
	if err := k.layout(); err != nil {
		return nil, err
	}
	if err := k.content(ctx); err != nil {
		return nil, err
	}
	k.ownership()
	if err := k.restrain(ctx); err != nil {
		return nil, err
	}
	if err := k.templates(ctx); err != nil {
		return nil, err
	}
	if err := k.functions(ctx); err != nil {
		return nil, err
	}
	slices.SortStableFunc(k.problems, func(a, b StoreProblem) int { return strings.Compare(a.File, b.File) })
	return slices.Compact(k.problems), nil
}

// open opens the store, and what it was before, and finds what has changed.
func (k *check) open(ctx context.Context) (done func(), err error) {
	if k.tree, done, err = openStoreTree(ctx, k.req.Dir); err != nil || k.req.Base == "" {
		return done, err
	}
	head, ok := k.tree.(ownTree)
	if !ok {
		done()
		return nil, fmt.Errorf("%s is not a git repository, and has no revision %s", k.req.Dir, k.req.Base)
	}
	base, err := head.At(k.req.Base)
	if err != nil {
		done()
		return nil, err
	}
	k.base = ownTree{base}
	changes, err := head.Changes(base)
	if err != nil {
		done()
		return nil, fmt.Errorf("comparing %s with HEAD: %w", k.req.Base, err)
	}
	for _, c := range changes {
		k.change(c)
	}
	return done, nil
}

// change judges one file that is not as it was: versions are only added.
func (k *check) change(c gitrepo.Change) {
	name := c.Path
	k.touched = append(k.touched, name)
	if c.From == 0 {
		return
	}
	root, _, _ := strings.Cut(name, "/")
	isVersion := hasPackages(root) && path.Base(path.Dir(name)) == versionsDir
	gone := c.To == 0
	switch {
	case isVersion && gone && strings.HasSuffix(name, yankSuffix):
		k.warn(name, "makes a version that was withdrawn usable again")
	case isVersion && gone:
		k.fail(name, "was taken back, and versions are only added")
	case isVersion:
		k.fail(name, "was changed, and versions are only added")
	case name == storeFileName:
		k.warn(name, "was changed")
	case gone:
		k.fail(name, "was taken away")
	}
}

// layout reports what has no place in a store.
func (k *check) layout() error {
	for _, kind := range kinds() {
		if err := k.layoutIn(kindDir(kind)); err != nil {
			return err
		}
	}
	return nil
}

func (k *check) layoutIn(root string) error {
	spaces, err := k.tree.list(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, ns := range spaces {
		dir := path.Join(root, ns.name)
		if !ns.dir {
			k.fail(dir, "has no place in a store")
			continue
		}
		file := path.Join(namespacesDir, ns.name+recordSuffix)
		if _, err := k.tree.read(file); errors.Is(err, fs.ErrNotExist) {
			k.fail(file, "is missing")
		}
		names, err := k.tree.list(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !name.dir {
				k.fail(path.Join(dir, name.name), "has no place in a store")
				continue
			}
			if err := k.layoutOf(path.Join(dir, name.name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// layoutOf reports what has no place in a package.
func (k *check) layoutOf(dir string) error {
	entries, err := k.tree.list(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.name != packageFile && e.name != versionsDir || e.dir != (e.name == versionsDir) {
			k.fail(path.Join(dir, e.name), "has no place in a store")
		}
	}
	versions, err := k.tree.list(path.Join(dir, versionsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	has := map[string]bool{}
	for _, e := range versions {
		has[e.name] = !e.dir
	}
	for _, e := range versions {
		file := path.Join(dir, versionsDir, e.name)
		version, isYank := strings.CutSuffix(e.name, yankSuffix)
		if !isYank {
			version, _ = strings.CutSuffix(e.name, recordSuffix)
		}
		switch err := schema.ValidateVersion(version); {
		case e.dir || version == e.name:
			k.fail(file, "has no place in a store")
		case err != nil:
			k.fail(file, "%v", err)
		case isYank && !has[version+recordSuffix]:
			k.fail(file, "withdraws a version that is not there")
		}
	}
	return nil
}

// content reads every file of the store.
func (k *check) content(ctx context.Context) error {
	err := k.scan.packages(ctx, func(p pack) error {
		for _, v := range p.versions {
			k.records[path.Join(kindDir(p.kind()), p.name, versionsDir, v.Version+recordSuffix)] = v.Record
		}
		return nil
	}, func(file string, err error) {
		for _, line := range strings.Split(err.Error(), "\n") {
			k.fail(file, "%s", strings.TrimPrefix(line, file+": "))
		}
	})
	if err != nil {
		return err
	}
	spaces, err := k.tree.list(namespacesDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range spaces {
		file := path.Join(namespacesDir, e.name)
		ns, ok := strings.CutSuffix(e.name, recordSuffix)
		if !ok || e.dir {
			k.fail(file, "has no place in a store")
			continue
		}
		if err := schema.ValidateName(ns); err != nil {
			k.fail(file, "%v", err)
		}
		data, err := k.tree.read(file)
		if err == nil {
			_, err = schema.ParseNamespace(file, data)
		}
		if err != nil {
			k.fail(file, "%v", err)
		}
	}
	return err
}

// ownership reports what was changed in a namespace of somebody else. Who owns it
// is what the base says.
func (k *check) ownership() {
	if k.base == nil {
		return
	}
	seen := map[string]bool{}
	for _, name := range k.touched {
		parts := strings.Split(name, "/")
		if len(parts) < 2 {
			continue
		}
		if !hasPackages(parts[0]) && parts[0] != namespacesDir {
			continue
		}
		ns := strings.TrimSuffix(parts[1], recordSuffix)
		if seen[ns] {
			continue
		}
		seen[ns] = true
		file := path.Join(namespacesDir, ns+recordSuffix)
		data, err := k.base.read(file)
		if errors.Is(err, fs.ErrNotExist) {
			k.warn(file, "is a new namespace")
			continue
		}
		var owned schema.Namespace
		if err == nil {
			owned, err = schema.ParseNamespace(file, data)
		}
		isOwner := func(a string) bool { return slices.Contains(owned.Owners, a) }
		switch {
		case err != nil:
			k.fail(file, "as it was: %v", err)
		case len(owned.Owners) == 0:
		case len(k.req.Authors) == 0:
			k.warn(file, "whether this may be changed was not checked, since it was not said by whom")
		case !slices.ContainsFunc(k.req.Authors, isOwner):
			k.fail(file, "the namespace %s is not of %s", ns, strings.Join(k.req.Authors, ", "))
		}
	}
}

// isNew reports whether a file is new or different since the base.
func (k *check) isNew(file string) bool { return k.base == nil || slices.Contains(k.touched, file) }

// functions compares what new records say of images with what their registries have.
func (k *check) functions(ctx context.Context) error {
	if k.req.Registry == nil {
		return nil
	}
	for file, rec := range k.records {
		if rec.Kind != schema.KindFunction || !k.isNew(file) {
			continue
		}
		if err := VerifyImage(ctx, k.req.Registry, rec); ctx.Err() != nil {
			return ctx.Err()
		} else if err != nil {
			k.fail(file, "%v", err)
		}
	}
	return nil
}

// restrain keeps what the change names from what only whoever checks may reach: it gets
// no credentials, and leads to no host that is nearer than the store's repository.
func (k *check) restrain(ctx context.Context) error {
	opts := &k.store.opts
	opts.least = max(opts.least, reachOfFolder(ctx, k.req.Dir))
	opts.sent = func(url string) { k.private[url] = true }
	if k.req.Credentials {
		return nil
	}
	opts.maySend = func(url string) bool { return k.known[url] }
	if k.base == nil {
		return nil
	}
	return (&scan{tree: k.base}).packages(ctx, func(p pack) error {
		for _, v := range p.versions {
			k.known[v.Source.Git.URL] = true
		}
		return nil
	}, func(string, error) {}) // what is wrong with it was so before
}

// template compares the template of a record with it. Of a repository that only
// credentials open no more is told than that something is wrong: whoever proposes the
// change may not be allowed to read it.
func (k *check) template(file string, rec schema.Record, t *templates.Template) {
	private := k.private[rec.Source.Git.URL]
	tell := func(format string, detail any) {
		if private {
			detail = "something else; what, is not told of a private repository"
		}
		k.fail(file, format, detail)
	}
	if t.Checksum != rec.Checksum {
		tell("cksum: the template has %s", t.Checksum)
	}
	if v := t.Manifest.Version; v != "" && v != rec.Version {
		tell("vers: the template says %s", v)
	}
	for _, p := range t.Lint() {
		if p.Severity != templates.SeverityError {
			continue
		}
		if private {
			k.fail(file, "its template does not pass lint; why, is not told of a private repository")
			return
		}
		k.fail(file, "its template: %s", p)
	}
}

// templates fetches what the new records name, compares it and has it linted.
func (k *check) templates(ctx context.Context) error {
	for file, rec := range k.records {
		if rec.Kind != schema.KindTemplate || !k.isNew(file) {
			continue
		}
		t, err := k.store.fetchSource(ctx, rec.Source.Git)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if k.private[rec.Source.Git.URL] {
				err = errors.New("why, is not told of a private repository")
			} else if e, ok := errors.AsType[*AuthError](err); ok && !e.Sent && !k.req.Credentials {
				err = fmt.Errorf("%w; no credentials are sent to a repository that only the change names", err)
			}
			k.fail(file, "its template cannot be fetched: %v", err)
			continue
		}
		k.template(file, rec, t)
	}
	return nil
}
