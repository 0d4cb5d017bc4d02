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

	"fnb/schema"
	"fnb/templates"
)

// Options say how a [Store] works. The zero value has no cache and may use the
// network.
type Options struct {
	CacheDir string // folder of the cache, shared by all of a user's projects
	Offline  bool   // use what is cached, and nothing else
}

// A Store finds templates.
type Store struct {
	opts Options
}

// Where says what a stack means for the templates it uses.
type Where struct {
	Root    string                  // the stack file's folder
	Sources []schema.TemplateSource // of the stack; exclusive for the names they have
	Lock    *schema.Lock            // nil is no lock
	Frozen  bool                    // what the lock does not have is an error
}

// An Entry is a template that can be used by name.
type Entry struct {
	Name        string `json:"name"`
	Version     string `json:"version,omitempty"`
	Store       string `json:"store"`
	Language    string `json:"language,omitempty"`
	Description string `json:"description,omitempty"`
}

// Official is the store of the templates that fnb carries.
const Official = "official"

// New returns a store. It reads nothing yet.
func New(opts Options) (*Store, error) { return &Store{opts: opts}, nil }

// Resolve returns the template of a reference, the pin that names it exactly,
// and notes on what was passed over. A name that nothing has is a
// [*NotFoundError]; what differs from the lock a [*MismatchError].
func (s *Store) Resolve(ctx context.Context, ref string, where Where) (*templates.Template, schema.Pin, []string, error) {
	r, err := schema.ParseTemplateRef(ref)
	if err != nil {
		return nil, schema.Pin{}, nil, err
	}
	var locked *schema.Pin
	if where.Lock != nil {
		if pin, ok := where.Lock.Templates[ref]; ok {
			locked = &pin
		}
	}
	if locked == nil && where.Frozen {
		return nil, schema.Pin{}, nil, &MismatchError{Reference: ref, Problem: "fnb.lock does not have it"}
	}
	t, pin, notes, err := s.find(ctx, r, where)
	if err != nil {
		return nil, schema.Pin{}, nil, err
	}
	if locked != nil && locked.Checksum != pin.Checksum {
		return nil, schema.Pin{}, nil, &MismatchError{Reference: ref, Want: locked.Checksum, Got: pin.Checksum}
	}
	return t, pin, notes, nil
}

func (s *Store) find(ctx context.Context, r schema.TemplateRef, where Where) (*templates.Template, schema.Pin, []string, error) {
	switch r.Kind {
	case schema.RefFolder:
		return s.folder(r.Dir, where)
	case schema.RefGit:
		return nil, schema.Pin{}, nil, errors.New("git sources come with the next commit")
	}
	for _, src := range where.Sources {
		if src.Name == r.Name || src.Name == r.String() {
			sr, err := schema.ParseTemplateRef(src.Source)
			if err != nil {
				return nil, schema.Pin{}, nil, err
			}
			return s.find(ctx, sr, Where{Root: where.Root})
		}
	}
	dir := filepath.Join("template", r.Name)
	if fi, err := os.Stat(filepath.Join(where.Root, dir)); err == nil && fi.IsDir() {
		return s.folder("./"+filepath.ToSlash(dir), where)
	}
	return s.official(r)
}

func (s *Store) folder(dir string, where Where) (*templates.Template, schema.Pin, []string, error) {
	path := filepath.FromSlash(dir)
	if !filepath.IsAbs(path) {
		path = filepath.Join(where.Root, path)
	}
	t, err := templates.OpenDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, schema.Pin{}, nil, &NotFoundError{Name: dir, Err: err}
	}
	if err != nil {
		return nil, schema.Pin{}, nil, err
	}
	return t, schema.Pin{Store: dir, Version: t.Manifest.Version, Checksum: t.Checksum}, nil, nil
}

func (s *Store) official(r schema.TemplateRef) (*templates.Template, schema.Pin, []string, error) {
	t, err := templates.OpenOfficial(r.Name)
	if errors.Is(err, fs.ErrNotExist) || r.Namespace != "" && r.Namespace != Official {
		all, lerr := s.List(context.Background(), Where{})
		if lerr != nil {
			return nil, schema.Pin{}, nil, lerr
		}
		var names []string
		for _, e := range all {
			names = append(names, e.Name)
		}
		return nil, schema.Pin{}, nil, &NotFoundError{Name: r.String(), Near: schema.Near(r.Name, names)}
	}
	if err != nil {
		return nil, schema.Pin{}, nil, err
	}
	if err := inRange(r, t.Manifest.Version); err != nil {
		return nil, schema.Pin{}, nil, err
	}
	return t, schema.Pin{Store: Official, Version: t.Manifest.Version, Checksum: t.Checksum}, nil, nil
}

// inRange checks that the one version there is satisfies the reference.
func inRange(r schema.TemplateRef, version string) error {
	if r.Range == "" {
		return nil
	}
	v, err := semver.StrictNewVersion(version)
	if err != nil {
		return fmt.Errorf("template %s has the version %q: %w", r.Name, version, err)
	}
	c, err := semver.NewConstraint(r.Range)
	if err != nil || !c.Check(v) {
		return &NotFoundError{Name: r.String(), Err: fmt.Errorf("the only version is %s", version)}
	}
	return nil
}

// List returns the templates that can be used by name, sorted: those of the
// folder template/ beside the stack file, those that the stack names, and the
// official ones.
func (s *Store) List(_ context.Context, where Where) ([]Entry, error) {
	var out []Entry
	all, err := templates.Official()
	if err != nil {
		return nil, err
	}
	for _, t := range all {
		out = append(out, Entry{Name: t.Name, Version: t.Manifest.Version, Store: Official, Language: t.Manifest.Language, Description: t.Manifest.Description})
	}
	slices.SortFunc(out, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}
