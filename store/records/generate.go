package records

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"fnb/gitrepo"
	"fnb/internal/plain"
	"fnb/schema"
)

// generatedFile marks a folder that [Reader.Generate] has made.
const generatedFile = "config.json"

// openFaaSDir is the folder of a repository in which faas-cli looks for templates.
const openFaaSDir = "template"

// A Generated says what [Reader.Generate] has made.
type Generated struct {
	Packages int      `json:"packages"`
	Versions int      `json:"versions"`
	Passed   []string `json:"passed,omitempty"` // files that were passed over, and why
}

// A nameLine is one line of names.ndjson.gz.
type nameLine struct {
	Kind        string   `json:"kind,omitempty"` // "function"; missing for a template
	Name        string   `json:"name"`
	Latest      string   `json:"latest,omitempty"`
	Language    string   `json:"lang,omitempty"`
	Description string   `json:"description,omitempty"`
	Tags        []string `json:"tags,omitempty"`
	Deprecated  bool     `json:"deprecated,omitempty"`
	Title       string   `json:"title,omitempty"`
	Categories  []string `json:"categories,omitempty"`
	Platforms   []string `json:"platforms,omitempty"`
}

// A generator writes the index of a store. It keeps nothing of what it has written,
// since a store has very many packages.
type generator struct {
	dir  string
	each func(Package) error
	show func(StoredPackage) Package
	out  Generated

	all       *snapshotWriter
	names     *packedLines
	templates *listFile         // for OpenFaaS
	functions *listFile         // as well
	flat      map[string]string // what functions are called there
}

