package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"fnb/internal/plain"
	"fnb/internal/spelling"
	"fnb/schema"
	"fnb/schema/runtimes"
	"fnb/store/cache"
	"fnb/store/records"
	"fnb/templates"
)

// Official is the store of the templates that are part of the program.
const Official = "official"

const (
	vendorDir = "template" // beside the stack file, as faas-cli leaves it
)

// A lookup is one search for a template or a function by its reference.
type lookup struct {
	finder *Finder
	kind   string // what is looked up: [schema.KindTemplate] or [schema.KindFunction]
	ref    string
	parsed schema.TemplateRef
	scope  Scope
	pin    schema.Pin
	pinned bool
	notes  []string
	asked  bool                   // the store itself, and not the cache
	index  *cache.Index           // of the store that it is looked up in
	record *records.StoredVersion // that was chosen, or that fnb.lock has; nil where none is known
}

func (l *lookup) note(format string, args ...any) {
	l.notes = append(l.notes, fmt.Sprintf(format, args...))
}

func (l *lookup) find(ctx context.Context) (resolution, error) {
	if src, ok := l.source(); ok {
		return l.fromSource(ctx, src)
	}
	switch l.parsed.Kind {
	case schema.RefFolder:
		return l.fromFolder(l.parsed.Dir)
	case schema.RefGit:
		return l.fromGit(ctx, gitWant{url: l.parsed.URL, path: l.parsed.Path, ref: l.parsed.Ref})
	case schema.RefName:
		if l.parsed.Namespace != "" || l.parsed.Store != "" && l.parsed.Store != Official {
			return l.fromStores(ctx)
		}
	}
	return l.byName(ctx)
}

// source returns the source that the stack names for the reference: by the whole
// reference, or by its name without a range.
func (l *lookup) source() (schema.TemplateSource, bool) {
	for _, whole := range []bool{true, false} {
		for _, src := range l.scope.Sources {
			if src.Source == "" {
				continue
			}
			if whole && src.Name == l.ref || !whole && l.parsed.Kind == schema.RefName && l.parsed.Range != "" && src.Name == l.unranged() {
				return src, true
			}
		}
	}
	return schema.TemplateSource{}, false
}

// unranged is the reference without its range.
func (l *lookup) unranged() string {
	r := l.parsed
	r.Range = ""
	return r.String()
}

// fromSource finds the template in the one place that the stack names for it.
func (l *lookup) fromSource(ctx context.Context, src schema.TemplateSource) (resolution, error) {
	at, err := parseSource(src.Source)
	if err != nil {
		return resolution{}, fmt.Errorf("the source of template %s: %w", src.Name, err)
	}
	l.noteSetAside(at)
	switch at.Kind {
	case schema.RefFolder:
		dir := at.Dir
		// The folder is the template, or has it below template/.
		abs, err := l.abs(dir)
		if err != nil {
			return resolution{}, err
		}
		if _, err := os.Stat(filepath.Join(abs, templates.ManifestName)); errors.Is(err, fs.ErrNotExist) {
			dir = filepath.Join(dir, vendorDir, l.parsed.Name)
		}
		f, err := l.fromFolder(dir)
		if err != nil {
			return resolution{}, err
		}
		return f, l.fits(f.template, src.Source)
	case schema.RefGit:
		want := gitWant{url: at.URL, path: at.Path, ref: at.Ref, name: l.parsed.Name}
		if at.Ref == "" {
			want.rng, want.ref, want.semver = l.gitRange()
		}
		f, err := l.fromGit(ctx, want)
		if err != nil || at.Ref == "" || at.Ref == l.parsed.Range {
			return f, err
		}
		return f, l.fits(f.template, src.Source)
	case schema.RefName:
	}
	return resolution{}, fmt.Errorf("the source of template %s: %q is neither a git URL nor a folder", src.Name, plain.Short(src.Source))
}

// noteSetAside says that a folder which faas-cli would build with is not used.
func (l *lookup) noteSetAside(at schema.TemplateRef) {
	dir := filepath.Join(l.scope.Root, vendorDir, l.parsed.Name)
	if l.kind == schema.KindFunction || l.parsed.Kind != schema.RefName || !isDir(dir) {
		return
	}
	if at.Kind == schema.RefFolder {
		for _, used := range []string{at.Dir, filepath.Join(at.Dir, vendorDir, l.parsed.Name)} {
			if filepath.Join(l.scope.Root, filepath.FromSlash(used)) == dir {
				return
			}
		}
	}
	l.note("template %s: ./%s/%s is set aside, because the stack file names a source: %s", l.ref, vendorDir, l.parsed.Name, at)
}

// parseSource reads what a stack writes as a source. OpenFaaS' users also write a
// folder without ./ before it, but never a name.
func parseSource(s string) (schema.TemplateRef, error) {
	return schema.ParseTemplateRef(s)
}

// sourceName is a source as it may be shown: without credentials.
func sourceName(s string) string {
	if r, err := parseSource(s); err == nil {
		return r.String()
	}
	return plain.Short(s)
}

// gitRange splits the reference's range into a SemVer range or a git reference.
func (l *lookup) gitRange() (rng, ref string, isSemver bool) {
	switch {
	case l.parsed.Kind != schema.RefName || strings.Contains(l.parsed.Range, "sha256:"):
		return "", "", false
	case l.parsed.IsSemver:
		return l.parsed.Range, "", true
	}
	return "", l.parsed.Range, false
}

