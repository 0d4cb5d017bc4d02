package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"fnb/cmd/fwatchdog/internal/rawio"
)

// reap waits for processes that other processes left behind: as process 1 of a container the watchdog
// inherits them, and nobody else would. Children that somebody waits for are left alone.
func reap(ctx context.Context, kids *children) {
	if os.Getpid() != 1 {
		return
	}
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGCHLD)
	defer signal.Stop(ended)
	for {
		again := kids.reapStrangers()
		var later <-chan time.Time
		if again {
			later = time.After(50 * time.Millisecond)
		}
		select {
		case <-ctx.Done():
			return
		case <-ended:
		case <-later:
		}
	}
}

// reapStrangers takes the exit status of every ended child that nobody waits for. It reports whether a
// child that somebody waits for stands before others, which then have to be looked for again.
func (k *children) reapStrangers() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for {
		pid := rawio.EndedChild()
		if pid <= 0 {
			return false
		}
		if k.knows(pid) {
			return true
		}
		var status syscall.WaitStatus
		if _, err := syscall.Wait4(pid, &status, syscall.WNOHANG, nil); err != nil {
			return false
		}
	}
}
