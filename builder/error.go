package builder

import (
	"fmt"
	"strings"
)

// An UnreachableError says that no builder answers at an address.
type UnreachableError struct {
	Address string
	Err     error
	Log     []string // last lines of the managed builder's log, where there is one
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no builder answers at %s: %v", e.Address, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// A SolveError says which step of a build failed, and why. Secrets given to the
// solve do not appear in it.
type SolveError struct {
	Step    string   // the failing step as the Dockerfile has it; "" where no step is to blame
	File    string   // the Dockerfile, where known
	Line    int      // in File, from 1; 0 where not known
	Log     []string // last lines of the step's output
	Problem string   // one line
	Denied  string   // host of the registry that refused to give a base image away; "" where none did
	// Unreached is the host of the registry that was to give a base image and does not
	// answer, or fails; "" otherwise.
	Unreached string
	// Foreign is the platform whose program the step could not run, since the
	// builder neither is of that platform nor emulates it; "" otherwise.
	Foreign string
	// Own is an address of the builder's machine, host:port, that the step asked for in
	// its own network, where it is another; "" where its output does not say so.
	Own string
	Err error // what BuildKit returned
}

func (e *SolveError) Error() string {
	var b strings.Builder
	if e.File != "" && e.Line > 0 {
		fmt.Fprintf(&b, "%s:%d: ", e.File, e.Line)
	}
	if e.Foreign != "" {
		fmt.Fprintf(&b, "this builder cannot run programs of %s: ", e.Foreign)
	}
	b.WriteString(e.Problem)
	return b.String()
}

func (e *SolveError) Unwrap() error { return e.Err }

// Killed reports whether the step did not fail by itself: a signal ended the runtime of its container, as where memory ran out.
func (e *SolveError) Killed() bool { return strings.HasSuffix(e.Problem, ": "+killed) }

// An ExportError says that an image was made and could not be delivered: a
// registry refused it, a disk was full, or the builder has no such output.
type ExportError struct {
	Reference string // with Output.Push, the image that could not be pushed; "" where not known
	Host      string // of the registry that answered; "" where none did
	Status    int    // of the registry's answer; 0 where not known
	PlainHTTP bool   // the registry was to be spoken to in plain HTTP
	// Strict says that the builder is another than fnb's own, and pushes by BuildKit's
	// rules: these take fewer registries than package registry does.
	Strict bool
	// Unsupported says that this builder cannot deliver images in the way that
	// was asked for, as a Docker Engine without the containerd image store.
	Unsupported bool
	// Cache says which build cache could not be written, where that had to be done; ""
	// where it is the image.
	Cache   string
	Problem string // one line
	Err     error  // what BuildKit returned
}

func (e *ExportError) Error() string {
	if e.Cache != "" {
		return e.Cache
	}
	if e.Reference != "" {
		return "pushing " + e.Reference + ": " + e.Problem
	}
	return "delivering the image: " + e.Problem
}

func (e *ExportError) Unwrap() error { return e.Err }
