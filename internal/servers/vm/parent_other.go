//go:build !linux

package vm

import "syscall"

func endWithParent() *syscall.SysProcAttr { return nil }
