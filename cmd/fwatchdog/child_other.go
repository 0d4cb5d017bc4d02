//go:build !linux

package main

import "syscall"

// childAttributes has the process lead a group of its own. There are no pidfds.
func childAttributes(*int) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// withoutPidfd reports whether a process that could not be started is worth another try.
func withoutPidfd(*syscall.SysProcAttr, error) bool { return false }
