package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"fnb/internal/plain"
	"fnb/internal/spelling"
	"fnb/schema"
	"fnb/store/cache"
	"fnb/store/records"
)

// fromStores finds a template by namespace and name in the one store that has the
// namespace, or in the store that the reference names.
func (l *lookup) fromStores(ctx context.Context) (resolution, error) {
	if l.pinned && !isFolderStore(l.pin.Store) {
		if t, ok := l.finder.cache.Open(l.pin.Checksum); ok {
			t.Name, t.Source = l.parsed.Name, l.pin.Store
			// A lock may say anything of who signed: the store has to, where it matters.
			if l.noteIfYanked(); l.record != nil || l.finder.opts.Offline || !l.scope.Policy.SignsTemplates() {
				return resolution{template: t, pin: l.pin}, nil
			}
		}
	}
	c, err := l.home(ctx)
	if isMissing(err) && l.pinned {
		if f, ok, ferr := l.fromPin(ctx); ok {
			return f, ferr
		}
	}
	if err != nil {
		return resolution{}, err
	}
	versions, err := l.versions(ctx, c, false)
	if err != nil {
		return resolution{}, err
	}
	if e := versions[0].OpenFaaS; e != nil {
		return l.fromList(ctx, c, e)
	}
	v, err := l.chooseOrAsk(ctx, c, &versions)
	if err != nil {
		return resolution{}, err
	}
	return l.fromRecord(ctx, c, v)
}

// fromPin finds a template by the lock alone, on a machine that has not added the store
// it is from; ok is false where the lock does not say enough. That it is what the lock
// pins is checked as always.
func (l *lookup) fromPin(ctx context.Context) (f resolution, ok bool, err error) {
	at, err := schema.ParseTemplateRef(cmp.Or(l.pin.Source, l.pin.Store))
	if err != nil || at.Kind != schema.RefGit || l.pin.Commit == "" {
		return resolution{}, false, nil
	}
	f, err = l.fromGit(ctx, gitWant{url: at.URL, path: cmp.Or(at.Path, "."), ref: l.pin.Commit})
	if err != nil {
		return resolution{}, true, fmt.Errorf("as fnb.lock has it: %w", err)
	}
	f.template.Name, f.template.Source = l.parsed.Name, l.pin.Store
	return resolution{template: f.template, pin: schema.Pin{Store: l.pin.Store, Version: l.pin.Version, Checksum: f.template.Checksum, Commit: l.pin.Commit, Source: l.pin.Source, Signer: l.pin.Signer}}, true, nil
}

// chooseOrAsk is chooseVersion, which asks the store where its cache has no such version.
func (l *lookup) chooseOrAsk(ctx context.Context, c Store, versions *[]records.StoredVersion) (records.StoredVersion, error) {
	v, err := l.chooseVersion(c, *versions)
	if isMissing(err) && !l.asked && !l.finder.opts.Offline {
		// It may have been published a minute ago.
		if *versions, err = l.versions(ctx, c, true); err != nil {
			return records.StoredVersion{}, err
		}
		v, err = l.chooseVersion(c, *versions)
	}
	return v, err
}

// home is the store in which the reference is looked up.
func (l *lookup) home(ctx context.Context) (Store, error) {
	if l.parsed.Store != "" {
		c, err := l.finder.Store(l.parsed.Store)
		if is, ok := errors.AsType[*records.NoStoreError](err); ok {
			return c, &NotFoundError{Kind: l.kind, Name: l.ref, Near: is.Near, Err: err}
		}
		return c, err
	}
	owner := func() (Store, []Store, bool, error) {
		all, err := l.finder.Stores()
		for _, c := range all {
			if slices.Contains(c.Namespaces, l.parsed.Namespace) {
				return c, all, true, err
			}
		}
		return Store{}, all, false, err
	}
	c, all, ok, err := owner()
	if err != nil || ok {
		return c, err
	}
	// A store may have got the namespace since it was read.
	for _, c := range all {
		_, notes, _, err := l.finder.index(ctx, c)
		if err != nil {
			return Store{}, fmt.Errorf("store %s: %w", c.Name, err)
		}
		l.notes = append(l.notes, notes...)
	}
	if c, _, ok, err = owner(); err != nil || ok {
		return c, err
	}
	why := fmt.Errorf("no store has the namespace %s", l.parsed.Namespace)
	if len(all) == 0 {
		why = errors.New("it would be in a store, but none is added")
	}
	return Store{}, &NotFoundError{Kind: l.kind, Name: l.ref, Near: l.near(), Err: why}
}

