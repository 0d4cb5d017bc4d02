package main

import (
	"syscall"
	"testing"
)

// TestWithoutPidfd has a process be started again without a pidfd only where the system has refused the pidfd.
func TestWithoutPidfd(t *testing.T) {
	t.Parallel()
	pidfd := noFD
	for _, c := range []struct {
		name  string
		attr  *syscall.SysProcAttr
		err   error
		again bool
	}{
		{"a system that refuses pidfds", childAttributes(&pidfd), syscall.EINVAL, true},
		{"a program that is not there", childAttributes(&pidfd), syscall.ENOENT, false},
		{"a process that had none", &syscall.SysProcAttr{Setpgid: true}, syscall.EINVAL, false},
	} {
		had := c.attr.PidFD != nil
		if again := withoutPidfd(c.attr, c.err); again != c.again {
			t.Errorf("%s: another try is %v, want %v", c.name, again, c.again)
		}
		if has := c.attr.PidFD != nil; has != (had && !c.again) {
			t.Errorf("%s: it has a pidfd afterwards: %v", c.name, has)
		}
		if !c.attr.Setpgid {
			t.Errorf("%s: it leads no group", c.name)
		}
	}
}
