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
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"

	"fnb/origin"
	"fnb/schema"
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
func (l *lookup) fromGit(ctx context.Context, w gitWant) (found, error) {
	c := l.store.cache
	pinned := l.pinned && l.pin.Store == w.source()
	if pinned {
		if t, ok := c.open(l.pin.Checksum); ok {
			place, _, known := strings.Cut(c.record(w.url).Trees[w.place(l.pin.Commit)], " ")
			if !known {
				place = w.path
			}
			return foundInGit(t, w, place, commitAt{hash: l.pin.Commit, version: l.pin.Version}), nil
		}
	}
	unlock, err := c.lockRepo(ctx, w.url)
	if err != nil {
		return found{}, err
	}
	defer unlock()
	record := c.record(w.url)
	r := &remote{store: l.store.within(w.from), url: w.url}
	defer r.close()
	at, err := l.commit(ctx, r, w, pinned, record)
	if err != nil {
		return found{}, err
	}
	if place, sum, ok := strings.Cut(record.Trees[w.place(at.hash)], " "); ok && at.hash != "" {
		if t, ok := c.open(sum); ok {
			record.remember(w, at)
			return foundInGit(t, w, place, at), c.save(record)
		}
	}
	if r.offline() {
		return found{}, &OfflineError{Ref: l.ref}
	}
	return l.fetch(ctx, r, w, at, record)
}

// commit finds out which commit is wanted. The lock's is, if it has one: a branch
// or tag may have moved since. Offline it is the last one seen, or none.
func (l *lookup) commit(ctx context.Context, r *remote, w gitWant, pinned bool, record *repoRecord) (commitAt, error) {
	switch {
	case pinned && l.pin.Commit != "":
		return commitAt{hash: l.pin.Commit, version: l.pin.Version}, nil
	case isCommit(w.ref):
		return commitAt{hash: strings.TrimPrefix(w.ref, "sha-")}, nil
	case r.offline():
		return commitAt{hash: record.Refs[w.asked()], version: record.Refs["version "+w.asked()]}, nil
	}
	return r.resolve(ctx, w)
}

// remember keeps what was asked for, for the next time without a network.
func (r *repoRecord) remember(w gitWant, at commitAt) {
	r.Refs[w.asked()], r.Refs["version "+w.asked()] = at.hash, at.version
}

// fetch gets a template from its repository into the cache.
func (l *lookup) fetch(ctx context.Context, r *remote, w gitWant, at commitAt, record *repoRecord) (found, error) {
	c := l.store.cache
	dir, err := c.unfinished()
	if err != nil {
		return found{}, err
	}
	// Nothing depends on what is left of it.
	defer func() { _ = os.RemoveAll(dir) }()
	objects, err := r.objects(ctx, &at, filepath.Join(dir, "objects"))
	if err != nil {
		return found{}, err
	}
	x := &extract{objects: objects, source: w.url, limits: l.store.opts.Limits}
	tree, err := x.root(at.hash)
	if err != nil {
		return found{}, err
	}
	placed, err := x.place(tree, w)
	if err != nil {
		return found{}, err
	}
	files := filepath.Join(dir, "files")
	if err := x.write(ctx, placed.tree, files); err != nil {
		return found{}, err
	}
	t, err := c.add(files)
	if err != nil {
		return found{}, fmt.Errorf("%s: %w", w.url, err)
	}
	record.remember(w, at)
	record.Trees[w.place(at.hash)] = placed.path + " " + t.Checksum
	return foundInGit(t, w, placed.path, at), c.save(record)
}

// foundInGit names a cached template as it was asked for. place is its folder in
// the repository.
func foundInGit(t *templates.Template, w gitWant, place string, at commitAt) found {
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
	return found{template: t, pin: schema.Pin{Store: w.source(), Version: version, Checksum: t.Checksum, Commit: at.hash}}
}

// A commitAt is a commit that a reference names.
type commitAt struct {
	hash    string // 40 hexadecimal digits, or fewer where only history can tell
	version string // of the tag, where a range chose it
	whole   bool   // the history is needed, to find the commit
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

// choose finds the commit that is wanted among the references of a repository.
func choose(adv *packp.AdvRefs, w gitWant) (commitAt, error) {
	if w.semver {
		return chooseTag(adv, w)
	}
	if w.ref == "" {
		if adv.Head == nil {
			return commitAt{}, &NotFoundError{Name: w.title(), Err: fmt.Errorf("%s has no default branch", w.url)}
		}
		return commitAt{hash: adv.Head.String()}, nil
	}
	for _, kind := range []string{"refs/tags/", "refs/heads/"} {
		if h, ok := peeled(adv, kind+w.ref); ok {
			return commitAt{hash: h.String()}, nil
		}
	}
	short, isSha := strings.CutPrefix(w.ref, "sha-")
	if len(short) < 7 || len(short) > 40 || !isHex(short) {
		var names []string
		for name := range adv.References {
			if n, ok := cutAny(name, "refs/tags/", "refs/heads/"); ok {
				names = append(names, n)
			}
		}
		if isSha {
			return commitAt{}, &NotFoundError{Name: w.title(), Err: errors.New("a commit is written as sha- and at least 7 hexadecimal digits")}
		}
		return commitAt{}, &NotFoundError{Name: w.title(), Near: schema.Near(w.ref, names), Err: fmt.Errorf("%s has no tag or branch %s", w.url, w.ref)}
	}
	return commitAt{hash: short, whole: true}, nil
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

func peeled(adv *packp.AdvRefs, name string) (plumbing.Hash, bool) {
	if h, ok := adv.Peeled[name]; ok {
		return h, true
	}
	h, ok := adv.References[name]
	return h, ok
}

// chooseTag finds the highest version that the range allows. Tags are versions as
// they are or with a v before them.
func chooseTag(adv *packp.AdvRefs, w gitWant) (commitAt, error) {
	constraint, err := semver.NewConstraint(w.rng)
	if err != nil {
		return commitAt{}, fmt.Errorf("template %s: %w", w.title(), err)
	}
	type tag struct {
		version *semver.Version
		ref     string
	}
	var tags []tag
	for name := range adv.References {
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
			h, _ := peeled(adv, t.ref)
			return commitAt{hash: h.String(), version: t.version.String()}, nil
		}
	}
	return commitAt{}, &NotFoundError{Name: w.title(), Err: &VersionError{Range: w.rng, Have: slices.Compact(have), Where: w.url}}
}
