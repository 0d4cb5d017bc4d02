//go:build !linux

package servers

import (
	"context"
	"syscall"
)

// endWithParent returns no attributes: only Linux can tie a child's life to its
// parent's.
func endWithParent() *syscall.SysProcAttr { return nil }

// endLeft has nothing to do: daemons with containers need Linux.
func endLeft(context.Context, string, string, string) error { return nil }
