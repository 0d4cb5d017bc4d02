//go:build !linux

package main

import (
	"syscall"
	"time"
)

// makePipe makes a pipe that no process inherits by accident.
func makePipe(r, w *int) error {
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	var ends [2]int
	err := syscall.Pipe(ends[:])
	if err == nil {
		syscall.CloseOnExec(ends[0])
		syscall.CloseOnExec(ends[1])
		*r, *w = ends[0], ends[1]
	}
	return err
}

// childAttributes has the process lead a group of its own. There are no pidfds.
func childAttributes(*int) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

func isReadable(int, time.Duration) bool { return false }

func hasNoWriter(int) bool { return false }
