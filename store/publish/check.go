package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"fnb/gitrepo"
	"fnb/internal/plain"
	"fnb/registry"
	"fnb/schema"
	"fnb/store"
	"fnb/store/git"
	"fnb/store/owners"
	"fnb/store/records"
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
	// Registries says how registries are asked for the images of new functions, which
	// records name: with credentials only if Credentials are sent everywhere, and none that
	// is nearer than the store's repository. With nil they are not compared.
	Registries *registry.Options
	// Credentials says that they are sent to every repository, and not to those alone
	// that records of the base name.
	Credentials bool
}

// A Problem is one thing that is wrong with a store.
type Problem struct {
	File     string             `json:"file"`
	Severity templates.Severity `json:"severity"` // a warning is for a person to look at
	Message  string             `json:"message"`
}

// String returns p as one line.
func (p Problem) String() string {
	return p.File + ": " + string(p.Severity) + ": " + p.Message
}

// A check is one run of [Check].
type check struct {
	finder   *store.Finder // with an empty cache
	req      CheckRequest
	tree     records.Tree
	base     records.Tree // nil where there is none
	problems []Problem
	scan     *records.Scanner
	records  map[string]schema.Record // by file
	changes  []Change                 // what became of files since base; none without base
	unowned  []string                 // namespaces of these that have no owners
	foreign  map[string]bool          // namespaces of these that others own: nothing is asked for their records
	within   git.Restraint            // of all that records name
	known    map[string]bool          // repositories that records of the base name
	private  map[string]bool          // those that credentials were sent to
	judge    *owners.Judge            // of signatures
}

func (k *check) fail(file, format string, args ...any) {
	k.problems = append(k.problems, Problem{plain.Path(file), templates.SeverityError, plain.Short(fmt.Sprintf(format, args...))})
}

func (k *check) warn(file, message string) {
	k.problems = append(k.problems, Problem{plain.Path(file), templates.SeverityWarning, message})
}

