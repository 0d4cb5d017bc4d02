package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"time"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/schema/ownership"
	"fnb/store"
	"fnb/store/records"
)

// A FunctionPublication is a version of a function that is to get into a store.
type FunctionPublication struct {
	Store   string // by name
	Name    string // namespace/name; "" for Own in the store's only namespace
	Own     string // what the function is called
	Version string
	Dir     string // the handler's folder; "" where there is none
	Source  string // URL of the folder's repository; "" for that of its remote origin

	Language string             // of the template; may be ""
	Image    schema.RecordImage // as its registry has it
	Run      schema.RecordRun
	Built    schema.RecordBuilt // Git is found out
	About    store.About

	FNB     string // SemVer range of the fnb that it needs; "" for any
	Tags    []string
	Propose bool      // push a branch of its own, for somebody to look at
	Now     time.Time // the time to record; zero for now
}

// A FunctionDraft is the record of a function before it is published.
type FunctionDraft struct {
	Record schema.Record `json:"record"`
	Notes  []string      `json:"notes,omitempty"` // what the record does not say, and why
	// Signing says with which key it is signed; nil means that it is not.
	Signing *Signing `json:"-"`

	finder      *store.Finder
	store       store.Store
	publication FunctionPublication
}

// Draft makes the record of a function. Its source is in it where others can
// fetch the handler's folder at the commit that is checked out; the notes say why it
// is not.
func Draft(ctx context.Context, s *store.Finder, p FunctionPublication) (*FunctionDraft, error) {
	d := &FunctionDraft{finder: s, publication: p, Signing: &Signing{}}
	var name string
	var err error
	if d.store, name, err = target(ctx, s, p.Store, p.Name, p.Own); err != nil {
		return nil, err
	}
	if p.Version == "" {
		p.Version = p.About.Version
	}
	switch has := p.About.Version; {
	case p.Version == "":
		return nil, fmt.Errorf("the function has no version: write one into %s, or say which it is", schema.FunctionFileName)
	case has != "" && has != p.Version:
		return nil, fmt.Errorf("--version %s, but %s says %s: change it there, or leave --version out", p.Version, schema.FunctionFileName, has)
	}
	if p.Now.IsZero() {
		p.Now = time.Now()
	}
	at := p.Now.UTC().Truncate(time.Second)
	rec := p.About.Record()
	rec.Name, rec.Version, rec.FNB, rec.Published, rec.Language = name, p.Version, p.FNB, &at, p.Language
	rec.Image, rec.Run = &p.Image, &p.Run
	if built := p.Built; p.Dir != "" {
		src, why, err := functionSource(ctx, s, d.store, p)
		if err != nil {
			return nil, err
		}
		if why != "" {
			d.Notes = append(d.Notes, why)
		}
		built.Git = src
		rec.Built = &built
	} else if built != (schema.RecordBuilt{}) {
		rec.Built = &built
	}
	if rec.README == "" {
		d.Notes = append(d.Notes, "there is no "+store.ReadmeName+" beside the handler")
	}
	if len(rec.Examples) == 0 {
		d.Notes = append(d.Notes, "there are no examples in "+schema.FunctionFileName+", with which others could try it")
	}
	d.Record = rec
	_, err = remarshal(rec)
	return d, err
}

// attachedAsIn is a record that says what an older one says was attached to the image when it was published: more may be
// attached since, and the function is the same.
func attachedAsIn(old, rec schema.Record) schema.Record {
	if old.Image == nil || rec.Image == nil {
		return rec
	}
	image := *rec.Image
	image.Provenance, image.SignedBy = old.Image.Provenance, old.Image.SignedBy
	image.Platforms = maps.Clone(image.Platforms)
	for name, p := range image.Platforms {
		p.Packages = old.Image.Platforms[name].Packages
		image.Platforms[name] = p
	}
	rec.Image = &image
	return rec
}

// functionSource is where others can fetch the handler; nil and why where they
// cannot.
func functionSource(ctx context.Context, s *store.Finder, c store.Store, p FunctionPublication) (*schema.GitSource, string, error) {
	src, err := sourceOf(ctx, Publication{Dir: p.Dir, Source: p.Source, Name: p.Own + "/" + p.Own, Version: p.Version})
	switch {
	case err != nil:
		return nil, "its source is not recorded: " + err.Error(), ctx.Err()
	case !c.MayLeadTo(src.URL):
		return nil, "its source is not recorded: the remote origin is a folder of this machine, which nobody else can fetch from", nil
	}
	fresh, remove, err := s.Fresh()
	if err != nil {
		return nil, "", err
	}
	defer remove()
	if _, err := fresh.CheckOut(ctx, src); err != nil {
		return nil, fmt.Sprintf("its source is not recorded: %s does not have it at commit %.12s: %v", src.URL, src.Commit, err), ctx.Err()
	}
	return &src, "", nil
}

// Try finds out whether Publish could add the record now, without adding
// anything. Already says that the store has it.
func (d *FunctionDraft) Try(ctx context.Context) (Published, error) {
	return publish(ctx, d.finder, d.store, entryOfStore{record: d.Record, tags: d.publication.Tags, propose: d.publication.Propose, dry: true, signing: d.Signing})
}

// Publish adds the record to the store. A version that the store has already
// with the same content is no error; with another content it is a [*ConflictError].
func (d *FunctionDraft) Publish(ctx context.Context) (Published, error) {
	return publish(ctx, d.finder, d.store, entryOfStore{record: d.Record, tags: d.publication.Tags, propose: d.publication.Propose, signing: d.Signing})
}

// Deprecate says that a template or function, as kind says, should not be used any
// more: ref is namespace/name. Its versions stay.
func Deprecate(ctx context.Context, s *store.Finder, kind, ref string, why schema.Deprecation, signing Signing) (Published, error) {
	parsed, err := schema.ParseTemplateRef(ref)
	if err != nil {
		return Published{}, fmt.Errorf("%s %s: %w", kind, plain.Short(ref), err)
	}
	if parsed.Kind == schema.RefName && (parsed.Namespace == "" || parsed.Range != "") {
		return Published{}, fmt.Errorf("%q is not NAMESPACE/NAME", plain.Short(ref))
	}
	c, _, err := s.Home(ctx, kind, ref)
	if err != nil {
		return Published{}, err
	}
	name := parsed.Namespace + "/" + parsed.Name
	file := path.Join(records.KindDir(kind), name, records.PackageFile)
	a := store.Addition{Message: "deprecate " + name, Change: true, Files: func(tree records.Tree) (map[string][]byte, error) {
		if _, err := tree.List(path.Join(records.KindDir(kind), name)); errors.Is(err, fs.ErrNotExist) {
			return nil, &store.NotFoundError{Kind: kind, Name: ref, Err: fmt.Errorf("the store %s does not have it", c.Name)}
		}
		p := schema.Package{V: schema.RecordVersion}
		data, err := tree.Read(file)
		if err == nil {
			p, err = schema.ParsePackage(file, data)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if p.Deprecated != nil && *p.Deprecated == why {
			return nil, nil
		}
		p.Deprecated = &why
		if data, err = p.Marshal(); err != nil {
			return nil, err
		}
		if _, err = schema.ParsePackage(file, data); err != nil {
			return nil, err
		}
		files := map[string][]byte{file: data}
		err = signing.add(ctx, tree, c.Name, ownership.File{Name: file, Data: data}, files, ownership.RolePublish, ownership.RoleYank)
		return files, err
	}}
	done, err := s.Add(ctx, c, a)
	return Published{Store: c.Name, Name: name, Already: !done.Wrote, Commit: done.Commit, Tries: done.Tries}, err
}
