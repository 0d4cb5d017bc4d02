//go:build !unix

package builder

import (
	"errors"
	"io/fs"
	"os/exec"
	"syscall"
)

// The managed builder runs on Linux only; elsewhere nothing calls these.

// OwnFile is true: who owns a file is not known here.
// OwnFile reports whether a file belongs to the user. Here nobody knows.
func OwnFile(fs.FileInfo) bool { return true }

func rootFile(fs.FileInfo) bool { return true }

func detach(*exec.Cmd) {}

func send(int, syscall.Signal) error { return errors.ErrUnsupported }
