package lists

import (
	"maps"
	"path"
	"slices"
	"strings"

	"fnb/internal/lazyregexp"
)

// followPython adds what the lists of Python name.
func (f *finder) followPython(c choice, w *workspace) error {
	for _, name := range slices.Sorted(maps.Keys(f.files)) {
		if isRequirements(name) && Inside(f.Handler, name) {
			if err := f.requirements(name); err != nil {
				return err
			}
		}
	}
	pyproject := path.Join(f.Handler, "pyproject.toml")
	pip := c.manager == "pip" && f.has(path.Join(f.Handler, "requirements.txt"))
	if f.has(pyproject) && !pip && c.manager != "pipenv" {
		if err := f.pyproject(pyproject, w); err != nil {
			return err
		}
	}
	for _, name := range []string{"uv.toml", "pip.conf"} {
		f.add(path.Join(f.root, name))
	}
	if pipfile := path.Join(f.Handler, "Pipfile"); c.manager == "pipenv" && f.has(pipfile) {
		return f.pipfile(pipfile)
	}
	if w == nil || c.manager != "uv" {
		return nil
	}
	f.add(path.Join(w.dir, "pyproject.toml"))
	for _, dir := range w.dirs() { // uv compares the lock with all of them
		f.add(path.Join(dir, "pyproject.toml"))
	}
	return nil
}

var requirementsName = lazyregexp.New(`(?i)(requirements|constraints)[^/]*\.(txt|in)$|requirements/[^/]*\.(txt|in)$`)

func isRequirements(name string) bool { return requirementsName.MatchString(name) }

// A fileOption is an option of a requirements file that names a file.
type fileOption struct {
	long, short string
	list        bool // the file is a requirements file
}

func fileOptions() []fileOption {
	return []fileOption{
		{"--requirement", "-r", true},
		{"--constraint", "-c", true},
		{"--editable", "-e", false},
		{"--find-links", "-f", false},
	}
}

// requirements follows a requirements file.
func (f *finder) requirements(name string) error {
	if f.read[name] {
		return nil
	}
	f.read[name] = true
	t, err := f.open(name, maxManifest)
	if err != nil {
		return err
	}
	for _, line := range logicalLines(t.data) {
		if err := f.step(t); err != nil {
			return err
		}
		if err := f.requirement(t, line); err != nil {
			return err
		}
	}
	return nil
}

// logicalLines are the lines of a requirements file without comments, those that end in a
// backslash joined with the next.
func logicalLines(data []byte) []string {
	var all []string
	var joined strings.Builder
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		if i := strings.Index(line, " #"); i >= 0 {
			line = line[:i]
		}
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		if before, ok := strings.CutSuffix(line, `\`); ok {
			joined.WriteString(before)
			continue
		}
		joined.WriteString(line)
		all = append(all, strings.TrimSpace(joined.String()))
		joined.Reset()
	}
	return append(all, strings.TrimSpace(joined.String()))
}

// requirement follows one line of a requirements file.
func (f *finder) requirement(t text, line string) error {
	for _, o := range fileOptions() {
		ref, ok := option(line, o.long, o.short)
		if !ok {
			continue
		}
		if o.list {
			if isURL(ref) {
				return nil
			}
			name, _, err := f.take(t, path.Dir(t.name), ref)
			if err != nil {
				return err
			}
			return f.requirements(name)
		}
		if o.short == "-f" && !isURL(ref) && !f.exists(path.Join(path.Dir(t.name), ref)) && !f.exists(path.Join(f.Handler, ref)) {
			return nil // pip goes on without
		}
		return f.localPython(t, ref, true)
	}
	if line == "" || strings.HasPrefix(line, "-") {
		return nil
	}
	return f.localPython(t, line, false)
}

// option returns the value of an option at the beginning of a line.
func option(line, long, short string) (string, bool) {
	for _, o := range []string{long, short} {
		rest, ok := strings.CutPrefix(line, o)
		if !ok || rest == "" {
			continue
		}
		if o == long && rest[0] != ' ' && rest[0] != '=' && rest[0] != '\t' {
			continue
		}
		return strings.Trim(strings.TrimLeft(rest, " =\t"), `"'`), true
	}
	return "", false
}

func isURL(ref string) bool {
	i := strings.Index(ref, "://")
	return i > 0 && !strings.HasPrefix(ref, "file://") || strings.HasPrefix(ref, "git+") || strings.HasPrefix(ref, "data:")
}

// localPython follows a requirement, where it is a file or a folder: "./lib[extra]; marker",
// "wheels/a.whl", "name @ file:./lib". A plain name is none, unless only a path can be meant.
func (f *finder) localPython(t text, requirement string, isPath bool) error {
	ref, _, _ := strings.Cut(requirement, " --")
	ref, _, _ = strings.Cut(ref, ";")
	ref = strings.TrimSpace(ref)
	if _, url, ok := strings.Cut(ref, "@"); ok && !strings.HasPrefix(ref, ".") && strings.Contains(url, "file:") {
		ref = strings.TrimSpace(url)
	}
	if isURL(ref) {
		return nil
	}
	ref, named := fileURL(ref)
	if i := strings.Index(ref, "["); i > 0 {
		ref = ref[:i]
	}
	if !named && !isPath && !strings.ContainsAny(ref, `/\`) && !strings.HasPrefix(ref, ".") && !isArchive(ref) {
		return nil // a name, or the option's folder of links
	}
	return f.pythonPath(t, ref)
}

func isArchive(ref string) bool {
	return slices.ContainsFunc([]string{".whl", ".tar.gz", ".zip", ".tar.bz2"}, func(end string) bool { return strings.HasSuffix(ref, end) })
}

// fileURL returns the path of a file: URL relative to the project, and whether ref is one.
func fileURL(ref string) (string, bool) {
	rest, ok := strings.CutPrefix(ref, "file:")
	if !ok {
		return ref, false
	}
	rest, _, _ = strings.Cut(rest, "#")
	for _, root := range []string{"///${PROJECT_ROOT}/", "//${PROJECT_ROOT}/", "//"} {
		if after, ok := strings.CutPrefix(rest, root); ok {
			return after, true
		}
	}
	return rest, true
}

// pythonPath takes a file or a project, which pip finds below the folder that it is
// started in, and reads what the project names.
func (f *finder) pythonPath(t text, ref string) error {
	base := f.Handler
	if own := path.Dir(t.name); path.Base(t.name) == "pyproject.toml" || !f.exists(path.Join(base, ref)) && f.exists(path.Join(own, ref)) {
		base = own
	}
	name, folder, err := f.take(t, base, ref)
	if err != nil || !folder {
		return err
	}
	if project := path.Join(name, "pyproject.toml"); name != f.Handler && f.has(project) {
		return f.pyproject(project, nil)
	}
	return nil
}

func (f *finder) exists(name string) bool { return f.has(name) || f.hasFolder(name) }

// pipfile follows the path dependencies of a Pipfile.
func (f *finder) pipfile(name string) error {
	t, manifest, err := f.toml(name)
	if err != nil {
		return err
	}
	for _, section := range sorted(manifest) {
		for _, dep := range sorted(tableAt(manifest, section)) {
			for _, key := range []string{"path", "file"} {
				ref := stringAt(manifest, section, dep, key)
				if ref == "" || isURL(ref) {
					continue
				}
				if err := f.pythonPath(t, ref); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
