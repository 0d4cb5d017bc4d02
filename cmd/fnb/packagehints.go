package main

import (
	"errors"
	"path"
	"slices"
	"strings"

	"fnb/internal/plain"
	"fnb/packaging"
	"fnb/packaging/lists"
	"fnb/pipeline"
	"fnb/schema/document"
)

// makeLock says how a lock is made, if the function's template can.
func makeLock(err error) []string {
	if o, ok := errors.AsType[*pipeline.OfferError](err); ok && o.Locks {
		return []string{"make the lock in the builder, without the package manager here: fnb lock --packages " + plain.ShellWord(o.Function)}
	}
	return nil
}

// completeModule says how a go.mod becomes complete: no lock does that.
func completeModule(err error, log string) []string {
	if strings.Contains(log, shownModule) {
		return []string{"write into go.mod what the step shows with a +, or with Go here, in the handler: go mod tidy"}
	}
	out := "complete go.mod with Go here, in the handler: go mod tidy"
	if o, ok := errors.AsType[*pipeline.OfferError](err); ok && o.Locks {
		out += "; without Go, see what it lacks with: fnb lock --packages " + plain.ShellWord(o.Function)
	}
	return []string{out}
}

// outsideListHints say how a package list can name what lies at a path of the stack's folder.
func outsideListHints(err error, lies string) []string {
	list := ""
	if f, ok := errors.AsType[*document.FieldError](err); ok {
		list = f.File
	}
	if path.Base(list) == "pom.xml" {
		beside := path.Join(path.Dir(list), "parent.xml")
		return []string{"put a copy of it beside " + list + ": cp " + plain.ShellWord(lies) + " " + plain.ShellWord(beside) + ", and name it there: <relativePath>parent.xml</relativePath>"}
	}
	if strings.Trim(lies, "./") == "" || strings.HasPrefix(list, lies+"/") {
		return nil // it is around the handler, which cannot hold it
	}
	place, allow := "./"+lies, ""
	if strings.HasPrefix(lies, "..") {
		place, allow = "./"+path.Base(lies), ", with --"+outsideFlag+" "+plain.ShellWord(lies)
	}
	out := []string{"have it copied into the handler" + allow + ", at the top of the stack file: configuration: {copy: [" + lies + "]}; and name it " + place + " in " + list}
	if allow == "" && slices.Contains([]string{"package.json", "pyproject.toml", "Cargo.toml"}, path.Base(list)) {
		out = append(out, "or make both members of a workspace")
	}
	return out
}

// packageHints say what to do about package lists and locks.
func packageHints(err error) []string {
	if s, ok := errors.AsType[*lists.SeveralError](err); ok {
		out := []string{"remove the one that is not used: rm " + plain.ShellWord(s.Locks[0]) + ", or: rm " + plain.ShellWord(s.Locks[1])}
		if s.Manifest != "" {
			out = append(out, `or say in `+s.Manifest+` which one counts, such as: "packageManager": "pnpm@10.0.0"`)
		}
		return out
	}
	if o, ok := errors.AsType[*lists.OutsideError](err); ok {
		return outsideListHints(err, o.Path)
	}
	if c, ok := errors.AsType[*lists.ContradictionError](err); ok {
		out := []string{"if " + c.Said + " is meant, remove the lock with: rm " + plain.ShellWord(c.Lock)}
		if o, ok := errors.AsType[*pipeline.OfferError](err); ok && o.Locks {
			out[0] += "; then make its own with: fnb lock --packages " + plain.ShellWord(o.Function)
		}
		return append(out, "if "+c.Manager+" is meant, write that in packageManager of "+c.Manifest)
	}
	if b, ok := errors.AsType[*lists.BadLockError](err); ok && b.Manifest != "" {
		return []string{"put the " + b.Manifest + " that it was made of beside it, or remove it with: rm " + plain.ShellWord(b.Lock)}
	} else if ok {
		return makeLock(err)
	}
	l, ok := errors.AsType[*packaging.LockError](err)
	if !ok {
		return nil
	}
	var out []string
	if len(l.Others) > 0 {
		out = append(out, "use a template that can, in the stack file: lang: "+strings.Join(l.Others, ", or lang: "))
	} else {
		out = append(out, "no official template installs with "+l.Manager)
	}
	if l.Lock {
		out = append(out, "or leave it out of the image with the line "+path.Base(l.File)+" in "+path.Join(path.Dir(l.File), ".fnbignore"))
	}
	return out
}
