package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"fnb/internal/disk"
	"fnb/internal/plain"
	"fnb/pipeline/pins"
	"fnb/schema"
)

// An adoption is what fnb adopt found, and what it makes of it.
type adoption struct {
	g       *globals
	o       *adoptOptions
	dir     string // absolute
	root    *os.Root
	wanted  wanted
	pins    *pins.Set // nil until something is to be pinned
	files   []adoptedFile
	missing []error
	out     adopted
}

// An adoptedFile is a file of the project with what it is to be.
type adoptedFile struct {
	path     string
	old, now []byte // old is nil for a new file
	what     string // what is new in it
}

// adopted is the result, as --json prints it; docs/openfaas.md has it.
type adopted struct {
	DryRun  bool             `json:"dry_run"`
	Stacks  []adoptedStack   `json:"stacks"`
	Notes   []string         `json:"notes"`
	Missing []adoptedMissing `json:"missing"`
	Written []string         `json:"written"`        // files that were written, or with dry_run would be
	Diff    string           `json:"diff,omitempty"` // of these, with dry_run
}

type adoptedStack struct {
	File      string            `json:"file"`
	New       bool              `json:"new"`
	Functions []adoptedFunction `json:"functions"`
}

type adoptedFunction struct {
	Name    string `json:"name"`
	Lang    string `json:"lang,omitempty"`
	Handler string `json:"handler,omitempty"`
	Image   string `json:"image,omitempty"`
	From    string `json:"from,omitempty"` // where its template comes from: "official", a folder, a URL or a store
}

type adoptedMissing struct {
	Problem string   `json:"problem"`
	Hints   []string `json:"hints,omitempty"`
}

// A missingError is what keeps an adopted project from being built.
type missingError struct{ missing []error }

func (e *missingError) Error() string {
	return "the project does not build yet: " + plain.Count(len(e.missing), "thing is missing", "things are missing")
}

func (e *missingError) Unwrap() []error { return e.missing }

// exitCode is that of the first which says more than that there is an error.
func (e *missingError) exitCode() int {
	for _, err := range e.missing {
		if code := exitCode(err); code != exitError {
			return code
		}
	}
	return exitError
}

// open settles the folder of the project, and which stack files it has.
func (a *adoption) open(args []string) (names []string, err error) {
	dir := "."
	if len(args) > 0 {
		dir = args[0]
	}
	if a.g.file != "" {
		if len(args) > 0 {
			return nil, usagef("fnb adopt", "-f FILE and DIR cannot be used together")
		}
		dir, names = filepath.Dir(a.g.file), []string{filepath.Base(a.g.file)}
	}
	if a.dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if a.root, err = os.OpenRoot(a.dir); err != nil {
		return nil, fmt.Errorf("reading the project in %s: %w", dir, errors.Unwrap(err))
	}
	for _, name := range append([]string{"stack.yaml", "stack.yml", "fnb.lock", ".fnbignore"}, names...) {
		if _, err := a.has(name); err != nil {
			return nil, errors.Join(err, a.root.Close())
		}
	}
	if names != nil {
		return names, nil
	}
	if names, err = schema.StackFiles(a.root.FS()); err != nil {
		return nil, errors.Join(err, a.root.Close())
	}
	return names, nil
}

// has reports whether there is a file. What is no plain file of the project is an error:
// a link that leads elsewhere, a pipe, a device.
func (a *adoption) has(name string) (bool, error) {
	if _, err := a.root.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	info, err := a.root.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return true, fmt.Errorf("%s is not a plain file of the project's folder", relative(filepath.Join(a.dir, name)))
	}
	return true, nil
}

// miss notes what is missing, once.
func (a *adoption) miss(err error) {
	if !slices.ContainsFunc(a.missing, func(e error) bool { return e.Error() == err.Error() }) {
		a.missing = append(a.missing, err)
	}
}

func (a *adoption) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(a.out.Notes, text) {
		a.out.Notes = append(a.out.Notes, text)
	}
}

// lock adds fnb.lock to the files if it is to be another.
func (a *adoption) lock() {
	if a.pins == nil || len(a.pins.Changes()) == 0 {
		return
	}
	path := filepath.Join(a.dir, "fnb.lock")
	old, err := os.ReadFile(path) // which has been read before
	if err != nil {
		old = nil
	}
	a.files = append(a.files, adoptedFile{path, old, a.pins.Now().Marshal(), "what templates, base images and watchdogs are"})
}

// write writes the files, or what they would be into the diff.
func (a *adoption) write() error {
	for _, f := range a.files {
		if bytes.Equal(f.old, f.now) {
			continue
		}
		name := relative(f.path)
		a.out.Written = append(a.out.Written, name)
		if a.o.dryRun {
			before := name
			if f.old == nil {
				before = os.DevNull
			}
			text := string(diff.Diff(before, f.old, name, f.now))
			_, text, _ = strings.Cut(text, "\n") // the command that would make it
			a.out.Diff += text
			continue
		}
		if err := disk.ReplaceFile(f.path, f.now, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// print prints what was found and written.
func (a *adoption) print() error {
	for _, err := range a.missing {
		a.out.Missing = append(a.out.Missing, adoptedMissing{err.Error(), hints(err)})
	}
	if a.g.json {
		return a.g.printJSON(a.out)
	}
	var b strings.Builder
	for _, s := range a.out.Stacks {
		fmt.Fprintf(&b, "%s  %s\n", plain.Line(s.File), plain.Count(len(s.Functions), "function", "functions"))
		for _, fn := range s.Functions {
			from := ""
			if fn.From != "" {
				from = " from " + fn.From
			}
			b.WriteString(strings.TrimRight(plain.Line(fmt.Sprintf("  %s  %s%s  %s", fn.Name, fn.Lang, from, fn.Handler)), " ") + "\n")
		}
	}
	verb := "wrote"
	if a.o.dryRun {
		verb = "would write"
	}
	for _, f := range a.files {
		if slices.Contains(a.out.Written, relative(f.path)) {
			fmt.Fprintf(&b, "%s %s: %s\n", verb, plain.Line(relative(f.path)), plain.Line(f.what))
		}
	}
	if len(a.out.Written) == 0 {
		b.WriteString("nothing to write\n")
	}
	for line := range strings.Lines(a.out.Diff) {
		b.WriteString(plain.Line(strings.TrimRight(line, "\r\n")) + "\n")
	}
	if !a.g.quiet {
		a.g.tell(a.out.Notes)
	}
	_, err := fmt.Fprint(a.g.out, b.String())
	if err == nil && len(a.missing) == 0 && !a.g.quiet {
		for _, s := range a.out.Stacks {
			fmt.Fprintln(a.g.err, "next: "+plain.Line("fnb build"+fileFlag(s.File)))
		}
	}
	return err
}
