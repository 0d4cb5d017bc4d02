package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fnb/gitrepo"
	"fnb/schema"
	"fnb/schema/ownership"
	"fnb/store"
	"fnb/store/records"
	"fnb/templates"
)

// publishBranch begins the branches that are proposed to a store.
const publishBranch = "refs/heads/publish/"

// A Publication is a version of a template that is to get into a store.
type Publication struct {
	Dir     string // of the template, in a git repository
	Store   string // by name
	Name    string // namespace/name; "" for the folder's name in the store's only namespace
	Version string // "" for what the manifest says
	Source  string // URL of the template's repository; "" for that of its remote origin
	FNB     string // SemVer range of the fnb that it needs; "" for any
	Tags    []string
	Propose bool      // push a branch of its own, for somebody to look at
	Now     time.Time // the time to record; zero for now
	Signing Signing
}

// A Published is what came of a [Publication].
type Published struct {
	Store    string `json:"store"`
	Name     string `json:"name"`
	Version  string `json:"version"`
	Checksum string `json:"checksum"`
	Already  bool   `json:"already,omitempty"` // the store had it, with the same content
	Commit   string `json:"commit,omitempty"`  // of the store
	Branch   string `json:"branch,omitempty"`  // that was proposed
	Compare  string `json:"compare,omitempty"` // where to ask for it to be merged
	Tries    int    `json:"tries,omitempty"`
	Signed   bool   `json:"signed,omitempty"`
}

// Template records a version of a template in a store: as the folder is, as its
// repository has it at a commit that everybody can fetch, and without problems that
// [templates.Template.Lint] calls errors. A version that the store has already with
// the same content is no error; with another content it is a [*ConflictError].
func Template(ctx context.Context, s *store.Finder, p Publication) (Published, error) {
	t, err := openClean(p.Dir)
	if err != nil {
		return Published{}, err
	}
	c, name, err := target(ctx, s, p.Store, p.Name, t.Name)
	if err != nil {
		return Published{}, err
	}
	p.Name = name
	if err := p.complete(t); err != nil {
		return Published{}, err
	}
	src, err := sourceOf(ctx, p)
	if err != nil {
		return Published{}, err
	}
	if !c.MayLeadTo(src.URL) {
		return Published{}, fmt.Errorf("the remote origin of %s is a folder of this machine, which nobody else can fetch from", p.Dir)
	}
	if err := checkSource(ctx, s, src, t); err != nil {
		return Published{}, err
	}
	return publish(ctx, s, c, entryOfStore{record: record(p, t, src), tags: p.Tags, propose: p.Propose, signing: &p.Signing})
}

// An entryOfStore is a record on its way into a store.
type entryOfStore struct {
	record  schema.Record
	tags    []string // of a new package
	propose bool     // in a branch of its own
	dry     bool     // find out only whether it could be
	signing *Signing
}

// publish adds a record to a store.
func publish(ctx context.Context, s *store.Finder, c store.Store, e entryOfStore) (Published, error) {
	rec := e.record
	if _, err := remarshal(rec); err != nil {
		return Published{}, err
	}
	out := Published{Store: c.Name, Name: rec.Name, Version: rec.Version, Checksum: rec.Checksum}
	if rec.Image != nil {
		out.Checksum = rec.Image.Digest
	}
	a := store.Addition{Message: "publish " + rec.Name + " " + rec.Version, Dry: e.dry}
	if e.propose {
		a.Branch = publishBranch + rec.Kind + "/" + rec.Name + "/" + rec.Version
		out.Branch = strings.TrimPrefix(a.Branch, "refs/heads/")
	}
	a.Files = func(tree records.Tree) (map[string][]byte, error) {
		files, err := newRecord(s, tree, rec, e.tags)
		if err != nil || len(files) == 0 || e.dry {
			return files, err
		}
		file := recordFile(rec)
		err = e.signing.add(ctx, tree, c.Name, ownership.RecordFile(file, files[file], rec), files, ownership.RolePublish)
		_, out.Signed = files[records.SignatureOf(file)]
		return files, err
	}
	done, err := s.Add(ctx, c, a)
	if err != nil {
		return out, err
	}
	out.Already, out.Commit, out.Tries = !done.Wrote, done.Commit, done.Tries
	if e.propose && done.Wrote {
		out.Compare = compareURL(c.URL, strings.TrimPrefix(done.Base, "refs/heads/"), out.Branch)
	}
	return out, nil
}

// target is the store to publish in, and the package's full name: without one it is
// own in the only namespace of the store.
func target(ctx context.Context, s *store.Finder, in, name, own string) (store.Store, string, error) {
	c, err := s.Store(in)
	if err != nil {
		return c, "", err
	}
	if name == "" { // the store's namespaces count
		if c, err = s.Bound(ctx, in); err != nil {
			return c, "", err
		}
		if len(c.Namespaces) != 1 {
			return c, "", fmt.Errorf("the store %s has not exactly one namespace: say NAMESPACE/NAME", c.Name)
		}
		name = c.Namespaces[0] + "/" + own
	}
	if err := schema.ValidatePackageName(name); err != nil {
		return c, "", err
	}
	all, err := s.Stores()
	if err != nil {
		return c, "", err
	}
	ns, _, _ := strings.Cut(name, "/")
	for _, o := range all {
		if o.Name != c.Name && slices.Contains(o.Namespaces, ns) {
			return c, "", fmt.Errorf("the namespace %s belongs to the store %s", ns, o.Name)
		}
	}
	return c, name, nil
}

