package lists

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"path"
	"strings"

	"golang.org/x/mod/modfile"

	"fnb/schema/document"
)

// A pom is what fnb reads of a pom.xml.
type pom struct {
	ArtifactID string `xml:"artifactId"`
	Parent     *struct {
		ArtifactID   string  `xml:"artifactId"`
		RelativePath *string `xml:"relativePath"`
	} `xml:"parent"`
	Modules      []string `xml:"modules>module"`
	Dependencies []struct {
		SystemPath string `xml:"systemPath"`
	} `xml:"dependencies>dependency"`
	Repositories []struct {
		URL string `xml:"url"`
	} `xml:"repositories>repository"`
}

// followMaven adds what a pom.xml names: its parent and its modules in the handler's
// folder, archives and repositories in folders.
func (f *finder) followMaven(name string) error {
	if f.read[name] || !f.has(name) {
		return nil
	}
	f.read[name] = true
	f.files[name] = true
	dir := path.Dir(name)
	f.addFolder(path.Join(dir, ".mvn"))
	t, p, err := f.pom(name)
	if err != nil {
		return err
	}
	for _, module := range p.Modules {
		if err := f.mavenModule(t, dir, strings.TrimSpace(module)); err != nil {
			return err
		}
	}
	if p.Parent != nil {
		if err := f.mavenParent(t, dir, p); err != nil {
			return err
		}
	}
	for _, d := range p.Dependencies {
		if err := f.mavenPath(t, dir, d.SystemPath); err != nil {
			return err
		}
	}
	for _, r := range p.Repositories {
		if ref, ok := strings.CutPrefix(strings.TrimSpace(r.URL), "file:"); ok {
			if err := f.mavenPath(t, dir, strings.TrimPrefix(ref, "//")); err != nil {
				return err
			}
		}
	}
	return nil
}

// mavenModule follows a module: a folder with a pom.xml, or such a file.
func (f *finder) mavenModule(t text, dir, ref string) error {
	name, err := f.resolve(t, dir, ref, ref)
	if err != nil {
		return err
	}
	if f.hasFolder(name) {
		name = path.Join(name, "pom.xml")
	}
	if !f.has(name) {
		return t.problem(ref, "the module %s has no pom.xml", ref)
	}
	return f.followMaven(name)
}

// pom reads a pom.xml.
func (f *finder) pom(name string) (t text, p pom, err error) {
	if t, err = f.open(name, maxManifest); err != nil {
		return t, p, err
	}
	decoder := xml.NewDecoder(bytes.NewReader(t.data))
	decoder.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil } // the names that count are ASCII
	err = decoder.Decode(&p)
	if syntax, ok := errors.AsType[*xml.SyntaxError](err); ok {
		return t, p, t.at(syntax.Line, "is not XML: %s", syntax.Msg)
	}
	if err != nil {
		return t, p, t.at(0, "is not a pom.xml: %s", err)
	}
	return t, p, nil
}

// mavenParent follows the parent, where it is a file. One that is not there comes from a
// repository.
func (f *finder) mavenParent(t text, dir string, p pom) error {
	ref := "../pom.xml"
	if p.Parent.RelativePath != nil {
		ref = strings.TrimSpace(*p.Parent.RelativePath)
	}
	name := path.Join(dir, ref)
	if ref == "" || strings.HasPrefix(name, "../") {
		return nil
	}
	if f.hasFolder(name) {
		name = path.Join(name, "pom.xml")
	}
	if Inside(f.root, name) {
		return f.followMaven(name)
	}
	if !f.has(name) {
		return nil
	}
	// Maven takes what lies there only if it is the parent.
	_, above, err := f.pom(name)
	if err != nil || strings.TrimSpace(above.ArtifactID) != strings.TrimSpace(p.Parent.ArtifactID) {
		return nil //nolint:nilerr // it is nobody's parent here
	}
	line := lineAt(t.data, bytes.Index(t.data, []byte("<parent>")))
	return &document.FieldError{File: t.name, Line: line, Problem: "its parent " + ref + " lies outside of the folder that packages are installed from", Err: &OutsideError{name}}
}

// mavenPath takes a file or a folder that is named below the project's folder.
func (f *finder) mavenPath(t text, dir, ref string) error {
	for _, base := range []string{"${project.basedir}/", "${basedir}/", "${pom.basedir}/"} {
		if below, ok := strings.CutPrefix(strings.TrimSpace(ref), base); ok {
			name, err := f.resolve(t, dir, below, ref)
			if err != nil {
				return err
			}
			if !f.add(name) && !f.addFolder(name) {
				return t.problem(ref, "%s is not there", ref)
			}
		}
	}
	return nil
}

