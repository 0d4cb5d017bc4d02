package ci

import (
	"bytes"
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"fnb/internal/lazyregexp"
	"fnb/internal/plain"
	"fnb/schema"
)

// files are the templates of the pipelines.
//
//go:embed pipelines
var files embed.FS //nolint:gochecknoglobals // the compiler fills it

// The images of pipelines: the builder that they start, which runs with all rights, and
// what jobs run in where a system wants an image. Those who keep them newer find the
// digest of a tag with docker buildx imagetools inspect.
const (
	BuildKitImage = "docker.io/moby/buildkit:v0.34.0@sha256:b059f8d7226d0b326bc871af489a5dddf65e36af4d20d14251b072974d9ee87c"
	JobImage      = "docker.io/library/debian:bookworm-slim@sha256:96e378d7e6531ac9a15ad505478fcc2e69f371b10f5cdf87857c4b8188404716"
)

// Options are what the user says of a pipeline.
type Options struct {
	Branch   string // what is merged to it is pushed
	Fnb      Source
	BuildKit string // the builder's image
	Matrix   bool   // a job for each function
}

// A Pipeline is what the template of a pipeline is filled with.
type Pipeline struct {
	Stack, Branch, BuildKit string
	Fnb                     Source
	Variable                string // how a variable of the repository is written; "" if a pipeline has them by themselves
	Image                   string // that jobs run in
	File                    string // that proposes updates, in the repository
	System, Runner, Actions string // the system's name, the label of its machines, what is before the name of an action
	Matrix, Packages        bool
	Functions               []string
	BuildSecrets            []string // ids of those of the stack
	Logins                  []Login
}

// An ImageError says that the image of a function is no reference.
type ImageError struct {
	Function, Image string
	Err             error
}

func (e *ImageError) Error() string { return fmt.Sprintf("its image %q: %v", e.Image, e.Err) }

func (e *ImageError) Unwrap() error { return e.Err }

// A PathError says that no pipeline can name a stack file: a control character would end its line, and each system
// evaluates some of what begins with a dollar sign.
type PathError struct{ Path string }

func (e *PathError) Error() string {
	return fmt.Sprintf("a pipeline cannot name %q: its path must have no control characters and no $", e.Path)
}

// New is the pipeline of a stack in the repository at root. A function's image that is no
// reference is an [*ImageError], a path that no pipeline can name a [*PathError].
func New(s System, stack *schema.Stack, root string, o Options) (Pipeline, error) {
	rel, err := filepath.Rel(root, stack.File)
	if err != nil {
		return Pipeline{}, err
	}
	if strings.ContainsFunc(rel, plain.Acts) || strings.Contains(rel, "$") || strings.ToValidUTF8(rel, "") != rel {
		return Pipeline{}, &PathError{Path: rel}
	}
	p := Pipeline{
		Stack: quoteYAML(filepath.ToSlash(rel)), Branch: o.Branch, Fnb: o.Fnb, Variable: s.variable, BuildKit: o.BuildKit, Image: JobImage,
		File: s.UpdatesFile, System: s.Name, Runner: s.runner, Actions: s.actions, Matrix: o.Matrix,
	}
	for _, fn := range stack.Functions {
		if fn.SkipBuild {
			continue
		}
		p.Functions = append(p.Functions, fn.Name)
		p.BuildSecrets = slices.AppendSeq(p.BuildSecrets, maps.Keys(fn.BuildSecrets))
		image, err := schema.ParseImageRef(fn.Image)
		if err != nil {
			return p, &ImageError{Function: fn.Name, Image: fn.Image, Err: err}
		}
		l := s.LoginFor(image.Registry)
		if !slices.Contains(p.Logins, l) {
			p.Logins = append(p.Logins, l)
		}
		p.Packages = p.Packages || l.Host == "ghcr.io"
	}
	slices.Sort(p.BuildSecrets)
	p.BuildSecrets = slices.Compact(p.BuildSecrets)
	return p, nil
}

// Variables are the lines of a pipeline that say where fnb is.
func (p Pipeline) Variables() string {
	address, sum := p.Fnb.Variable(), "FNB_SHA256"
	switch {
	case p.Fnb.Address != "":
		return fmt.Sprintf("# %s.\n%s: %s\n%s: %s", p.Fnb.What(), address, p.Fnb.Address, sum, p.Fnb.SHA256)
	case p.Variable != "":
		return fmt.Sprintf("# %s: variables of the repository,\n# or what you write here.\n%s: "+p.Variable+"\n%s: "+p.Variable, p.Fnb.What(), address, address, sum, sum)
	}
	return fmt.Sprintf("# %s: variables of the project,\n# or what you write here.\n# %s: https://…\n# %s: …", p.Fnb.What(), address, sum)
}

// Write fills the template of a system.
func (p Pipeline) Write(s System) ([]byte, error) {
	return fill(files, "pipelines/"+cmp.Or(s.pipeline, s.Name)+".yml.tmpl", p)
}

// WriteUpdates fills the template of the pipeline that proposes newer versions. A system without one says why in NoUpdates.
func (p Pipeline) WriteUpdates(s System) ([]byte, error) {
	return fill(files, "pipelines/"+cmp.Or(s.pipeline, s.Name)+"-updates.yml.tmpl", p)
}

// fill fills one template, which may use the steps and scripts that several have.
func fill(from fs.FS, file string, with any) ([]byte, error) {
	var tmpl *template.Template
	text := func(name string) (string, error) { // to be indented
		var out bytes.Buffer
		err := tmpl.ExecuteTemplate(&out, name, with)
		return out.String(), err
	}
	tmpl, err := template.New(path.Base(file)).Delims("[[", "]]").Funcs(template.FuncMap{"indent": Indent, "text": text}).ParseFS(files, "pipelines/steps.tmpl", "pipelines/updates.tmpl")
	if err != nil {
		return nil, err
	}
	if tmpl, err = tmpl.ParseFS(from, file); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = tmpl.Execute(&out, with)
	return out.Bytes(), err
}

// Indent puts spaces before each line but empty ones.
func Indent(n int, text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		b.WriteString(strings.Repeat(" ", n) + line)
	}
	return b.String()
}

// quoteYAML makes a path safe for YAML; a plain one stays as it is.
func quoteYAML(s string) string {
	if plainPath.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

var plainPath = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9_./-]*$`)
