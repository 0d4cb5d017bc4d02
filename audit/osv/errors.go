package osv

import (
	"fmt"
	"strings"

	"fnb/internal/plain"
)

// A MissingError says that a database has nothing about an ecosystem.
type MissingError struct {
	Dir        string
	Ecosystems []string // sorted
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("%s has no advisories for %s", e.Dir, strings.Join(e.Ecosystems, ", "))
}

// A BrokenError is an archive of a database that cannot be relied on.
type BrokenError struct {
	File   string // of the archive
	Record string // in the archive; "" is the archive itself
	Err    error
}

func (e *BrokenError) Error() string {
	s := "reading advisories in " + e.File + ": "
	if e.Record != "" {
		s += plain.Short(e.Record) + ": "
	}
	return s + e.Err.Error()
}

func (e *BrokenError) Unwrap() error { return e.Err }

// A FetchError says that an archive could not be fetched.
type FetchError struct {
	URL string
	Err error
}

func (e *FetchError) Error() string { return "fetching " + e.URL + ": " + e.Err.Error() }
func (e *FetchError) Unwrap() error { return e.Err }