// run finds all that is wrong with a store, and what becomes of its files. The error is about reading it.
func run(ctx context.Context, s *store.Finder, req CheckRequest) (*check, error) {
	fresh, remove, err := s.Fresh()
	if err != nil {
		return nil, err
	}
	defer remove()
	k := &check{finder: fresh, req: req, records: map[string]schema.Record{}, foreign: map[string]bool{}, known: map[string]bool{}, private: map[string]bool{}}
	done, err := k.open(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	k.scan = &records.Scanner{Tree: k.tree}
	if err := k.scan.Check(req.Dir); err != nil {
		k.fail(records.StoreFileName, "%v", err)
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
	slices.SortStableFunc(k.problems, func(a, b Problem) int { return strings.Compare(a.File, b.File) })
	k.problems = slices.Compact(k.problems)
	return k, nil
}

// open opens the store, and what it was before, and finds what has changed.
func (k *check) open(ctx context.Context) (done func(), err error) {
	if k.tree, done, err = records.OpenTree(ctx, k.req.Dir); err != nil || k.req.Base == "" {
		return done, err
	}
	head, ok := k.tree.(records.OwnTree)
	if !ok {
		done()
		return nil, fmt.Errorf("%s is not a git repository, and has no revision %s", k.req.Dir, k.req.Base)
	}
	base, err := head.At(k.req.Base)
	if err != nil {
		done()
		return nil, err
	}
	k.base = records.OwnTree{Tree: base}
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
	k.changes = append(k.changes, k.describe(c))
	if c.From == 0 {
		return
	}
	root, _, _ := strings.Cut(name, "/")
	isVersion := records.HasPackages(root) && path.Base(path.Dir(name)) == records.VersionsDir
	isOwners := root == records.NamespacesDir && strings.Count(name, "/") == 2
	gone := c.To == 0
	switch {
	case isVersion && gone && strings.HasSuffix(name, records.YankSuffix):
		k.warn(name, "makes a version that was withdrawn usable again")
	case isOwners:
		k.fail(name, "was changed or taken back, but owners with keys are only added")
	case isVersion && gone:
		k.fail(name, "was taken back, but versions are only added")
	case isVersion:
		k.fail(name, "was changed, but versions are only added")
	case name == records.StoreFileName:
		k.warn(name, "was changed")
	case gone:
		k.fail(name, "was taken away")
	}
}

// layout reports what has no place in a store.
func (k *check) layout() error {
	top, err := k.tree.List(".")
	if err != nil {
		return err
	}
	for _, e := range top {
		switch isFolder := e.Name == records.NamespacesDir || records.HasPackages(e.Name); {
		case isFolder && !e.Dir:
			k.fail(e.Name, "is not a folder")
		case e.Name == records.StoreFileName && !e.Plain:
			k.fail(e.Name, "%v", records.ErrNotPlain)
		}
	}
	for _, kind := range records.Kinds() {
		if err := k.layoutIn(records.KindDir(kind)); err != nil {
			return err
		}
	}
	return nil
}

func (k *check) layoutIn(root string) error {
	spaces, err := k.tree.List(root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, ns := range spaces {
		dir := path.Join(root, ns.Name)
		if !ns.Dir {
			k.fail(dir, "has no place in a store")
			continue
		}
		file := path.Join(records.NamespacesDir, ns.Name+records.RecordSuffix)
		if _, err := k.tree.Read(file); errors.Is(err, fs.ErrNotExist) {
			k.fail(file, "is missing")
		}
		names, err := k.tree.List(dir)
		if err != nil {
			return err
		}
		for _, name := range names {
			if !name.Dir {
				k.fail(path.Join(dir, name.Name), "has no place in a store")
				continue
			}
			if err := k.layoutOf(path.Join(dir, name.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// layoutOf reports what has no place in a package.
func (k *check) layoutOf(dir string) error {
	entries, err := k.tree.List(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		switch file := path.Join(dir, e.Name); {
		case (e.Name == records.PackageFile || e.Name == records.SignatureOf(records.PackageFile)) && !e.Dir:
			k.plain(file, e)
		case e.Name != records.VersionsDir || !e.Dir:
			k.fail(file, "has no place in a store")
		}
	}
	versions, err := k.tree.List(path.Join(dir, records.VersionsDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	has := map[string]bool{}
	for _, e := range versions {
		has[e.Name] = !e.Dir
	}
	for _, e := range versions {
		file := path.Join(dir, records.VersionsDir, e.Name)
		of, isSignature := strings.CutSuffix(e.Name, records.SignatureSuffix)
		if isSignature {
			of += records.RecordSuffix
		} else {
			of = e.Name
		}
		version, isYank := strings.CutSuffix(of, records.YankSuffix)
		if !isYank {
			version, _ = strings.CutSuffix(of, records.RecordSuffix)
		}
		switch err := schema.ValidateVersion(version); {
		case e.Dir || version == of:
			k.fail(file, "has no place in a store")
		case err != nil:
			k.fail(file, "%v", err)
		case isSignature && !has[of]:
			k.fail(file, "signs a file that is not there")
		case isYank && !has[version+records.RecordSuffix]:
			k.fail(file, "withdraws a version that is not there")
		default:
			k.plain(file, e)
		}
	}
	return nil
}

// plain reports a file that is none: what a link or a submodule leads to is not of the store, and nobody reads it.
func (k *check) plain(file string, e records.TreeEntry) {
	if !e.Plain {
		k.fail(file, "%v", records.ErrNotPlain)
	}
}

// content reads every file of the store.
func (k *check) content(ctx context.Context) error {
	k.judge = &owners.Judge{Known: baseKnown(k.base, time.Now()), Now: time.Now()}
	err := k.judge.Feed(k.scan.Feed(ctx))(records.Taker{Pass: k.passed, Add: func(p records.StoredPackage) error {
		for _, v := range p.Versions {
			k.records[path.Join(records.KindDir(p.Kind()), p.Name, records.VersionsDir, v.Version+records.RecordSuffix)] = v.Record
			k.signed(p, v)
		}
		return nil
	}})
	if err != nil {
		return err
	}
	spaces, err := k.tree.List(records.NamespacesDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range spaces {
		file := path.Join(records.NamespacesDir, e.Name)
		if e.Dir && schema.ValidateName(e.Name) == nil {
			k.layoutOfOwners(e.Name)
			continue
		}
		ns, ok := strings.CutSuffix(e.Name, records.RecordSuffix)
		if !ok || e.Dir {
			k.fail(file, "has no place in a store")
			continue
		}
		if err := schema.ValidateName(ns); err != nil {
			k.fail(file, "%v", err)
		}
		data, err := k.tree.Read(file)
		switch {
		case !e.Plain:
			err = records.ErrNotPlain
		case err == nil:
			_, err = schema.ParseNamespace(file, data)
		}
		if err != nil {
			k.fail(file, "%v", err)
		}
	}
	return err
}

// passed reports a file that is not what it should be. A signature that does not count any more is the owners'
// doing; it is an error where the file is new, and to be looked at where the owners are.
func (k *check) passed(file string, err error) {
	if e, ok := errors.AsType[*owners.SignatureError](err); ok && !k.isNew(file) && !k.isNew(records.SignatureOf(file)) {
		if chain := k.judge.Chain(e.Namespace); chain != nil && k.isNew(records.OwnersFile(e.Namespace, chain.Owners.Number)) {
			k.warn(file, "does not count any more: "+plain.Short(err.Error()))
		}
		return
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		k.fail(file, "%s", strings.TrimPrefix(line, file+": "))
	}
}

// signed reports a new version whose key has ended by now, whatever time its signature says.
func (k *check) signed(p records.StoredPackage, v records.StoredVersion) {
	file := path.Join(records.KindDir(p.Kind()), p.Name, records.VersionsDir, v.Version+records.RecordSuffix)
	ns, _, _ := strings.Cut(p.Name, "/")
	chain := k.judge.Chain(ns)
	if chain == nil || v.Signer == nil || !k.isNew(file) || k.base == nil {
		return
	}
	if until := chain.Until(v.Signer.Key); until != nil && time.Now().After(*until) {
		k.fail(file, "is signed by %s, and this key was valid until %s", v.Signer, until.UTC().Format(time.RFC3339))
	}
}

// layoutOfOwners reports what has no place among the owners of a namespace.
func (k *check) layoutOfOwners(ns string) {
	dir := path.Join(records.NamespacesDir, ns)
	entries, err := k.tree.List(dir)
	if err != nil {
		k.fail(dir, "%v", err)
	}
	chain, err := k.scan.Owners(ns)
	if err != nil {
		k.fail(dir, "%v", err)
	}
	for _, e := range entries {
		number, isOwners := strings.CutSuffix(e.Name, records.RecordSuffix)
		if !isOwners {
			number, _ = strings.CutSuffix(e.Name, records.SignatureSuffix)
		}
		n, err := strconv.Atoi(number)
		if e.Dir || !e.Plain || err != nil || number != strconv.Itoa(n) || n < 1 || n > len(chain) {
			k.fail(path.Join(dir, e.Name), "has no place among the owners of a namespace, which are numbered from 1")
		}
	}
}

// ownership reports what was changed in a namespace of somebody else. Who owns it
// is what the base says.
func (k *check) ownership() {
	if k.base == nil {
		return
	}
	seen := map[string]bool{}
	for _, c := range k.changes {
		parts := strings.Split(c.File, "/")
		if len(parts) < 2 {
			continue
		}
		if !records.HasPackages(parts[0]) && parts[0] != records.NamespacesDir {
			continue
		}
		ns := strings.TrimSuffix(parts[1], records.RecordSuffix)
		if seen[ns] {
			continue
		}
		seen[ns] = true
		file := path.Join(records.NamespacesDir, ns+records.RecordSuffix)
		data, err := k.base.Read(file)
		if errors.Is(err, fs.ErrNotExist) {
			k.warn(file, "is a new namespace")
			continue
		}
		var owned schema.Namespace
		if err == nil {
			owned, err = schema.ParseNamespace(file, data)
		}
		isOwner := func(who string) bool {
			return slices.ContainsFunc(owned.Owners, func(owner string) bool { return isSame(owner, who) })
		}
		switch {
		case err != nil:
			k.fail(file, "as it was: %v", err)
		case len(owned.Owners) == 0:
			k.unowned = append(k.unowned, ns)
		case len(k.req.Authors) == 0:
			k.warn(file, "fnb does not know who proposes the change, so it did not check whether they may make it")
		case !slices.ContainsFunc(k.req.Authors, isOwner):
			k.foreign[ns] = true
			k.fail(file, "the namespace %s does not belong to %s", ns, strings.Join(k.req.Authors, ", "))
		}
	}
}

// isSame reports whether two logins or mail addresses are the same person's, as hosts have it: the case of a login says
// nothing, nor does that of an address's host.
func isSame(a, b string) bool {
	userA, hostA, isMail := strings.Cut(a, "@")
	userB, hostB, alsoMail := strings.Cut(b, "@")
	switch {
	case isMail != alsoMail:
		return false
	case isMail:
		return userA == userB && equalFold(hostA, hostB)
	}
	return equalFold(a, b)
}

// equalFold reports whether two texts differ in the case of ASCII's letters at most: of others one looks like another.
func equalFold(a, b string) bool {
	odd := func(r rune) bool { return r > unicode.MaxASCII }
	return a == b || strings.EqualFold(a, b) && !strings.ContainsFunc(a+b, odd)
}

// isForeign reports whether a record is in a namespace that the author does not own. Whoever proposes it chooses the
// addresses in it, so they are not asked.
func (k *check) isForeign(rec schema.Record) bool {
	ns, _, _ := strings.Cut(rec.Name, "/")
	return k.foreign[ns]
}

// isNew reports whether a file is new or different since the base.
func (k *check) isNew(file string) bool {
	return k.base == nil || slices.ContainsFunc(k.changes, func(c Change) bool { return c.File == file })
}

// functions compares what new records say of images with what their registries have.
func (k *check) functions(ctx context.Context) error {
	if k.req.Registries == nil {
		return nil
	}
	opts := *k.req.Registries
	opts.Anonymous, opts.Least = !k.req.Credentials, k.within.Least
	client, err := registry.New(opts)
	if err != nil {
		return err
	}
	for file, rec := range k.records {
		if rec.Kind != schema.KindFunction || !k.isNew(file) || k.isForeign(rec) {
			continue
		}
		if err := store.VerifyImage(ctx, client, rec); ctx.Err() != nil {
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
	k.within = git.Restraint{Least: git.ReachOfClone(ctx, k.req.Dir), Sent: func(url string) { k.private[url] = true }}
	if !k.req.Credentials {
		k.within.MaySend = func(url string) bool { return k.known[url] }
	}
	k.finder = k.finder.Restrain(k.within)
	if k.req.Credentials || k.base == nil {
		return nil
	}
	return (&records.Scanner{Tree: k.base}).Packages(ctx, func(p records.StoredPackage) error {
		for _, v := range p.Versions {
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
			detail = "something else; fnb does not show what a private repository has"
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
			k.fail(file, "its template does not pass lint; fnb does not show why, because its repository is private")
			return
		}
		k.fail(file, "its template: %s", p)
	}
}

// templates fetches what the new records name, compares it and has it linted.
func (k *check) templates(ctx context.Context) error {
	for file, rec := range k.records {
		if rec.Kind != schema.KindTemplate || !k.isNew(file) || k.isForeign(rec) {
			continue
		}
		t, err := k.finder.FetchTemplate(ctx, rec.Source.Git)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			if k.private[rec.Source.Git.URL] {
				err = errors.New("fnb does not show why, because its repository is private")
			} else if e, ok := errors.AsType[*git.AuthError](err); ok && !e.Sent && !k.req.Credentials {
				err = fmt.Errorf("%w; no credentials are sent to a repository that only the change names", err)
			}
			k.fail(file, "its template cannot be fetched: %v", err)
			continue
		}
		k.template(file, rec, t)
	}
	return nil
}