// versions returns the versions that a store has of the template, never none. With
// again the store itself is asked.
func (l *lookup) versions(ctx context.Context, c Store, again bool) ([]records.StoredVersion, error) {
	var x *cache.Index
	var notes []string
	var err error
	if again {
		l.asked = true
		x, notes, err = l.finder.refresh(ctx, c)
	} else {
		x, notes, l.asked, err = l.finder.index(ctx, c)
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", c.Name, err)
	}
	for _, n := range notes {
		l.noteOnce(n)
	}
	l.index = x
	m, ok := x.Find(l.kind, l.parsed.Namespace+"/"+l.parsed.Name)
	if l.parsed.Namespace == "" {
		m, ok, err = onlyPackage(x, l.kind, l.parsed.Name)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", l.kind, l.ref, err)
		}
	}
	if !ok {
		if !l.asked && !l.finder.opts.Offline {
			return l.versions(ctx, c, true)
		}
		return nil, &NotFoundError{Kind: l.kind, Name: l.ref, Near: l.near(), Err: fmt.Errorf("the store %s does not have it", c.Name)}
	}
	versions, err := x.Versions(m)
	if errors.Is(err, cache.ErrDamaged) && !l.asked && !l.finder.opts.Offline {
		if err := l.finder.cache.ForgetIndex(c.URL); err != nil {
			return nil, err
		}
		return l.versions(ctx, c, true)
	}
	if err != nil {
		return nil, fmt.Errorf("store %s: %w", c.Name, err)
	}
	if m.Deprecated != "" {
		l.note("%s %s is %s", l.kind, m.Name, m.Deprecated)
	}
	return versions, nil
}

// onlyPackage returns the package of a name that is in one namespace.
func onlyPackage(x *cache.Index, kind, name string) (m records.Summary, ok bool, err error) {
	var all []string
	for _, s := range x.All(kind) {
		if strings.HasSuffix(s.Name, "/"+name) {
			m, ok = s, true
			all = append(all, s.Name)
		}
	}
	if len(all) > 1 {
		return m, false, fmt.Errorf("several have the name: %s", strings.Join(all, ", "))
	}
	return m, ok, nil
}

// nearInStores returns the templates of the stores that resemble the reference's
// name, as the cache knows them.
func (l *lookup) nearInStores() []string {
	all, err := l.finder.Stores()
	if err != nil {
		return nil // what cannot be read cannot be suggested
	}
	full := map[string][]string{}
	var names []string
	for _, c := range all {
		x, ok := l.finder.cache.OpenIndex(c.URL)
		if !ok {
			continue
		}
		for _, m := range x.All(l.kind) {
			_, name, _ := strings.Cut(m.Name, "/")
			full[name] = append(full[name], m.Name)
			names = append(names, name)
		}
	}
	var near []string
	for _, name := range spelling.Near(l.parsed.Name, names) {
		near = append(near, full[name]...)
	}
	return near[:min(len(near), 3)]
}

// noteIfYanked says that the version which the lock has was withdrawn, as far as
// the cache knows.
func (l *lookup) noteIfYanked() {
	for _, v := range l.cachedVersions(l.pin.Store) {
		if v.Checksum == l.pin.Checksum && v.Version == l.pin.Version {
			if l.record = &v; v.Yanked != nil {
				l.noteYanked(v)
			}
		}
	}
}

// cachedVersions are those of the package in a store, as far as the cache knows.
func (l *lookup) cachedVersions(store string) []records.StoredVersion {
	c, err := l.finder.Store(store)
	if err != nil {
		return nil // the store is not needed
	}
	x, ok := l.finder.cache.OpenIndex(c.URL)
	if !ok {
		return nil
	}
	m, ok := x.Find(l.kind, l.parsed.Namespace+"/"+l.parsed.Name)
	if !ok {
		return nil
	}
	versions, err := x.Versions(m)
	if err != nil {
		return nil // a damaged cache says nothing
	}
	return versions
}

// Withdrawn returns why the version of a template that a lock has was withdrawn, as far as
// the cache knows; nil where it was not. Nobody is asked.
func (s *Finder) Withdrawn(ref string, pin schema.Pin) *schema.Yank {
	l, err := s.lookup(schema.KindTemplate, ref, Scope{})
	if err != nil {
		return nil // a folder or a git repository, where nothing is withdrawn
	}
	for _, v := range l.cachedVersions(pin.Store) {
		if v.Checksum == pin.Checksum && v.Version == pin.Version && v.Yanked != nil {
			return v.Yanked
		}
	}
	return nil
}

func (l *lookup) noteYanked(v records.StoredVersion) {
	l.note("%s %s: version %s, which fnb.lock has, was withdrawn: %s", l.kind, l.ref, v.Version, plain.Short(v.Yanked.Reason))
}

