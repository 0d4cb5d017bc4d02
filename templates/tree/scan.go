package tree

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

// A Scan reads the files below the root of an [fs.FS].
type Scan struct {
	// Skip leaves a file or a folder out before it is looked at. Nil skips
	// nothing. Whatever is named ".git" or ".fnb" is left out always.
	Skip func(path string, folder bool) (bool, error)
}

// Entries returns the files and links in fsys, sorted by path. Folders are there
// only through what is in them: an empty one is left out, as git does, so that
// a checksum of a tree covers all of it.
//
// A link that leaves fsys, a device, a FIFO, a socket and a name that is not
// UTF-8 are errors; all of them are reported, joined, each a [*PathError]. No
// file is opened.
func (s Scan) Entries(ctx context.Context, fsys fs.FS) ([]Entry, error) {
	w := walker{scan: s, fsys: fsys}
	if err := w.folder(ctx, "."); err != nil {
		return nil, err
	}
	w.problems = append(w.problems, escapes(w.entries)...)
	if len(w.problems) > 0 {
		return nil, errors.Join(w.problems...)
	}
	sortEntries(w.entries)
	return w.entries, nil
}

type walker struct {
	scan     Scan
	fsys     fs.FS
	entries  []Entry
	problems []error
}

// folder reads one folder and what is below it. The error it returns ends the
// walk; problems of single files are collected.
func (w *walker) folder(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	list, err := fs.ReadDir(w.fsys, dir)
	if err != nil {
		return fmt.Errorf("reading folder %s: %w", dir, err)
	}
	for _, d := range list {
		name := path.Join(dir, d.Name())
		if d.Name() == ".git" || d.Name() == ".fnb" { // what git and fnb keep for themselves
			continue
		}
		if w.scan.Skip != nil {
			skip, err := w.scan.Skip(name, d.IsDir())
			if err != nil {
				return err
			}
			if skip {
				continue
			}
		}
		if !utf8.ValidString(d.Name()) || strings.ContainsAny(d.Name(), "\n\r") {
			w.problem(fmt.Sprintf("%q", name), reasonName)
			continue
		}
		read := func() error { return w.entry(name, d) }
		if d.IsDir() {
			read = func() error { return w.folder(ctx, name) }
		}
		if err := read(); err != nil {
			return err
		}
	}
	return nil
}

func (w *walker) entry(name string, d fs.DirEntry) error {
	e := Entry{Path: name}
	switch t := d.Type(); {
	case t == fs.ModeSymlink:
		target, err := fs.ReadLink(w.fsys, name)
		if err != nil {
			return fmt.Errorf("reading link %s: %w", name, err)
		}
		e.Mode, e.Target = linkMode, target
	case t.IsRegular():
		info, err := d.Info()
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		e.Mode = filePerm
		if info.Mode()&0o100 != 0 {
			e.Mode = execPerm
		}
		e.Size, e.time = info.Size(), info.ModTime()
		e.from, e.name = w.fsys, name
		e.stamped(info)
	default:
		w.problem(name, kindReason(t))
		return nil
	}
	w.entries = append(w.entries, e)
	return nil
}

func (w *walker) problem(name, reason string) {
	w.problems = append(w.problems, &PathError{Path: name, Reason: reason})
}

// File returns the entry of one regular file of fsys, which the tree is to show
// at place.
func File(fsys fs.FS, name, place string) (Entry, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return Entry{}, fmt.Errorf("reading %s: %w", name, err)
	}
	if !info.Mode().IsRegular() {
		return Entry{}, &PathError{Path: name, Reason: kindReason(info.Mode().Type())}
	}
	e := Entry{Path: place, Mode: filePerm, Size: info.Size(), from: fsys, name: name, time: info.ModTime()}
	if info.Mode()&0o100 != 0 {
		e.Mode = execPerm
	}
	e.stamped(info)
	return e, nil
}

// escapes returns an error for each link that leaves the tree of entries, which
// are all there is: a link to something that is not there stays inside.
func escapes(entries []Entry) []error {
	var links []Entry
	for _, e := range entries {
		if e.Mode == linkMode {
			links = append(links, e)
		}
	}
	if len(links) == 0 {
		return nil
	}
	whole := index(entries)
	var problems []error
	for _, l := range links {
		if _, err := whole.resolve(l.Path); errors.Is(err, errEscapes) {
			problems = append(problems, &PathError{Path: l.Path, Reason: fmt.Sprintf("the link leaves its folder: %s", l.Target)})
		}
	}
	return problems
}
