package store

import "fmt"

// A NotFoundError says that nothing has a template's name, or not in a version
// that fits.
type NotFoundError struct {
	Name string
	Near []string // names that may have been meant, best first
	Err  error    // why; nil where no store has the name
}

func (e *NotFoundError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("template %s: %v", e.Name, e.Err)
	}
	return fmt.Sprintf("no store has a template %q", e.Name)
}

func (e *NotFoundError) Unwrap() error { return e.Err }

// A MismatchError says that a template is not what the lock says.
type MismatchError struct {
	Reference string
	Want, Got string // checksums
	Problem   string // instead of the two, where there is nothing to compare
}

func (e *MismatchError) Error() string {
	if e.Problem != "" {
		return fmt.Sprintf("template %s: %s", e.Reference, e.Problem)
	}
	return fmt.Sprintf("template %s is not what fnb.lock says: its checksum is %s, and was %s", e.Reference, e.Got, e.Want)
}
