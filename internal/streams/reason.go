package streams

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
)

// A Reason is why a connection was not made.
type Reason byte

// The reasons that the other end is told.
const (
	Failed      Reason = iota // for any other one
	Refused                   // nobody listens there
	Unreachable               // there is no way to it
	Unresolved                // nobody knows the name
	TimedOut                  // nobody answers
	Full                      // too many are open
)

// ReasonOf is what a failed dial says.
func ReasonOf(err error) Reason {
	var dns *net.DNSError
	var timeout interface{ Timeout() bool }
	switch {
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return Full
	case errors.As(err, &dns) && !dns.IsTimeout:
		return Unresolved
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOENT):
		return Refused
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return Unreachable
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return TimedOut
	}
	return Failed
}

// Error implements error.
func (r Reason) Error() string {
	switch r {
	case Refused:
		return "connection refused"
	case Unreachable:
		return "there is no way to it"
	case Unresolved:
		return "nobody knows its name"
	case TimedOut:
		return "nobody answers"
	case Full:
		return "too many connections are open"
	default:
		return "the connection could not be made"
	}
}

// Is reports whether a reason is a system's error.
func (r Reason) Is(target error) bool {
	switch r {
	case Refused:
		return target == syscall.ECONNREFUSED
	case Unreachable:
		return target == syscall.EHOSTUNREACH
	case TimedOut:
		return target == syscall.ETIMEDOUT || target == os.ErrDeadlineExceeded
	case Full:
		return target == syscall.EMFILE
	default:
		return false
	}
}
