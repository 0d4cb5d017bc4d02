//go:build !unix

package terminal

import "os"

// nothing is a signal that never comes, where a terminal sends none.
type nothing struct{}

func (nothing) String() string { return "nothing" }
func (nothing) Signal()        {}

// resized are the signals that say that the terminal has another size.
func resized() []os.Signal { return []os.Signal{nothing{}} }

// hangups are those that say that it is gone.
func hangups() []os.Signal { return []os.Signal{nothing{}} }
