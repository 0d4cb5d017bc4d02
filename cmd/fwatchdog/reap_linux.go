package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
	"unsafe"
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
		pid := endedChild()
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

// endedChild is the number of a child that has ended, whose status it leaves where it is; or 0.
func endedChild() int {
	const all, nowait = 0, 0x01000000 // P_ALL, WNOWAIT
	var info struct {
		signo, errno, code int32
		_                  [4 * (unsafe.Sizeof(uintptr(0))/4 - 1)]byte
		pid                int32
		_                  [128]byte
	}
	_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, all, 0, uintptr(unsafe.Pointer(&info)),
		syscall.WEXITED|syscall.WNOHANG|nowait, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(info.pid)
}