// noteReturned says of the chosen version that it had been withdrawn.
func (l *lookup) noteReturned(c Store, v records.StoredVersion) {
	if l.index == nil {
		return
	}
	key := cache.ReturnedKey(l.kind, v.Name, v.Version)
	if _, ok := l.index.State.Returned[key]; ok {
		l.noteOnce(l.index.ReturnedNote(c.Name, key))
	}
}

// noteOnce adds a note that is not there yet.
func (l *lookup) noteOnce(note string) {
	if !slices.Contains(l.notes, note) {
		l.notes = append(l.notes, note)
	}
}

// chooseVersion finds the version that the reference means among versions, which ascend.
func (l *lookup) chooseVersion(c Store, versions []records.StoredVersion) (records.StoredVersion, error) {
	if l.pinned {
		for _, v := range versions {
			if v.Checksum == l.pin.Checksum && (l.pin.Version == "" || v.Version == l.pin.Version) {
				if v.Yanked != nil {
					l.noteYanked(v)
				}
				l.noteReturned(c, v)
				return v, l.signedAsPinned(c, v)
			}
		}
		problem := fmt.Sprintf("the store %s has no version %s with the checksum that fnb.lock has", c.Name, l.pin.Version)
		return records.StoredVersion{}, &MismatchError{Reference: l.ref, Want: l.pin.Checksum, Problem: problem}
	}
	switch {
	case versions[0].Version != "":
	case l.parsed.Range == "":
		return versions[0], nil // of a list of OpenFaaS'
	default:
		return records.StoredVersion{}, &NotFoundError{Kind: l.kind, Name: l.ref, Err: fmt.Errorf("%s is a list of OpenFaaS's, which has no versions", c.Name)}
	}
	fits, exact, err := l.wanted()
	if err != nil {
		return records.StoredVersion{}, err
	}
	missing := &VersionError{Range: l.parsed.Range, Where: "store " + c.Name}
	var passed []string
	var young *records.StoredVersion
	var refused *RefusedError
	for _, v := range slices.Backward(versions) {
		if v.Yanked == nil && v.Refused == "" {
			missing.Have = append(missing.Have, v.Version)
		}
		if !fits(v) {
			continue
		}
		if v.Refused != "" {
			if refused == nil {
				refused = &RefusedError{Kind: l.kind, Store: c.Name, Name: v.Name, Version: v.Version, Why: v.Refused}
			}
			if exact {
				return records.StoredVersion{}, refused
			}
			passed = append(passed, v.Version+" because "+v.Refused)
			continue
		}
		switch why := l.unfit(v); {
		case why != "" && exact:
			return records.StoredVersion{}, &IncompatibleError{Kind: l.kind, Name: v.Name, Version: v.Version, Reason: why}
		case v.Yanked != nil && exact:
			return records.StoredVersion{}, &YankedError{Kind: l.kind, Name: v.Name, Version: v.Version, Reason: plain.Short(v.Yanked.Reason), Use: v.Yanked.Use}
		case v.Yanked != nil:
			passed = append(passed, v.Version+" because it was withdrawn: "+plain.Short(v.Yanked.Reason))
		case why != "":
			passed = append(passed, v.Version+" because it "+why)
		case !exact && l.tooYoung(v) != "":
			if passed = append(passed, v.Version+" because "+l.tooYoung(v)); young == nil {
				young = &v
			}
		default:
			for _, p := range passed {
				l.note("%s %s: skipped %s", l.kind, l.ref, p)
			}
			l.noteReturned(c, v)
			return v, nil
		}
	}
	if young != nil { // the policy says so
		return *young, nil
	}
	for _, p := range passed {
		l.note("%s %s: skipped %s", l.kind, l.ref, p)
	}
	if refused != nil {
		return records.StoredVersion{}, refused
	}
	if missing.Range == "" {
		missing.Range = "stable"
	}
	return records.StoredVersion{}, &NotFoundError{Kind: l.kind, Name: l.ref, Err: missing}
}

// tooYoung says why a template's version is not chosen yet, if there is an older one.
func (l *lookup) tooYoung(v records.StoredVersion) string {
	if l.kind != schema.KindTemplate || v.Checksum == l.scope.Before.Checksum {
		return ""
	}
	var published time.Time
	if v.Published != nil {
		published = *v.Published
	}
	return l.scope.Policy.TooYoung(l.ref, published)
}

