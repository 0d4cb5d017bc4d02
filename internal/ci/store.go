package ci

import (
	"embed"
	"io/fs"
	"path"
	"slices"
	"strings"

	"fnb/internal/plain"
	"fnb/schema"
)

// storeFiles are the templates of what a store's repository begins with, by host; "any" is for all.
//
//go:embed all:store
var storeFiles embed.FS //nolint:gochecknoglobals // the compiler fills it

// StoreHosts are the hosts that a store's repository has pipelines for.
func StoreHosts() []string { return []string{"github", "gitlab"} }

// A NewStore is what the repository of a store is begun with.
type NewStore struct {
	Host       string // one of [StoreHosts]; "" writes no pipelines
	Name       string // what users call it when they add it
	Title      string
	Branch     string   // what is merged to it is published
	Namespaces []string // that it begins with
	Owners     []string // of each of them
	Fnb        Source
}

// A File is one that is to be written.
type File struct {
	Path string // slash-separated, below the folder of the store
	Data []byte
	Mode fs.FileMode
}

// Files returns the files of the store, by their paths.
func (s NewStore) Files() ([]File, error) {
	about, err := schema.StoreFile{V: schema.RecordVersion, Origin: s.Title}.Marshal()
	if err != nil {
		return nil, err
	}
	files := []File{{"store.json", about, 0o644}}
	for _, ns := range slices.Compact(slices.Sorted(slices.Values(s.Namespaces))) {
		data, err := schema.Namespace{V: schema.RecordVersion, Owners: s.Owners}.Marshal()
		if err != nil {
			return nil, err
		}
		files = append(files, File{"namespaces/" + ns + ".json", data, 0o644})
	}
	folders := []string{"any"}
	if s.Host != "" {
		folders = append(folders, s.Host)
	}
	for _, folder := range folders {
		more, err := s.filled(path.Join("store", folder))
		if err != nil {
			return nil, err
		}
		files = append(files, more...)
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// filled fills the templates in a folder of storeFiles.
func (s NewStore) filled(folder string) ([]File, error) {
	var files []File
	err := fs.WalkDir(storeFiles, folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fill(storeFiles, name, s.pipeline())
		if err != nil {
			return err
		}
		file := File{strings.TrimSuffix(strings.TrimPrefix(name, folder+"/"), ".tmpl"), data, 0o644}
		if path.Ext(file.Path) == ".sh" {
			file.Mode = 0o755
		}
		files = append(files, file)
		return nil
	})
	return files, err
}

// storePipeline is what the templates of a store are filled with.
type storePipeline struct {
	Pipeline

	Name, Title string
}

func (s NewStore) pipeline() storePipeline {
	system, _ := SystemNamed(s.Host) // a store without a host has no pipelines
	return storePipeline{
		Pipeline: Pipeline{Branch: s.Branch, Fnb: s.Fnb, Variable: system.variable, Image: JobImage},
		Name:     s.Name, Title: plain.Markdown(s.Title),
	}
}

// StoreName makes the name of a store of a folder's; "store" if nothing is left of it.
func StoreName(folder string) string {
	name := strings.Trim(strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, folder), "-")
	if schema.ValidateName(name) != nil {
		return "store"
	}
	return name
}
