//go:build !linux

package servers

import "syscall"

// endWithParent returns no attributes: only Linux can tie a child's life to its
// parent's.
func endWithParent() *syscall.SysProcAttr { return nil }
