//go:build unix

package store

import (
	"os"
	"runtime"
	"syscall"
)

// peakOf is the most memory that a process has used, in bytes.
func peakOf(p *os.ProcessState) int64 {
	usage, ok := p.SysUsage().(*syscall.Rusage)
	switch {
	case !ok:
		return 0
	case runtime.GOOS == "darwin":
		return usage.Maxrss
	}
	return usage.Maxrss * 1024
}
