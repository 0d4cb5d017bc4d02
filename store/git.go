package store

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"fnb/internal/spelling"
	"fnb/origin"
	"fnb/schema"
	"fnb/store/cache"
	"fnb/store/git"
	"fnb/templates"
)

// A gitWant says which template of which repository is wanted.
type gitWant struct {
	url    string
	path   string       // of the template in the repository; "" to look for it
	name   string       // the template's; "" when only the repository is named
	ref    string       // tag, branch or commit; "" for the repository's own branch
	rng    string       // SemVer range of the tags, instead of ref
	semver bool         // rng is to be used
	from   origin.Reach // of whoever names it
}

// source is the wanted place as a stack would write it.
func (w gitWant) source() string {
	return schema.TemplateRef{Kind: schema.RefGit, URL: w.url, Path: w.path, Ref: w.ref}.String()
}

// asked is the key under which the cache remembers what ref or range named.
func (w gitWant) asked() string {
	if w.semver {
		return "range " + w.rng
	}
	return "ref " + w.ref
}

// place is the key under which the cache remembers where the template was.
func (w gitWant) place(commit string) string {
	return commit + " path=" + w.path + " name=" + w.name
}

// fromGit finds a template in a repository: in the cache where that is enough,
// and otherwise by asking.
func (l *lookup) fromGit(ctx context.Context, w gitWant) (resolution, error) {
	c := l.finder.cache
	pinned := l.pinned && l.pin.Store == w.source()
	if pinned {
		if t, ok := c.Open(l.pin.Checksum); ok {
			place, _, known := strings.Cut(c.Repository(w.url).Trees[w.place(l.pin.Commit)], " ")
			if !known {
				place = w.path
			}
			return foundInGit(t, w, place, commitAt{hash: l.pin.Commit, version: l.pin.Version}), nil
		}
	}
	unlock, err := c.Lock(ctx, w.url)
	if err != nil {
		return resolution{}, err
	}
	defer unlock()
	record := c.Repository(w.url)
	r := l.finder.within(w.from).git.Open(w.url)
	defer r.Close()
	at, err := l.commit(ctx, r, w, pinned, record)
	if err != nil {
		return resolution{}, asNotFound(l.kind, err)
	}
	if place, sum, ok := strings.Cut(record.Trees[w.place(at.hash)], " "); ok && at.hash != "" {
		if t, ok := c.Open(sum); ok {
			remember(record, w, at)
			return foundInGit(t, w, place, at), c.SaveRepository(record)
		}
	}
	if l.finder.mayNotAsk(w.url) {
		return resolution{}, &OfflineError{What: l.kind + " " + l.ref}
	}
	f, err := l.fetch(ctx, r, w, at, record)
	return f, asNotFound(l.kind, err)
}

// mayNotAsk reports whether a repository cannot be asked without a network.
func (s *Finder) mayNotAsk(url string) bool { return s.opts.Offline && !git.IsLocal(url) }

// asNotFound says of a repository or commit that is not there that the template or
// function is not, with what may be the reason beside it.
func asNotFound(kind string, err error) error {
	missing, ok := errors.AsType[*git.NotFoundError](err)
	if !ok {
		return err
	}
	none := &NotFoundError{Kind: kind, Name: missing.URL, Err: missing.Err}
	if u, ok := errors.AsType[*git.UnfollowedError](err); ok {
		return &git.UnfollowedError{Keys: u.Keys, Err: none}
	}
	return none
}

// commit finds out which commit is wanted. The lock's is, if it has one: a branch
// or tag may have moved since. Offline it is the last one seen, or none.
func (l *lookup) commit(ctx context.Context, r *git.Remote, w gitWant, pinned bool, record *cache.RepositoryRefs) (commitAt, error) {
	switch {
	case pinned && l.pin.Commit != "":
		return commitAt{hash: l.pin.Commit, version: l.pin.Version}, nil
	case isCommit(w.ref):
		return commitAt{hash: strings.TrimPrefix(w.ref, "sha-")}, nil
	case l.finder.mayNotAsk(w.url):
		return commitAt{hash: record.Refs[w.asked()], version: record.Refs["version "+w.asked()]}, nil
	}
	refs, err := r.References(ctx)
	if err != nil {
		return commitAt{}, err
	}
	return chooseCommit(refs, w)
}

// remember keeps what was asked for, for the next time without a network.
func remember(r *cache.RepositoryRefs, w gitWant, at commitAt) {
	r.Refs[w.asked()], r.Refs["version "+w.asked()] = at.hash, at.version
}