// wanted returns which versions the reference's range allows, and whether that is
// one alone.
func (l *lookup) wanted() (fits func(records.StoredVersion) bool, exact bool, err error) {
	rng := l.parsed.Range
	if rng == "" {
		return func(v records.StoredVersion) bool { return records.IsStable(v.Version) }, false, nil
	}
	if strings.Contains(rng, "sha256:") {
		return func(v records.StoredVersion) bool { return hasDigest(v, rng) }, true, nil
	}
	if v, err := semver.StrictNewVersion(strings.TrimPrefix(rng, "v")); err == nil {
		return func(o records.StoredVersion) bool { return o.Version == v.String() }, true, nil
	}
	if commit, ok := strings.CutPrefix(rng, "sha-"); ok && len(commit) >= 7 && isHex(commit) {
		return func(v records.StoredVersion) bool { return strings.HasPrefix(v.Source.Git.Commit, commit) }, true, nil
	}
	if !l.parsed.IsSemver {
		return func(v records.StoredVersion) bool {
			ref, _ := cutAny(v.Source.Git.Ref, "refs/tags/", "refs/heads/")
			return ref == rng
		}, true, nil
	}
	constraint, err := semver.NewConstraint(rng)
	if err != nil {
		return nil, false, fmt.Errorf("%s %s: %w", l.kind, l.ref, err)
	}
	return func(v records.StoredVersion) bool {
		parsed, err := semver.StrictNewVersion(v.Version)
		return err == nil && constraint.Check(parsed)
	}, false, nil
}

// hasDigest reports whether a version is that of a checksum or of an image's digest.
func hasDigest(v records.StoredVersion, digest string) bool {
	if v.Image != nil {
		return v.Image.Digest == digest
	}
	return v.Checksum == digest || v.Checksum == "fnb1:"+digest
}

// unfit says why a version cannot be used here, "" where it can.
func (l *lookup) unfit(v records.StoredVersion) string {
	if own, err := semver.StrictNewVersion(strings.TrimPrefix(l.finder.opts.Version, "v")); err == nil && v.FNB != "" {
		// A build between two releases counts as the next one.
		release, perr := own.SetPrerelease("")
		constraint, err := semver.NewConstraint(v.FNB)
		if perr == nil && err == nil && !constraint.Check(&release) {
			return fmt.Sprintf("needs fnb %s, and this is %s", v.FNB, l.finder.opts.Version)
		}
	}
	on := v.RunsOn()
	if len(on) == 0 {
		return ""
	}
	has, err := schema.ParsePlatforms(strings.Join(on, ","))
	if err != nil {
		return "names platforms that fnb does not know"
	}
	for _, p := range l.scope.Platforms {
		if !slices.Contains(has, p) {
			return fmt.Sprintf("is not for %s", p)
		}
	}
	return ""
}

// fromRecord gets the files of a version, which have to be those of its record.
func (l *lookup) fromRecord(ctx context.Context, c Store, v records.StoredVersion) (resolution, error) {
	l.record = &v
	src := v.Source.Git
	pin := schema.Pin{Store: c.Name, Version: v.Version, Checksum: v.Checksum, Commit: src.Commit, Source: pinSource(src)}
	if v.Signer != nil {
		pin.Signer = v.Signer.Key
	}
	_, name, _ := strings.Cut(v.Name, "/")
	t, ok := l.finder.cache.Open(v.Checksum)
	if !ok {
		if err := c.mayName(v.Name, src.URL); err != nil {
			return resolution{}, err
		}
		path := src.Path
		if path == "" {
			path = "."
		}
		f, err := l.fromGit(ctx, gitWant{url: src.URL, path: path, ref: src.Commit, from: l.finder.reachOf(c)})
		if err != nil {
			return resolution{}, fmt.Errorf("store %s: %s %s: %w", c.Name, v.Name, v.Version, err)
		}
		if f.template.Checksum != v.Checksum {
			problem := fmt.Sprintf("version %s is not what its record in the store %s says: the checksum of its files is %s, not %s", v.Version, c.Name, f.template.Checksum, v.Checksum)
			return resolution{}, &MismatchError{Reference: l.ref, Want: v.Checksum, Got: f.template.Checksum, Problem: problem, Record: true}
		}
		t = f.template
	}
	t.Name, t.Source = name, c.Name
	return resolution{template: t, pin: pin}, nil
}

// pinSource is where the files of a record are, for a machine that does not know the
// store; "" for a folder of this one.
func pinSource(src schema.GitSource) string {
	if strings.HasPrefix(src.URL, "file:") {
		return ""
	}
	return schema.TemplateRef{Kind: schema.RefGit, URL: src.URL, Path: strings.TrimPrefix(src.Path, ".")}.String()
}

// Home is the store that a reference to a package of the kind names, or that its
// namespace belongs to.
func (s *Finder) Home(ctx context.Context, kind, ref string) (Store, schema.TemplateRef, error) {
	l, err := s.lookup(kind, ref, Scope{})
	if err != nil {
		return Store{}, schema.TemplateRef{}, err
	}
	c, err := l.home(ctx)
	return c, l.parsed, err
}
