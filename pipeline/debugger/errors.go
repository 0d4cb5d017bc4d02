package debugger

import (
	"errors"
	"fmt"
)

// ErrKept is an image for a debugger that was to be kept or pushed.
var ErrKept = errors.New("an image for a debugger is neither kept nor pushed: it is what fnb run --debug runs")

// A NoneError is a function that cannot be started under a debugger.
type NoneError struct{ Template, Why string }

func (e *NoneError) Error() string {
	return fmt.Sprintf("there is no debugger for the template %s: %s", e.Template, e.Why)
}
