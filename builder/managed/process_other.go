//go:build !unix

package managed

import (
	"errors"
	"os/exec"
	"syscall"
)

// The managed builder runs on Linux only; elsewhere nothing calls these.

func detach(*exec.Cmd) {}

func send(int, syscall.Signal) error { return errors.ErrUnsupported }
