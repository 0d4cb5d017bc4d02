package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"fnb/internal/plain"
	"fnb/pipeline/effects"
	"fnb/pipeline/locks"
	"fnb/pipeline/pins"
	"fnb/pipeline/updates"
)

// A conflictError names the files in which a person has to choose.
type conflictError struct{ files []string }

func (e *conflictError) Error() string {
	return "merging the changed starters: " + plain.Count(len(e.files), "file", "files") + " with conflicts"
}

// An updateResult is what fnb update does: pins that move, and files that change.
type updateResult struct {
	Pins  []pins.Change  `json:"pins"`
	Files []effects.File `json:"files"`
	Locks []locks.Lock   `json:"locks,omitempty"` // with --packages
}

// describe says which files change.
func (u *updateResult) describe(merges []updates.Merge) {
	for _, m := range merges {
		for _, c := range m.Changes {
			f := effects.File{Path: relative(filepath.Join(m.Dir, filepath.FromSlash(c.File))), Action: c.Action}
			if c.Beside != "" {
				f.Beside = relative(filepath.Join(m.Dir, filepath.FromSlash(c.Beside)))
			}
			u.Files = append(u.Files, f)
		}
	}
}

func (u *updateResult) conflicts() error {
	var files []string
	for _, f := range u.Files {
		if f.Conflict() {
			files = append(files, f.Path)
		}
	}
	if len(files) > 0 {
		return &conflictError{files}
	}
	return nil
}

func (g *globals) printUpdated(u *updateResult) error {
	if g.json {
		return g.printJSON(u)
	}
	var b strings.Builder
	for _, c := range u.Pins {
		fmt.Fprintln(&b, c.Kind, plain.Line(c.Name), plain.Line(c.Locked.String()), "->", plain.Line(c.Newest.String()))
	}
	for _, f := range u.Files {
		line := f.Action + " " + f.Path
		if f.Beside != "" {
			line += ": the template's is in " + f.Beside
		}
		fmt.Fprintln(&b, plain.Line(line))
	}
	for _, l := range u.Locks {
		if l.Changed {
			fmt.Fprintln(&b, l.Manager, plain.Line(relative(l.File)), "written")
		}
	}
	_, err := g.out.Write([]byte(b.String()))
	return err
}