// openClean opens a template that has no errors.
func openClean(dir string) (*templates.Template, error) {
	problems, err := templates.LintDir(dir)
	if err != nil {
		return nil, err
	}
	problems = slices.DeleteFunc(problems, func(p templates.Problem) bool { return p.Severity != templates.SeverityError })
	if len(problems) > 0 {
		return nil, &LintError{Dir: dir, Problems: problems}
	}
	return templates.OpenDir(dir)
}

// complete fills in what was left out.
func (p *Publication) complete(t *templates.Template) error {
	switch has := t.Manifest.Version; {
	case p.Version == "" && has == "":
		return fmt.Errorf("%s has no version: write one into %s, or say which it is", p.Dir, templates.ManifestName)
	case p.Version == "":
		p.Version = has
	case has != "" && has != p.Version:
		return fmt.Errorf("--version %s, but %s says %s: change it there and commit, or leave --version out", p.Version, templates.ManifestName, has)
	}
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	return schema.ValidateVersion(p.Version)
}

// sourceOf finds out where others can fetch the template.
func sourceOf(ctx context.Context, p Publication) (schema.GitSource, error) {
	repo, err := gitrepo.Open(ctx, p.Dir, gitrepo.Options{})
	if errors.Is(err, gitrepo.ErrNone) {
		return schema.GitSource{}, fmt.Errorf("%s is in no git repository, which is where others get its files", p.Dir)
	}
	if err != nil {
		return schema.GitSource{}, err
	}
	rev, err := repo.Revision(ctx)
	if err != nil {
		return schema.GitSource{}, err
	}
	src := schema.GitSource{URL: p.Source, Commit: rev.Commit, Path: repo.Prefix}
	if src.URL == "" {
		src.URL = rev.Source
	}
	if filepath.IsAbs(src.URL) {
		src.URL = "file://" + filepath.ToSlash(src.URL)
	}
	if src.URL == "" {
		return src, fmt.Errorf("the git repository of %s has no remote origin: say from which URL others get it", p.Dir)
	}
	src.Ref, err = tagOf(ctx, repo, rev.Commit, p)
	return src, err
}

// tagOf is the tag of a commit that is named after a publication; "" for none.
func tagOf(ctx context.Context, repo *gitrepo.Repo, commit string, p Publication) (string, error) {
	_, name, _ := strings.Cut(p.Name, "/")
	head, err := repo.Tree(ctx, commit)
	if err != nil {
		return "", err
	}
	for _, tag := range []string{"v" + p.Version, p.Version, name + "-v" + p.Version, name + "-" + p.Version, name + "/v" + p.Version} {
		if at, err := head.At("refs/tags/" + tag); err == nil && at.Commit == commit {
			return "refs/tags/" + tag, head.Close()
		}
	}
	return "", head.Close()
}

// checkSource fetches the template as anybody would, and compares it.
func checkSource(ctx context.Context, s *store.Finder, src schema.GitSource, t *templates.Template) error {
	fresh, remove, err := s.Fresh()
	if err != nil {
		return err
	}
	defer remove()
	got, err := fresh.FetchTemplate(ctx, src)
	if _, missing := errors.AsType[*store.NotFoundError](err); missing {
		return fmt.Errorf("%s does not have the template at commit %.12s: commit and push it first: %w", src.URL, src.Commit, err)
	}
	if err != nil {
		return err
	}
	if got.Checksum != t.Checksum {
		return fmt.Errorf("the files are not those of commit %.12s in %s: commit and push them first", src.Commit, src.URL)
	}
	return nil
}

// record is what a store says of a template.
func record(p Publication, t *templates.Template, src schema.GitSource) schema.Record {
	at := p.Now.UTC().Truncate(time.Second)
	rec := schema.Record{
		V: schema.RecordVersion, Kind: schema.KindTemplate, Name: p.Name, Version: p.Version, Checksum: t.Checksum,
		Source: schema.RecordSource{Git: src}, Language: t.Manifest.Language, Description: t.Manifest.Description,
		FNB: p.FNB, License: t.Manifest.License, Published: &at,
		Parts: schema.RecordParts{
			Dockerfile: t.Dockerfile.Path,
			Entrypoint: schema.RecordEntrypoint{FProcess: t.Entrypoint.FProcess, Mode: t.Entrypoint.Mode, Watchdog: t.Manifest.Watchdog},
			Handler:    schema.RecordHandler{Dir: t.Handler.Folder},
		},
	}
	for _, platform := range t.Manifest.Platforms {
		rec.Platforms = append(rec.Platforms, platform.String())
	}
	for _, l := range t.Packages.Lists {
		rec.Parts.Packages = append(rec.Parts.Packages, schema.RecordPackages{Ecosystem: l.Ecosystem, Manifest: l.Manifest, Lock: l.Lock})
	}
	return rec
}

