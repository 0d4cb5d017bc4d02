package templates

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"fnb/schema"
	"fnb/schema/document"
	"fnb/schema/runtimes"
	"fnb/schema/words"
	"fnb/templates/tree"
)

// A Severity says whether a problem keeps a template from working.
type Severity string

// The severities.
const (
	SeverityError   Severity = "error"   // images cannot be built, or do not work
	SeverityWarning Severity = "warning" // works, but not as well or as safely as it could
)

// The parts of a template, as problems name them.
const (
	PartManifest   = "manifest"
	PartDockerfile = "dockerfile"
	PartEntrypoint = "entrypoint"
	PartHandler    = "handler"
	PartPackages   = "packages"
)

// A Problem is one thing that is wrong with a template.
type Problem struct {
	File     string   `json:"file,omitempty"` // below the template; "" for the template as a whole
	Line     int      `json:"line,omitempty"` // from 1; 0 where no line is known
	Part     string   `json:"part"`           // of the template; one of the Part constants
	Severity Severity `json:"severity"`
	Message  string   `json:"message"`
}

// String returns p as one line: "Dockerfile:3: warning: …".
func (p Problem) String() string {
	place := p.File
	if p.Line > 0 {
		place = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if place != "" {
		place += ": "
	}
	return place + string(p.Severity) + ": " + p.Message
}

// Lint returns all problems of the template's four parts, by file and line.
// None means that the template is as it should be.
func (t *Template) Lint() []Problem { return lint(t.FS) }

// LintDir returns all problems of the template in the folder dir, also of one
// that does not open. The error is about reading dir itself.
func LintDir(dir string) ([]Problem, error) {
	fsys, _, err := folder(dir)
	if err != nil {
		return nil, err
	}
	if _, err := fs.ReadDir(fsys, "."); err != nil {
		return nil, fmt.Errorf("template %s: %w", dir, err)
	}
	return lint(fsys), nil
}

// A linter collects the problems of one template.
type linter struct {
	view     fs.FS
	manifest schema.Manifest
	text     []string // lines of the manifest
	folder   string   // of the handler
	problems []Problem
}

func lint(fsys fs.FS) []Problem {
	l := &linter{folder: defaultFolder}
	view, err := look(fsys)
	if err != nil {
		l.treeErrors(err)
		return l.sorted()
	}
	l.view = view
	hasManifest := l.readManifest()
	l.handler()
	l.packages()
	dockerfile, place := l.dockerfilePlace()
	if dockerfile != nil {
		l.dockerfile(dockerfile)
		l.installs(dockerfile)
	}
	if hasManifest {
		l.entrypoint(dockerfile, place)
		l.test(dockerfile)
		l.runtime(dockerfile)
		l.debug()
	}
	return l.sorted()
}

func (l *linter) sorted() []Problem {
	slices.SortStableFunc(l.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Severity, b.Severity))
	})
	return slices.Compact(l.problems)
}

// add notes a problem of a file, whose line may be 0.
func (l *linter) add(severity Severity, part, file string, line int, format string, args ...any) {
	l.problems = append(l.problems, Problem{File: file, Line: line, Part: part, Severity: severity, Message: fmt.Sprintf(format, args...)})
}

// treeErrors notes links that leave the template and files that are none.
func (l *linter) treeErrors(err error) {
	for _, e := range flatten(err) {
		var p *tree.PathError
		if errors.As(e, &p) {
			l.add(SeverityError, l.partOf(p.Path), p.Path, 0, "%s", p.Reason)
			continue
		}
		l.add(SeverityError, PartManifest, "", 0, "%s", e)
	}
}

// partOf returns the part of the template that a file belongs to.
func (l *linter) partOf(name string) string {
	switch {
	case name == ManifestName:
		return PartManifest
	case name == dockerfileName:
		return PartDockerfile
	case name == l.folder || strings.HasPrefix(name, l.folder+"/"):
		return PartHandler
	}
	return PartEntrypoint
}

// flatten returns the errors that err joins.
func flatten(err error) []error {
	var joined interface{ Unwrap() []error }
	if !errors.As(err, &joined) {
		return []error{err}
	}
	var all []error
	for _, e := range joined.Unwrap() {
		all = append(all, flatten(e)...)
	}
	return all
}

