package publish

import (
	"fmt"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/templates"
)

// A ConflictError says that a store has a version already, with another content.
// Nothing was overwritten.
type ConflictError struct {
	Kind          string // as in [store.NotFoundError]
	Name, Version string
	Have, Want    string // checksums
}

func (e *ConflictError) Error() string {
	if e.Kind == schema.KindFunction {
		return fmt.Sprintf("function %s: version %s is published already, and its record says something else", e.Name, e.Version)
	}
	return fmt.Sprintf("template %s: version %s is published already, with other files: their checksum is %s, not %s", e.Name, e.Version, e.Have, e.Want)
}

// A LintError says that a template has problems with which it is not published.
type LintError struct {
	Dir      string
	Problems []templates.Problem
}

func (e *LintError) Error() string {
	return fmt.Sprintf("template %s: %s (%s in all)", e.Dir, e.Problems[0], plain.Count(len(e.Problems), "error", "errors"))
}
