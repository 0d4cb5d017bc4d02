package templates

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"fnb/schema"
	"fnb/schema/checksum"
	"fnb/schema/document"
	"fnb/schema/languages"
	"fnb/templates/tree"
)

// ManifestName is the file that makes a folder a template.
const ManifestName = "template.yml"

// StoredSuffix ends the names of files that are stored under another name than they
// have in a build, such as a go.mod that must not be one where the template is kept.
const StoredSuffix = ".tmpl"

const (
	dockerfileName = "Dockerfile"
	defaultFolder  = "function"
)

// A Template is one opened template.
type Template struct {
	schema.Template

	// FS holds the template's files under the names they have in a build. It
	// implements [fs.ReadLinkFS]. Files are read where they are, so that FS is
	// good as long as they are there unchanged.
	FS fs.FS
	// Checksum is the content checksum of FS: "fnb1:sha256:…".
	Checksum string
	// Source is where the template came from: "official" or a folder's path.
	// Empty after [Open], for the caller to set.
	Source string
	// Dir is the absolute path of the folder that FS is read from, with links
	// resolved; "" where FS is something else.
	Dir string
}

//go:embed all:official
var embedded embed.FS

// shared are files and folders that stand at one place in the folder official and are
// shown at another one too: where they are shown, and where they stand.
func shared() map[string]string {
	return map[string]string{
		"java/api/fnb":                "java/function/src/main/java/fnb", // so that an editor and mvn test see what is built
		"typescript/fnb_install.js":   "node/fnb_install.js",
		"typescript/fnb_life.js":      "node/fnb_life.js",
		"typescript/fnb_stream.js":    "node/fnb_stream.js",
		"typescript/tools/bun":        "node/tools/bun",
		"typescript/tools/pnpm":       "node/tools/pnpm",
		"typescript/tools/yarn":       "node/tools/yarn",
		"typescript/tools/yarn-berry": "node/tools/yarn-berry",
	}
}

// Official returns the templates that are part of the program, by name.
func Official() ([]*Template, error) {
	list, err := embedded.ReadDir("official")
	if err != nil {
		return nil, err
	}
	var all []*Template
	for _, d := range list {
		if !d.IsDir() {
			continue
		}
		t, err := OpenOfficial(d.Name())
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

// OpenOfficial opens one of the templates that are part of the program. If none
// has that name, the error wraps [fs.ErrNotExist].
func OpenOfficial(name string) (*Template, error) {
	all, err := fs.Sub(embedded, "official")
	if err != nil {
		return nil, err
	}
	return openOfficial(all, name)
}

// OfficialFor returns the official template for handlers in the language that people call
// by this word, such as "js"; "" where there is none.
func OfficialFor(word string) string {
	l, _ := languages.ByWord()(word)
	return l.Template
}

// openOfficial opens one of the templates in all.
func openOfficial(all fs.FS, name string) (*Template, error) {
	missing := fmt.Errorf("official template %q: %w", name, fs.ErrNotExist)
	if strings.Contains(name, "/") || !fs.ValidPath(name) || name == "." {
		return nil, missing
	}
	if info, err := fs.Stat(all, name); err != nil || !info.IsDir() {
		return nil, missing
	}
	files, err := filesAt(all, name, ".")
	if err != nil {
		return nil, err
	}
	for place, stands := range shared() {
		below, ok := strings.CutPrefix(place, name+"/")
		if !ok {
			continue
		}
		more, err := filesAt(all, stands, below)
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	view, err := tree.New(files)
	if err != nil {
		return nil, fmt.Errorf("official template %s: %w", name, err)
	}
	t, err := Open(view, name)
	if err != nil {
		return nil, err
	}
	t.Source = "official"
	return t, nil
}

// filesAt returns the file that stands in all, or the files of the folder, to be shown
// at place.
func filesAt(all fs.FS, stands, place string) ([]tree.Entry, error) {
	var files []tree.Entry
	err := fs.WalkDir(all, stands, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		file, err := tree.File(all, name, path.Join(place, strings.TrimPrefix(name, stands)))
		files = append(files, file)
		return err
	})
	return files, err
}

// OpenDir opens the template in the folder dir, whose last element becomes its
// name. Nothing outside dir is read, whatever links say.
func OpenDir(dir string) (*Template, error) {
	fsys, name, err := folder(dir)
	if err != nil {
		return nil, err
	}
	t, err := Open(fsys, name)
	if err != nil {
		return nil, err
	}
	t.Source = dir
	t.Dir, err = filepath.EvalSymlinks(dir)
	if err == nil {
		t.Dir, err = filepath.Abs(t.Dir)
	}
	return t, err
}

// folder returns the files of the folder dir and its name.
func folder(dir string) (fs.FS, string, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, "", fmt.Errorf("template %s: %w", dir, err)
	}
	root, err := os.OpenRoot(full)
	if err != nil {
		return nil, "", fmt.Errorf("template %s: %w", dir, errors.Unwrap(err))
	}
	return tree.Folder(root), filepath.Base(full), nil
}

// Open opens the template at the root of fsys under the given name.
//
// A template needs a [ManifestName] and a Dockerfile, unless the handler brings
// the Dockerfile: that is so where the template has none and its starter has
// one. Errors name the file.
func Open(fsys fs.FS, name string) (*Template, error) {
	t, err := open(fsys, name)
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", name, err)
	}
	return t, nil
}