// abs is where a folder is that the reference or the stack names, by the name that they
// give it, which is the template's too.
func (l *lookup) abs(dir string) (string, error) {
	if _, err := (schema.Reach{Root: l.scope.Root, Allow: l.scope.Allow}).Path(dir); err != nil {
		return "", fmt.Errorf("template %s: %w", l.ref, err)
	}
	if filepath.IsAbs(dir) {
		return dir, nil
	}
	return filepath.Join(l.scope.Root, filepath.FromSlash(dir)), nil
}

func (l *lookup) fromFolder(dir string) (resolution, error) {
	abs, err := l.abs(dir)
	if err != nil {
		return resolution{}, err
	}
	if info, err := os.Stat(abs); errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir() {
		return resolution{}, &NotFoundError{Name: l.ref, Err: fmt.Errorf("there is no folder %s", abs)}
	}
	t, err := templates.OpenDir(abs)
	if err != nil {
		return resolution{}, err
	}
	store := filepath.ToSlash(dir)
	if !filepath.IsAbs(dir) && !strings.HasPrefix(store, "../") {
		store = "./" + strings.TrimPrefix(filepath.ToSlash(filepath.Clean(dir)), "./")
	}
	t.Source = store
	return resolution{template: t, folder: true, pin: schema.Pin{Store: store, Version: t.Manifest.Version, Checksum: t.Checksum}}, nil
}

// byName looks in ./template, among the official templates, and where the stack is
// OpenFaaS's among the names of its template store.
func (l *lookup) byName(ctx context.Context) (resolution, error) {
	var refused error
	if l.parsed.Store == "" {
		f, err := l.vendored()
		if err == nil {
			return f, nil
		}
		if !isMissing(err) {
			return resolution{}, err
		}
		if v, ok := errors.AsType[*VersionError](err); ok {
			l.note("template %s: ./%s/%s is skipped: %v", l.ref, vendorDir, l.parsed.Name, v)
			refused = err
		}
	}
	t, err := templates.OpenOfficial(l.parsed.Name)
	if errors.Is(err, fs.ErrNotExist) {
		if refused != nil {
			return resolution{}, refused
		}
		return l.fromOpenFaaS(ctx)
	}
	if err != nil {
		return resolution{}, err
	}
	pin := schema.Pin{Store: Official, Version: t.Manifest.Version, Checksum: t.Checksum}
	return resolution{template: t, pin: pin}, l.fits(t, "the official templates")
}

// isMissing reports whether an error lets the search go on elsewhere.
func isMissing(err error) bool {
	_, ok := errors.AsType[*NotFoundError](err)
	return ok
}

// vendored looks in ./template: for the name with its range, as faas-cli stores
// it, and for the name, whose version has to fit.
func (l *lookup) vendored() (resolution, error) {
	full := l.parsed.Name
	if l.parsed.Range != "" {
		full += "@" + l.parsed.Range
		dir := filepath.Join(vendorDir, full)
		if filepath.IsLocal(dir) && isDir(filepath.Join(l.scope.Root, dir)) {
			return l.fromFolder(dir)
		}
	}
	dir := filepath.Join(vendorDir, l.parsed.Name)
	if !isDir(filepath.Join(l.scope.Root, dir)) {
		return resolution{}, &NotFoundError{Name: l.ref}
	}
	f, err := l.fromFolder(dir)
	if err != nil {
		return resolution{}, err
	}
	return f, l.fits(f.template, "./"+vendorDir)
}

// fits returns a [*NotFoundError] unless t is what the reference's range asks for.
func (l *lookup) fits(t *templates.Template, where string) error {
	rng := l.parsed.Range
	if l.parsed.Kind != schema.RefName || rng == "" {
		return nil
	}
	version := &VersionError{Range: rng, Where: where}
	if t.Manifest.Version != "" {
		version.Have = []string{t.Manifest.Version}
	}
	if m := t.Manifest.Runtime; m != nil && len(m.Files) > 0 && runtimes.IsVersion(rng) {
		version.File = m.Files[0]
	}
	no := &NotFoundError{Name: l.ref, Err: version}
	if !l.parsed.IsSemver {
		if rng == t.Checksum || "fnb1:"+rng == t.Checksum || rng == t.Manifest.Version {
			return nil
		}
		return no
	}
	constraint, err := semver.NewConstraint(rng)
	if err != nil {
		return fmt.Errorf("template %s: %w", l.ref, err)
	}
	has, err := semver.StrictNewVersion(t.Manifest.Version)
	if err != nil || !constraint.Check(has) {
		return no
	}
	return nil
}

// near returns the names that can be found and resemble the reference's.
func (l *lookup) near() []string {
	var names []string
	if l.kind == schema.KindFunction {
		return l.nearInStores()
	}
	for _, src := range l.scope.Sources {
		names = append(names, src.Name)
	}
	// What cannot be listed cannot be suggested.
	vendored, err := vendoredNames(l.scope.Root)
	if err == nil {
		names = append(names, vendored...)
	}
	near := spelling.Near(l.parsed.Name, append(names, officialNames()...))
	if other := templates.OfficialFor(l.parsed.Name); other != "" && other != l.parsed.Name {
		near = slices.Insert(slices.DeleteFunc(near, func(n string) bool { return n == other }), 0, other)
	}
	return slices.Compact(append(near, l.nearInStores()...))
}

// officialNames are those of the templates that are part of the program; what cannot be
// listed cannot be suggested.
func officialNames() []string {
	official, err := templates.Official()
	if err != nil {
		return nil
	}
	var names []string
	for _, t := range official {
		names = append(names, t.Name)
	}
	return names
}

// vendoredNames returns the templates below ./template, sorted.
func vendoredNames(root string) ([]string, error) {
	dir := filepath.Join(root, vendorDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("listing templates: %w", err)
	}
	var names []string
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(dir, e.Name(), templates.ManifestName)); err == nil {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// isDir reports whether there is a folder.
func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
