package images

import "fmt"

// A NotFoundError says that a reference is not in the image store.
type NotFoundError struct {
	Reference string
	Near      []string // references of the store that resemble it, nearest first
}

func (e *NotFoundError) Error() string { return e.Reference + ": not found" }

// A DamagedError says that a blob is missing from the image store or is not
// what its digest says.
type DamagedError struct {
	Digest string
	Reason string
}

func (e *DamagedError) Error() string {
	return fmt.Sprintf("blob %s of the image store: %s", e.Digest, e.Reason)
}

// An IndexError says that the list of an image store's images cannot be read.
type IndexError struct {
	File string
	Err  error
}

func (e *IndexError) Error() string { return fmt.Sprintf("reading %s: %v", e.File, e.Err) }
func (e *IndexError) Unwrap() error { return e.Err }
