package managed

import "fmt"

// A MissingError says that a program which the managed builder needs is not
// installed.
type MissingError struct {
	Program string
	Package string // of Debian and Ubuntu, which has it
	Why     string
}

func (e *MissingError) Error() string {
	return fmt.Sprintf("the managed builder needs %s (%s), which is not on PATH", e.Program, e.Why)
}
