package store

import (
	"cmp"
	"fmt"
	"strings"

	"fnb/schema"
)

// A NotFoundError says that nothing has the name of a template or function, or not
// in a version that fits; then it wraps a [*VersionError].
type NotFoundError struct {
	Kind string // [schema.KindFunction]; "" and all else is a template
	Name string
	Near []string // names that may have been meant, best first
	// There are the official templates, where none of them may have been meant.
	There []string
	Err   error // why; nil where no store has the name
	// OpenFaaS is the repository in which OpenFaaS's template store has the name; "" where
	// it has none, or has been asked.
	OpenFaaS string
}

func (e *NotFoundError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("%s %s: %v", kindOr(e.Kind), e.Name, e.Err)
	}
	return fmt.Sprintf("no store has a %s %q", kindOr(e.Kind), e.Name)
}

// kindOr is a kind; a template for "".
func kindOr(kind string) string { return cmp.Or(kind, schema.KindTemplate) }

// Unwrap returns why it was not found.
func (e *NotFoundError) Unwrap() error { return e.Err }

// A VersionError says that a template is there, but not in a version that was
// asked for.
type VersionError struct {
	Range string
	Have  []string // the versions there are, highest first; none where it has no versions
	Where string
	// File is where a project names the version of the runtime, such as ".python-version", if
	// Range may be one: @ is the version of the template.
	File string
}

func (e *VersionError) Error() string {
	if len(e.Have) == 0 {
		return fmt.Sprintf("no version is %s: %s has none", e.Range, e.Where)
	}
	have := strings.Join(e.Have[:min(len(e.Have), 5)], ", ")
	return fmt.Sprintf("no version is %s: %s has %s", e.Range, e.Where, have)
}

// A MismatchError says that a template is not what the lock says, or its record in a
// store.
type MismatchError struct {
	Reference string
	Want, Got string // checksums; Want is "" where fnb.lock has no such entry
	Problem   string // instead of the two, where there is nothing to compare
	Record    bool   // it is the record that says something else
}

func (e *MismatchError) Error() string {
	if e.Problem != "" {
		return fmt.Sprintf("template %s: %s", e.Reference, e.Problem)
	}
	return fmt.Sprintf("template %s is not what fnb.lock says: its checksum is %s, and was %s", e.Reference, e.Got, e.Want)
}

// An OfflineError says that something is not in the cache and the network may not
// be used.
type OfflineError struct {
	What string // such as "template acme/echo"
}

func (e *OfflineError) Error() string {
	return e.What + ": not in the cache, and the network may not be used"
}

// A YankedError says that the version which was asked for has been withdrawn. A
// lock that has it goes on working.
type YankedError struct {
	Kind          string // as in [NotFoundError]
	Name, Version string
	Reason        string
	Use           string // the version to use instead, where one is named
}

func (e *YankedError) Error() string {
	return fmt.Sprintf("%s %s: version %s has been withdrawn: %s", kindOr(e.Kind), e.Name, e.Version, e.Reason)
}

// An IncompatibleError says that the version which was asked for is not for this
// fnb or not for a platform of the function.
type IncompatibleError struct {
	Kind          string // as in [NotFoundError]
	Name, Version string
	Reason        string
}

func (e *IncompatibleError) Error() string {
	return fmt.Sprintf("%s %s: version %s %s", kindOr(e.Kind), e.Name, e.Version, e.Reason)
}