// Generate writes the index of the store into the folder out, for any server of files:
// versions.ndjson.gz, which has all of the store, so that the address of out can be
// added as a store; names.ndjson.gz, t/NAMESPACE/NAME.ndjson of templates and
// f/NAMESPACE/NAME.ndjson of functions, config.json, and compat/templates.json and
// compat/functions.json, which faas-cli reads. It depends on nothing but the records.
//
// Each package is given to each, unless that is nil, as [Reader.Each] does. An out
// that is there must be empty or made by Generate; it is replaced as a whole, after
// also, unless it is nil, has written what else belongs there into the folder that it
// is given.
func (r *Reader) Generate(ctx context.Context, out string, each func(Package) error, also func(dir string) error) (_ Generated, err error) {
	if err := mayReplace(out); err != nil {
		return Generated{}, err
	}
	parent := filepath.Dir(filepath.Clean(out))
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return Generated{}, err
	}
	temp, err := os.MkdirTemp(parent, ".index-")
	if err != nil {
		return Generated{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	g := &generator{dir: filepath.Join(temp, "new"), each: each, show: r.shown}
	if err := r.write(ctx, g); err != nil {
		return Generated{}, err
	}
	if also != nil {
		if err := also(g.dir); err != nil {
			return Generated{}, err
		}
	}
	if err := os.Rename(out, filepath.Join(temp, "old")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Generated{}, err
	}
	return g.out, os.Rename(g.dir, out)
}

// write has a generator write all records.
func (r *Reader) write(ctx context.Context, g *generator) (err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	names, err := r.scan.functionNames()
	if err != nil {
		return err
	}
	g.flat = flatNames(names)
	spaces, err := r.scan.Spaces()
	if err != nil {
		return err
	}
	if err := g.begin(spaces); err != nil {
		return errors.Join(err, g.close())
	}
	err = r.scan.Packages(ctx, g.add, func(file string, err error) {
		g.out.Passed = append(g.out.Passed, plain.Short(file+": "+err.Error()))
	})
	if err == nil {
		err = g.finish()
	}
	return errors.Join(err, g.close())
}

// functionNames are the names of the functions of a store, in order, whether they have
// versions or not.
func (s *Scanner) functionNames() (all []string, err error) {
	spaces, err := s.Tree.List(functionsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, ns := range spaces {
		if !ns.Dir {
			continue
		}
		names, lerr := s.Tree.List(path.Join(functionsDir, ns.Name))
		err = errors.Join(err, lerr)
		for _, name := range names {
			all = append(all, ns.Name+"/"+name.Name)
		}
	}
	return all, err
}

// OpenTree opens the files of a store at its HEAD, or in a plain folder.
func OpenTree(ctx context.Context, dir string) (Tree, func(), error) {
	repo, err := gitrepo.Open(ctx, dir, gitrepo.Options{Itself: true})
	if errors.Is(err, gitrepo.ErrNone) {
		t, err := OpenFolder(dir)
		if err != nil {
			return nil, nil, err
		}
		return t, func() { _ = t.Root.Close() }, nil // it was only read from
	}
	if err != nil {
		return nil, nil, err
	}
	t, err := repo.Tree(ctx, "HEAD")
	if err != nil {
		return nil, nil, err
	}
	return OwnTree{Tree: t}, func() { _ = t.Close() }, nil // as above
}

// An OccupiedError says that a folder has something else than an index, which nothing replaces.
type OccupiedError struct{ Dir string }

func (e *OccupiedError) Error() string {
	return plain.Path(e.Dir) + " is not empty, and not the index of a store"
}

// mayReplace returns an error unless out is missing, empty or an index.
func mayReplace(out string) error {
	entries, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	var mark struct {
		API string `json:"api"`
	}
	data, err := os.ReadFile(filepath.Join(out, generatedFile))
	if err != nil || json.Unmarshal(data, &mark) != nil || mark.API != "static" {
		return &OccupiedError{Dir: out}
	}
	return nil
}

// create creates a file of the index.
func (g *generator) create(name string) (*os.File, error) {
	file := filepath.Join(g.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, err
	}
	return os.Create(file)
}

// begin begins the files that all packages get into.
func (g *generator) begin(spaces Spaces) error {
	all, err1 := g.create(SnapshotFile)
	names, err2 := g.create("names.ndjson.gz")
	templates, err3 := g.create("compat/templates.json")
	functions, err4 := g.create("compat/functions.json")
	g.all, g.names = &snapshotWriter{packedLines: newPackedLines(all)}, newPackedLines(names)
	g.templates = newListFile(templates, "[", "]\n")
	g.functions = newListFile(functions, "{\n  \"functions\": [", fmt.Sprintf("],\n  \"version\": %q\n}\n", listVersion))
	if err := errors.Join(err1, err2, err3, err4); err != nil {
		return err
	}
	return g.all.begin(spaces)
}

// finish completes what begin has begun.
func (g *generator) finish() error {
	mark, err := g.create(generatedFile)
	if err != nil {
		return err
	}
	err = json.NewEncoder(mark).Encode(map[string]any{"v": schema.RecordVersion, "api": "static"})
	return errors.Join(err, mark.Close(), g.all.finish(), g.names.finish(), g.templates.finish(), g.functions.finish())
}

// close closes the files, finished or not.
func (g *generator) close() error {
	return errors.Join(g.all.file.Close(), g.names.file.Close(), g.templates.file.Close(), g.functions.file.Close())
}

// add writes one package.
func (g *generator) add(p StoredPackage) error {
	if g.each != nil {
		if err := g.each(g.show(p)); err != nil {
			return err
		}
	}
	m := Summarize(p)
	g.out.Packages++
	g.out.Versions += len(p.Versions)
	name := nameLine{
		Name: m.Name, Latest: m.Latest, Language: m.Language, Description: m.Description, Tags: p.About.Tags,
		Deprecated: p.About.Deprecated != nil, Title: m.Title, Categories: strings.Fields(m.Categories),
	}
	if p.Kind() == schema.KindFunction {
		name.Kind, name.Platforms = p.Kind(), strings.Fields(m.Platforms)
	}
	if err := errors.Join(g.all.add(p), g.names.add(name), g.forOpenFaaS(p, m)); err != nil {
		return err
	}
	f, err := g.create(p.Kind()[:1] + "/" + p.Name + ".ndjson")
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	for _, v := range p.Versions {
		line, err := versionLine(v)
		if err != nil {
			return errors.Join(err, f.Close())
		}
		_, _ = w.Write(append(line, '\n')) // Flush has the error
	}
	return errors.Join(w.Flush(), f.Close())
}

// versionLine is a record on one line, with keys that only a later fnb knows, and
// with what became of the version.
func versionLine(v StoredVersion) ([]byte, error) {
	if v.Unknown == nil {
		return json.Marshal(v)
	}
	data, err := v.Record.Marshal()
	if err != nil {
		return nil, err
	}
	keys := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, err
	}
	add := func(key string, value any, has bool) error {
		if !has {
			return nil
		}
		raw, err := json.Marshal(value)
		keys[key] = raw
		return err
	}
	if err := errors.Join(add("yanked", v.Yanked, v.Yanked != nil), add("deprecated", v.Deprecated, v.Deprecated != nil)); err != nil {
		return nil, err
	}
	return json.Marshal(keys)
}

// forOpenFaaS adds a package to the lists that faas-cli reads. faas-cli only finds
// templates in template/NAME.
func (g *generator) forOpenFaaS(p StoredPackage, m Summary) error {
	i := slices.IndexFunc(p.Versions, func(v StoredVersion) bool { return v.Version == m.Latest })
	if i < 0 {
		return nil
	}
	v := p.Versions[i]
	ns, name, _ := strings.Cut(v.Name, "/")
	if v.Kind == schema.KindFunction {
		if e := functionForOpenFaaS(v.Record, g.flat[v.Name]); len(e.Images) > 0 {
			return g.functions.add(e)
		}
		return nil
	}
	src := v.Source.Git
	if src.Path != path.Join(openFaaSDir, name) {
		return nil
	}
	ref, ok := strings.CutPrefix(src.Ref, "refs/tags/")
	if !ok {
		ref = "sha-" + src.Commit
	}
	return g.templates.add(OpenFaaSTemplate{
		Template: name, Platform: "x86_64", Language: m.Language, Source: ns,
		Description: m.Description, Repo: src.URL + "#" + ref, Official: "false",
	})
}

// packedLines are a file of JSON lines, compressed.
type packedLines struct {
	file *os.File
	zip  *gzip.Writer
	enc  *json.Encoder
}

func newPackedLines(f *os.File) *packedLines {
	l := &packedLines{file: f, zip: gzip.NewWriter(f)} // without a time, so that the same lines are the same bytes
	l.enc = json.NewEncoder(l.zip)
	l.enc.SetEscapeHTML(false)
	return l
}

func (l *packedLines) add(v any) error { return l.enc.Encode(v) }

func (l *packedLines) finish() error { return l.zip.Close() }

// A listFile is a file with a JSON list in it.
type listFile struct {
	file    *os.File
	w       *bufio.Writer
	indent  string
	started bool
	tail    string
}

// newListFile begins a list in a file, between what is before and behind it.
func newListFile(f *os.File, head, tail string) *listFile {
	l := &listFile{file: f, w: bufio.NewWriter(f), indent: strings.Repeat("  ", strings.Count(head, "\n")), tail: tail}
	_, _ = l.w.WriteString(head) // Flush has the error
	return l
}

func (l *listFile) add(v any) error {
	data, err := json.MarshalIndent(v, l.indent+"  ", "  ")
	if err != nil {
		return err
	}
	if l.started {
		_ = l.w.WriteByte(',') // Flush has the error
	}
	l.started = true
	_, err = l.w.WriteString("\n" + l.indent + "  " + string(data))
	return err
}

func (l *listFile) finish() error {
	if l.started {
		_, _ = l.w.WriteString("\n" + l.indent) // Flush has the error
	}
	_, _ = l.w.WriteString(l.tail) // as above
	return l.w.Flush()
}
