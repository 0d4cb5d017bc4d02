//go:build !unix

package builder

import (
	"errors"
	"io/fs"
	"os/exec"
	"syscall"
)

// The managed builder runs on Linux only; elsewhere nothing calls these.

func ownFile(fs.FileInfo) bool { return true }

func detach(*exec.Cmd) {}

func send(int, syscall.Signal) error { return errors.ErrUnsupported }
