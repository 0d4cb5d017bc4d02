//go:build unix

package terminal

import (
	"os"
	"syscall"
)

// resized are the signals that say that the terminal has another size.
func resized() []os.Signal { return []os.Signal{syscall.SIGWINCH} }

// hangups are those that say that it is gone.
func hangups() []os.Signal { return []os.Signal{syscall.SIGHUP} }