func open(fsys fs.FS, name string) (*Template, error) {
	view, err := look(fsys)
	if err != nil {
		return nil, err
	}
	t := &Template{FS: view}
	t.Name = name
	data, err := fs.ReadFile(view, ManifestName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missingManifest(view)
	}
	if err != nil {
		return nil, err
	}
	manifest, err := schema.ParseManifest(ManifestName, data)
	if err != nil {
		return nil, err
	}
	t.Manifest = manifest
	if err := t.fill(view); err != nil {
		return nil, err
	}
	t.Checksum, err = checksum.Of(view)
	return t, err
}

// maxTemplate is how many bytes the files of a template have at most. Those from
// elsewhere have a lower bound of the store's.
const maxTemplate = 1 << 30

// look returns what a template shows of the files in fsys: stored names without
// their suffix, and neither git's files nor the record that faas-cli leaves in
// templates it pulled, which holds the time of the pull.
func look(fsys fs.FS) (*tree.FS, error) {
	entries, err := tree.Scan{Skip: func(name string, _ bool) (bool, error) {
		return name == "meta.json" && isPullRecord(fsys, name), nil
	}}.Entries(context.Background(), fsys)
	if err != nil {
		return nil, err
	}
	var size int64
	for i := range entries {
		e := &entries[i]
		if size += e.Size; size > maxTemplate { // all of it is read, for its checksum
			return nil, fmt.Errorf("its files have more than %d bytes together, with %s", int64(maxTemplate), e.Path)
		}
		if base := path.Base(e.Path); !e.Mode.IsDir() && strings.HasSuffix(base, StoredSuffix) && base != StoredSuffix {
			e.Path = strings.TrimSuffix(e.Path, StoredSuffix)
		}
	}
	return tree.New(entries)
}

func isPullRecord(fsys fs.FS, name string) bool {
	if info, err := fs.Stat(fsys, name); err != nil || !info.Mode().IsRegular() || info.Size() > 4096 {
		return false
	}
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return false
	}
	var record struct {
		Repository string `json:"repository"`
		WrittenAt  string `json:"written_at"`
	}
	return json.Unmarshal(data, &record) == nil && record.Repository != "" && record.WrittenAt != ""
}

func missingManifest(view fs.FS) error {
	if _, err := fs.Stat(view, "template.yaml"); err == nil {
		return fmt.Errorf("%s is missing: rename template.yaml: %w", ManifestName, fs.ErrNotExist)
	}
	if info, err := fs.Stat(view, "template"); err == nil && info.IsDir() {
		return fmt.Errorf("%s is missing: the folder holds several templates, below template/: %w", ManifestName, fs.ErrNotExist)
	}
	return fmt.Errorf("%s is missing: %w", ManifestName, fs.ErrNotExist)
}

