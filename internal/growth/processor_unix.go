//go:build unix

package growth

import (
	"syscall"
	"time"
)

// processor is the time that this process has been on a processor.
func processor() time.Duration {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