// followDeno adds what a deno.json names: its import map, and folders with packages.
func (f *finder) followDeno() error {
	for _, name := range []string{"deno.json", "deno.jsonc"} {
		file := path.Join(f.Handler, name)
		if !f.has(file) {
			continue
		}
		f.add(path.Join(f.Handler, "package.json"))
		f.add(path.Join(f.Handler, ".npmrc"))
		t, err := f.open(file, maxManifest)
		if err != nil {
			return err
		}
		var config struct {
			ImportMap string   `json:"importMap"`
			Links     []string `json:"links"`
			Patch     []string `json:"patch"`
		}
		if err := t.unmarshal(withoutComments(t.data), &config, "a deno.json"); err != nil {
			return err
		}
		if config.ImportMap != "" && !isURL(config.ImportMap) {
			if _, _, err := f.take(t, f.Handler, config.ImportMap); err != nil {
				return err
			}
		}
		for _, ref := range append(config.Links, config.Patch...) {
			if _, _, err := f.take(t, f.Handler, ref); err != nil {
				return err
			}
		}
	}
	return nil
}

// withoutComments replaces comments, and commas before a closing bracket, with blanks, so
// that lines stay what they are.
func withoutComments(data []byte) []byte {
	out := bytes.Clone(data)
	comma := -1
	for i := 0; i < len(out); i++ {
		switch c := out[i]; {
		case c == '"':
			comma = -1
			for i++; i < len(out) && out[i] != '"'; i++ {
				if out[i] == '\\' {
					i++
				}
			}
		case c == '/' && i+1 < len(out) && out[i+1] == '/':
			for ; i < len(out) && out[i] != '\n'; i++ {
				out[i] = ' '
			}
		case c == '/' && i+1 < len(out) && out[i+1] == '*':
			end := bytes.Index(out[i+2:], []byte("*/"))
			stop := len(out)
			if end >= 0 {
				stop = i + 2 + end + 2
			}
			for ; i < stop; i++ {
				if out[i] != '\n' {
					out[i] = ' '
				}
			}
			i--
		case c == ',':
			comma = i
		case c == '}' || c == ']':
			if comma >= 0 {
				out[comma] = ' '
			}
			comma = -1
		case c != ' ' && c != '\t' && c != '\n' && c != '\r':
			comma = -1
		}
	}
	return out
}

// followGo adds the modules that go.mod replaces by folders of the handler, and go.work
// names, by their go.mod: the sources are no matter for what is fetched.
func (f *finder) followGo() error {
	for _, name := range []string{"go.work", "go.work.sum", "vendor/modules.txt"} {
		f.add(path.Join(f.Handler, name))
	}
	if name := path.Join(f.Handler, "go.work"); f.has(name) {
		t, err := f.open(name, maxManifest)
		if err != nil {
			return err
		}
		work, err := modfile.ParseWork(name, t.data, nil)
		if err != nil {
			return goProblem(t, err)
		}
		for _, use := range work.Use {
			f.goModule(path.Join(f.Handler, use.Path))
		}
	}
	name := path.Join(f.Handler, "go.mod")
	if !f.has(name) {
		return nil
	}
	t, err := f.open(name, maxManifest)
	if err != nil {
		return err
	}
	mod, err := modfile.Parse(name, t.data, nil)
	if err != nil {
		return goProblem(t, err)
	}
	for _, r := range mod.Replace {
		if r.New.Version == "" {
			f.goModule(path.Join(f.Handler, r.New.Path))
		}
	}
	return nil
}

// goModule takes a module in the handler's folder. One that is elsewhere is brought by
// configuration.copy, or missed by go.
func (f *finder) goModule(dir string) {
	if !strings.HasPrefix(dir, "../") && Inside(f.Handler, dir) {
		f.add(path.Join(dir, "go.mod"))
		f.add(path.Join(dir, "go.sum"))
	}
}

func goProblem(t text, err error) error {
	if list, ok := errors.AsType[modfile.ErrorList](err); ok && len(list) > 0 {
		return t.at(list[0].Pos.Line, "%s", list[0].Err)
	}
	return t.at(0, "%s", err)
}
