//go:build !linux

package main

import "syscall"

// childAttributes has the process lead a group of its own. There are no pidfds.
func childAttributes(*int) *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