// fill sets the four parts from the manifest and the files in view. What the manifest
// does not say of the entrypoint, the ENV of the Dockerfile does.
func (t *Template) fill(view *tree.FS) error {
	m := t.Manifest
	t.Handler.Folder = m.HandlerFolder
	if t.Handler.Folder == "" {
		t.Handler.Folder = defaultFolder
	}
	if !fs.ValidPath(t.Handler.Folder) || t.Handler.Folder == "." {
		return &document.FieldError{File: ManifestName, Field: "handler_folder", Problem: fmt.Sprintf("%q is not a folder inside the template", m.HandlerFolder)}
	}
	if err := t.fillDockerfile(view); err != nil {
		return err
	}
	t.Packages = schema.Packages{Lists: m.Packages, Options: m.BuildOptions}
	prefix := t.Handler.Folder + "/"
	var rest []string
	for _, e := range view.Entries() {
		switch below, ok := strings.CutPrefix(e.Path, prefix); {
		case e.Mode.IsDir():
		case ok:
			t.Handler.Files = append(t.Handler.Files, below)
		default:
			rest = append(rest, e.Path)
		}
	}
	if len(t.Packages.Lists) == 0 {
		t.Packages.Lists = guessPackageLists(view, t.Handler.Folder)
	}
	t.Entrypoint.FProcess = cmp.Or(m.FProcess, t.Entrypoint.FProcess)
	t.Entrypoint.Mode = cmp.Or(m.Mode, t.Entrypoint.Mode)
	t.Entrypoint.UpstreamURL = cmp.Or(m.UpstreamURL, t.Entrypoint.UpstreamURL)
	for _, name := range rest {
		if !t.isOtherPart(name) && !isDocument(name) {
			t.Entrypoint.Files = append(t.Entrypoint.Files, name)
		}
	}
	return nil
}

func (t *Template) fillDockerfile(view fs.FS) error {
	data, err := fs.ReadFile(view, dockerfileName)
	switch {
	case err == nil:
		d, err := ReadDockerfile(dockerfileName, data, nil)
		if err != nil {
			return err
		}
		t.Dockerfile = d.Summary()
		t.Entrypoint = schema.Entrypoint{FProcess: d.Env("fprocess"), Mode: d.Env("mode"), UpstreamURL: d.Env("upstream_url")}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	info, err := fs.Stat(view, path.Join(t.Handler.Folder, dockerfileName))
	if err != nil || !info.Mode().IsRegular() {
		return fmt.Errorf("%s is missing, and the handler in %s brings none: %w", dockerfileName, t.Handler.Folder, fs.ErrNotExist)
	}
	return nil
}

// isOtherPart reports whether a file outside the handler's folder belongs to
// the Dockerfile, the manifest or a package list.
func (t *Template) isOtherPart(name string) bool {
	return name == dockerfileName || name == ManifestName || path.Base(name) == ".dockerignore" ||
		slices.ContainsFunc(t.Packages.Lists, func(l schema.PackageList) bool { return name == l.Manifest || name == l.Lock })
}

func isDocument(name string) bool {
	base := strings.ToUpper(path.Base(name))
	return strings.HasSuffix(base, ".MD") || slices.Contains([]string{"LICENSE", "LICENSE.TXT", "NOTICE", ".GITIGNORE"}, base)
}

// guessPackageLists returns the package lists of a template that does not name
// them, as OpenFaaS's do not: the files of its starter that have a package
// list's name.
func guessPackageLists(view fs.FS, folder string) []schema.PackageList {
	var lists []schema.PackageList
	for _, language := range languages.All() {
		for _, l := range language.Lists {
			if !l.Guess || !hasFile(view, path.Join(folder, l.Manifest)) {
				continue
			}
			list := schema.PackageList{Ecosystem: language.Ecosystem, Manifest: path.Join(folder, l.Manifest)}
			if lock := path.Join(folder, l.Lock); l.Lock != "" && hasFile(view, lock) {
				list.Lock = lock
			}
			lists = append(lists, list)
		}
	}
	return lists
}

func hasFile(view fs.FS, name string) bool {
	info, err := fs.Stat(view, name)
	return err == nil && info.Mode().IsRegular()
}

// README returns the template's README.md, of which 64 KiB are read; "" if it has none.
func (t *Template) README() (string, error) {
	f, err := t.FS.Open("README.md")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("template %s: %w", t.Name, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, schema.MaxReadmeSize))
	if err := errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("template %s: %w", t.Name, err)
	}
	return strings.ToValidUTF8(string(data), "\ufffd"), nil
}