// fetch gets a template from its repository into the cache.
func (l *lookup) fetch(ctx context.Context, r *git.Remote, w gitWant, at commitAt, record *cache.RepositoryRefs) (resolution, error) {
	c := l.finder.cache
	dir, err := c.Unfinished()
	if err != nil {
		return resolution{}, err
	}
	// Nothing depends on what is left of it.
	defer func() { _ = os.RemoveAll(dir) }()
	root, err := r.Fetch(ctx, at.hash, filepath.Join(dir, "objects"))
	if err != nil {
		return resolution{}, err
	}
	at.hash = root.Commit
	folder, err := w.find(root)
	if err != nil {
		return resolution{}, err
	}
	files := filepath.Join(dir, "files")
	if err := folder.tree.Write(ctx, files); err != nil {
		return resolution{}, err
	}
	t, err := c.Add(files)
	if err != nil {
		return resolution{}, fmt.Errorf("%s: %w", w.url, err)
	}
	remember(record, w, at)
	record.Trees[w.place(at.hash)] = folder.path + " " + t.Checksum
	return foundInGit(t, w, folder.path, at), c.SaveRepository(record)
}

// foundInGit names a cached template as it was asked for. place is its folder in
// the repository.
func foundInGit(t *templates.Template, w gitWant, place string, at commitAt) resolution {
	switch {
	case w.name != "":
		t.Name = w.name
	case place != "" && place != ".":
		t.Name = path.Base(place)
	default:
		t.Name = strings.TrimSuffix(path.Base(w.url), ".git")
	}
	t.Source = w.url
	version := at.version
	if t.Manifest.Version != "" {
		version = t.Manifest.Version
	}
	return resolution{template: t, pin: schema.Pin{Store: w.source(), Version: version, Checksum: t.Checksum, Commit: at.hash}}
}

// A commitAt is a commit that a reference names.
type commitAt struct {
	hash    string // 40 hexadecimal digits, or fewer where only history can tell
	version string // of the tag, where a range chose it
}

func isHex(s string) bool {
	_, err := hex.DecodeString(s + strings.Repeat("0", len(s)%2))
	return err == nil && strings.ToLower(s) == s
}

// isCommit reports whether ref is a whole commit, which never names anything else.
func isCommit(ref string) bool {
	ref = strings.TrimPrefix(ref, "sha-")
	return len(ref) == 40 && isHex(ref)
}

// chooseCommit finds the commit that is wanted among the references of a repository.
func chooseCommit(refs git.References, w gitWant) (commitAt, error) {
	if w.semver {
		return chooseTag(refs, w)
	}
	if w.ref == "" {
		if refs.Head == "" {
			return commitAt{}, &NotFoundError{Name: w.title(), Err: fmt.Errorf("%s has no default branch", w.url)}
		}
		return commitAt{hash: refs.Head}, nil
	}
	for _, kind := range []string{"refs/tags/", "refs/heads/"} {
		if h, ok := refs.Commits[kind+w.ref]; ok {
			return commitAt{hash: h}, nil
		}
	}
	short, isSha := strings.CutPrefix(w.ref, "sha-")
	if len(short) < 7 || len(short) > 40 || !isHex(short) {
		var names []string
		for name := range refs.Commits {
			if n, ok := cutAny(name, "refs/tags/", "refs/heads/"); ok {
				names = append(names, n)
			}
		}
		if isSha {
			return commitAt{}, &NotFoundError{Name: w.title(), Err: errors.New("a commit is written as sha- and at least 7 hexadecimal digits")}
		}
		return commitAt{}, &NotFoundError{Name: w.title(), Near: spelling.Near(w.ref, names), Err: fmt.Errorf("%s has no tag or branch %s", w.url, w.ref)}
	}
	return commitAt{hash: short}, nil
}

// title is the wanted template in words.
func (w gitWant) title() string {
	name := w.name
	if name == "" {
		name = w.url
	}
	switch {
	case w.semver:
		return name + "@" + w.rng
	case w.ref != "":
		return name + "#" + w.ref
	}
	return name
}

func cutAny(s string, prefixes ...string) (string, bool) {
	for _, p := range prefixes {
		if rest, ok := strings.CutPrefix(s, p); ok {
			return rest, true
		}
	}
	return "", false
}

// chooseTag finds the highest version that the range allows. Tags are versions as
// they are or with a v before them.
func chooseTag(refs git.References, w gitWant) (commitAt, error) {
	constraint, err := semver.NewConstraint(w.rng)
	if err != nil {
		return commitAt{}, fmt.Errorf("template %s: %w", w.title(), err)
	}
	type tag struct {
		version *semver.Version
		ref     string
	}
	var tags []tag
	for name := range refs.Commits {
		text, ok := strings.CutPrefix(name, "refs/tags/")
		if !ok {
			continue
		}
		if v, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v")); err == nil {
			tags = append(tags, tag{v, name})
		}
	}
	slices.SortFunc(tags, func(a, b tag) int {
		if c := b.version.Compare(a.version); c != 0 {
			return c
		}
		return strings.Compare(a.ref, b.ref)
	})
	var have []string
	for _, t := range tags {
		have = append(have, t.version.String())
		if constraint.Check(t.version) {
			return commitAt{hash: refs.Commits[t.ref], version: t.version.String()}, nil
		}
	}
	return commitAt{}, &NotFoundError{Name: w.title(), Err: &VersionError{Range: w.rng, Have: slices.Compact(have), Where: w.url}}
}