// remarshal returns the record's file, after it was found to be one.
func remarshal(rec schema.Record) ([]byte, error) {
	data, err := rec.Marshal()
	if err != nil {
		return nil, err
	}
	_, err = schema.ParseRecord(rec.Name+"@"+rec.Version, data)
	return data, err
}

// recordFile is the file of a record in a store.
func recordFile(rec schema.Record) string {
	return path.Join(records.KindDir(rec.Kind), rec.Name, records.VersionsDir, rec.Version+records.RecordSuffix)
}

// newRecord returns the files that a record needs in a store beside those that
// there are.
func newRecord(s *store.Finder, tree records.Tree, rec schema.Record, tags []string) (map[string][]byte, error) {
	file := recordFile(rec)
	dir := path.Dir(path.Dir(file))
	if data, err := tree.Read(file); err == nil {
		old, err := schema.ParseRecord(file, data)
		if err == nil && records.Content(old) == records.Content(attachedAsIn(old, rec)) {
			return nil, nil
		}
		return nil, &ConflictError{Kind: rec.Kind, Name: rec.Name, Version: rec.Version, Have: old.Checksum, Want: rec.Checksum}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	data, err := remarshal(rec)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{file: data}
	add := func(name string, m interface{ Marshal() ([]byte, error) }) error {
		if _, err := tree.Read(name); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		data, err := m.Marshal()
		files[name] = data
		return err
	}
	author, err := s.Author()
	if err != nil {
		return nil, err
	}
	ns, _, _ := strings.Cut(rec.Name, "/")
	err = errors.Join(
		add(path.Join(records.NamespacesDir, ns+records.RecordSuffix), schema.Namespace{V: schema.RecordVersion, Owners: []string{author.Email}}),
		add(path.Join(dir, records.PackageFile), schema.Package{V: schema.RecordVersion, Description: rec.Description, Tags: tags}))
	return files, err
}

// Yank withdraws a version of a template or function, as kind says: ref is
// namespace/name@version. It is chosen no more, except where a lock has it. A
// version that was withdrawn before stays as it was.
func Yank(ctx context.Context, s *store.Finder, kind, ref string, yank schema.Yank, signing Signing) (Published, error) {
	parsed, err := schema.ParseTemplateRef(ref)
	if err != nil {
		return Published{}, err
	}
	if parsed.Kind != schema.RefName || parsed.Namespace == "" || schema.ValidateVersion(parsed.Range) != nil {
		return Published{}, fmt.Errorf("%q is not NAMESPACE/NAME@VERSION", ref)
	}
	c, _, err := s.Home(ctx, kind, ref)
	if err != nil {
		return Published{}, err
	}
	author, err := s.Author()
	if err != nil {
		return Published{}, err
	}
	at := time.Now().UTC().Truncate(time.Second)
	yank.V, yank.By, yank.At = schema.RecordVersion, author.Email, &at
	data, err := yank.Marshal()
	if err != nil {
		return Published{}, err
	}
	if _, err := schema.ParseYank("yank", data); err != nil {
		return Published{}, err
	}
	name := parsed.Namespace + "/" + parsed.Name
	base := path.Join(records.KindDir(kind), name, records.VersionsDir, parsed.Range)
	done, err := s.Add(ctx, c, store.Addition{Message: "yank " + name + " " + parsed.Range, Files: func(tree records.Tree) (map[string][]byte, error) {
		if _, err := tree.Read(base + records.RecordSuffix); errors.Is(err, fs.ErrNotExist) {
			return nil, &store.NotFoundError{Kind: kind, Name: ref, Err: fmt.Errorf("the store %s has no such version", c.Name)}
		} else if err != nil {
			return nil, err
		}
		if _, err := tree.Read(base + records.YankSuffix); !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		files := map[string][]byte{base + records.YankSuffix: data}
		err := signing.add(ctx, tree, c.Name, ownership.File{Name: base + records.YankSuffix, Data: data}, files, ownership.RoleYank)
		return files, err
	}})
	return Published{Store: c.Name, Name: name, Version: parsed.Range, Already: !done.Wrote, Commit: done.Commit, Tries: done.Tries}, err
}

// compareURL is the page on which a branch can be proposed; "" where the store's
// host is not known to have one.
func compareURL(store, base, branch string) string {
	store = gitrepo.WithoutCredentials(store)
	u, err := url.Parse(store)
	if err != nil || u.Host == "" {
		return ""
	}
	if u.Scheme == "ssh" {
		u.Scheme, u.User, u.Host = "https", nil, u.Hostname()
	}
	if u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	page := strings.TrimSuffix(u.String(), ".git")
	if strings.Contains(u.Hostname(), "gitlab") {
		return page + "/-/merge_requests/new?" + url.Values{
			"merge_request[source_branch]": {branch}, "merge_request[target_branch]": {base},
		}.Encode()
	}
	return page + "/compare/" + base + "..." + branch
}
