package store

import (
	"bytes"
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

	"github.com/go-git/go-git/v5"

	"fnb/schema"
)

// generatedFile marks a folder that [Generate] has made.
const generatedFile = "config.json"

// A Generated says what [Generate] has made.
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

// A generator writes the index of a store.
type generator struct {
	dir    string
	names  bytes.Buffer
	all    *snapshotWriter
	compat []openFaaSEntry
	out    Generated

	functions []schema.Record // the newest of each, for OpenFaaS
}

// Generate writes the index of the store in the folder dir into the folder out, for
// any server of files: versions.ndjson.gz, which has all of the store, so that the
// address of out can be added as a store; names.ndjson.gz, t/NAMESPACE/NAME.ndjson of
// templates and f/NAMESPACE/NAME.ndjson of functions, config.json, and
// compat/templates.json and compat/functions.json, which faas-cli reads. It depends on nothing but the files
// of the commit that HEAD is at, or of the folder where that is in no git
// repository. An out that is there must be empty or made by Generate; it is replaced
// as a whole, after also, unless it is nil, has written what else belongs there into
// the folder that it is given.
func Generate(ctx context.Context, dir, out string, also func(dir string) error) (_ Generated, err error) {
	tree, done, err := openStoreTree(dir)
	if err != nil {
		return Generated{}, err
	}
	defer done()
	sc := &scan{tree: tree}
	if err := sc.check(dir); err != nil {
		return Generated{}, err
	}
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
	g := &generator{dir: filepath.Join(temp, "new")}
	if err := g.begin(); err != nil {
		return Generated{}, err
	}
	defer g.all.abandon()
	err = sc.packages(ctx, g.add, func(file string, err error) {
		g.out.Passed = append(g.out.Passed, clean(file+": "+err.Error()))
	})
	if err != nil {
		return Generated{}, err
	}
	if err := g.finish(); err != nil {
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

// openStoreTree opens the files of a store at its HEAD, or in a plain folder.
func openStoreTree(dir string) (recordTree, func(), error) {
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		t, err := openFolderTree(dir)
		if err != nil {
			return nil, nil, err
		}
		return t, func() { _ = t.root.Close() }, nil // it was only read from
	}
	if err != nil {
		return nil, nil, fmt.Errorf("opening the git repository %s: %w", dir, err)
	}
	t, err := treeAt(repo, "HEAD")
	if err != nil {
		return nil, nil, err
	}
	objects, err := leanObjects(repo)
	if err != nil {
		return nil, nil, fmt.Errorf("opening the git repository %s: %w", dir, err)
	}
	t.objects = objects
	return t, func() { _ = objects.Close() }, nil // as above
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
		return fmt.Errorf("%s is not empty, and not the index of a store", out)
	}
	return nil
}

func (g *generator) write(name string, data []byte) error {
	file := filepath.Join(g.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o644)
}

// begin begins what all packages get into.
func (g *generator) begin() (err error) {
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return err
	}
	g.all, err = newSnapshotWriter(filepath.Join(g.dir, snapshotFile))
	return err
}

// add writes one package.
func (g *generator) add(p pack) error {
	if err := g.all.add(p); err != nil {
		return err
	}
	var lines bytes.Buffer
	for _, v := range p.versions {
		line, err := versionLine(v)
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
	}
	m := summarize(p)
	g.out.Packages++
	g.out.Versions += len(p.versions)
	name := nameLine{
		Name: m.Name, Latest: m.Latest, Language: m.Language, Description: m.Description, Tags: p.about.Tags,
		Deprecated: p.about.Deprecated != nil, Title: m.Title, Categories: strings.Fields(m.Categories),
	}
	if p.kind() == schema.KindFunction {
		name.Kind, name.Platforms = p.kind(), strings.Fields(m.Platforms)
	}
	line, err := json.Marshal(name)
	if err != nil {
		return err
	}
	g.names.Write(append(line, '\n'))
	if i := slices.IndexFunc(p.versions, func(v indexed) bool { return v.Version == m.Latest }); i >= 0 {
		if p.kind() == schema.KindFunction {
			g.functions = append(g.functions, p.versions[i].Record)
		} else {
			g.forOpenFaaS(p.versions[i], m)
		}
	}
	return g.write(p.kind()[:1]+"/"+p.name+".ndjson", lines.Bytes())
}

// versionLine is a record on one line, with keys that only a later fnb knows, and
// with what became of the version.
func versionLine(v indexed) ([]byte, error) {
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

// forOpenFaaS adds a version to the list that faas-cli reads. faas-cli only finds
// templates in template/NAME.
func (g *generator) forOpenFaaS(v indexed, m summary) {
	ns, name, _ := strings.Cut(v.Name, "/")
	src := v.Source.Git
	if src.Path != path.Join(vendorDir, name) {
		return
	}
	ref, ok := strings.CutPrefix(src.Ref, "refs/tags/")
	if !ok {
		ref = "sha-" + src.Commit
	}
	g.compat = append(g.compat, openFaaSEntry{
		Template: name, Platform: "x86_64", Language: m.Language, Source: ns,
		Description: m.Description, Repo: src.URL + "#" + ref, Official: "false",
	})
}

// finish writes what there is one of.
func (g *generator) finish() error {
	var names bytes.Buffer
	z := gzip.NewWriter(&names) // without a time, so that the same names are the same bytes
	if _, err := z.Write(g.names.Bytes()); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	if g.compat == nil {
		g.compat = []openFaaSEntry{}
	}
	compat, err := json.MarshalIndent(g.compat, "", "  ")
	if err != nil {
		return err
	}
	functions, err := json.MarshalIndent(functionsForOpenFaaS(g.functions), "", "  ")
	if err != nil {
		return err
	}
	mark, err := json.Marshal(map[string]any{"v": schema.RecordVersion, "api": "static"})
	if err != nil {
		return err
	}
	return errors.Join(
		g.all.finish(),
		g.write("names.ndjson.gz", names.Bytes()),
		g.write("compat/templates.json", append(compat, '\n')),
		g.write("compat/functions.json", append(functions, '\n')),
		g.write(generatedFile, append(mark, '\n')))
}