func (l *linter) readManifest() bool {
	data, err := fs.ReadFile(l.view, ManifestName)
	if errors.Is(err, fs.ErrNotExist) {
		l.add(SeverityError, PartManifest, ManifestName, 0, "%s", strings.TrimSuffix(missingManifest(l.view).Error(), ": "+fs.ErrNotExist.Error()))
		return false
	}
	var manifest schema.Manifest
	if err == nil {
		manifest, err = schema.ParseManifest(ManifestName, data)
	}
	if err != nil {
		for _, e := range flatten(err) {
			l.manifestError(e)
		}
		return false
	}
	l.manifest, l.text = manifest, strings.Split(string(data), "\n")
	if manifest.Description == beginningDescription {
		l.add(SeverityError, PartManifest, ManifestName, l.line("description:"), "description: is still that of fnb template init: say what functions of this template are")
	}
	if f := manifest.HandlerFolder; f != "" {
		l.folder = f
	}
	if !fs.ValidPath(l.folder) || l.folder == "." {
		l.add(SeverityError, PartHandler, ManifestName, l.line("handler_folder"), "handler_folder: %q is not a folder inside the template", l.folder)
		l.folder = defaultFolder
	}
	return true
}

func (l *linter) manifestError(err error) {
	var field *document.FieldError
	if !errors.As(err, &field) {
		l.add(SeverityError, PartManifest, ManifestName, 0, "%s", err)
		return
	}
	bare := *field
	bare.File, bare.Line, bare.Column = "", 0, 0
	l.add(SeverityError, PartManifest, ManifestName, field.Line, "%s", bare.Error())
}

// line is the first line of the manifest that has a text, 0 where none has.
func (l *linter) line(text string) int {
	return slices.IndexFunc(l.text, func(line string) bool {
		line, _, _ = strings.Cut(line, "#")
		return strings.Contains(line, text)
	}) + 1
}

func (l *linter) handler() {
	list, err := fs.ReadDir(l.view, l.folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.add(SeverityError, PartHandler, l.folder, 0, "the handler's folder is missing")
	case err != nil:
		l.add(SeverityError, PartHandler, l.folder, 0, "the handler's folder is not a folder")
	case len(list) == 0:
		l.add(SeverityError, PartHandler, l.folder, 0, "the handler's folder is empty")
	}
}

// dockerfilePlace returns the template's Dockerfile, or that of its starter,
// and whose it is. Nil means that there is none that can be read.
func (l *linter) dockerfilePlace() (*Dockerfile, string) {
	for _, name := range []string{dockerfileName, path.Join(l.folder, dockerfileName)} {
		data, err := fs.ReadFile(l.view, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		var d *Dockerfile
		if err == nil {
			d, err = ReadDockerfile(name, data, nil)
		}
		if err != nil {
			var field *document.FieldError
			if errors.As(err, &field) {
				l.add(SeverityError, PartDockerfile, name, field.Line, "%s", field.Problem)
			} else {
				l.add(SeverityError, PartDockerfile, name, 0, "%s", err)
			}
			return nil, name
		}
		return d, name
	}
	l.add(SeverityError, PartDockerfile, dockerfileName, 0, "is missing, and the handler in %s brings none", l.folder)
	return nil, ""
}

// entrypoint checks what is needed to start the function, which an image that
// brings its watchdog says itself.
func (l *linter) entrypoint(d *Dockerfile, place string) {
	m := l.manifest
	if d == nil || m.Watchdog == words.WatchdogNone || m.Watchdog == words.WatchdogDockerfile || (m.Watchdog == "" && d.bringsWatchdog()) {
		return
	}
	if m.FProcess == "" && place == dockerfileName && !d.sets("fprocess") {
		l.add(SeverityError, PartEntrypoint, ManifestName, 0, "fprocess is missing: it is the command that the watchdog runs")
	}
	if m.Mode == "http" && m.UpstreamURL == "" && !d.sets("upstream_url") {
		l.add(SeverityError, PartEntrypoint, ManifestName, l.line("mode"), "upstream_url is missing: in mode http the watchdog calls the function there")
	}
}

func (l *linter) test(d *Dockerfile) {
	if test := l.manifest.Test; test != nil {
		l.stage(d, "test", test.Target)
	}
	l.stage(d, "check", l.manifest.Check)
}

// stage checks that the Dockerfile has a stage that a key of the manifest names.
func (l *linter) stage(d *Dockerfile, key, name string) {
	if d != nil && name != "" && d.stageNamed(name) < 0 {
		l.add(SeverityError, PartDockerfile, ManifestName, l.line(name), "%s: %s has no stage %q", key, d.File, name)
	}
}

// runtime checks that the build arg for the runtime's version decides something, and that
// there is a version where a project asks for none.
func (l *linter) runtime(d *Dockerfile) {
	rt := l.manifest.Runtime
	if d == nil || rt == nil {
		return
	}
	there := d.Default(rt.Arg)
	if there != "" && runtimes.Older(there, rt.Least) {
		l.add(SeverityError, PartDockerfile, ManifestName, l.line("least"), "runtime: least is %s, but %s has ARG %s=%s", rt.Least, d.File, rt.Arg, there)
	}
	if there == "" {
		l.add(SeverityError, PartDockerfile, ManifestName, l.line(rt.Arg), "runtime: %s has no ARG %s with a value before its first FROM", d.File, rt.Arg)
	}
}
