package pins

import "strings"

// A NotLockedError names what the lock does not have, where that may not be looked up.
type NotLockedError struct {
	What    string // "base images", "watchdogs" or "images of services"
	Refs    []string
	Offline bool // not because the lock is frozen
}

func (e *NotLockedError) Error() string {
	s := "fnb.lock does not have the " + e.What + " " + strings.Join(e.Refs, ", ")
	if e.Offline {
		s += ", and the network may not be used"
	}
	return s
}

// An OtherWatchdogError says that the lock has the watchdog of another fnb.
type OtherWatchdogError struct{}

func (e *OtherWatchdogError) Error() string {
	return "the watchdog of this fnb is not the one that fnb.lock has"
}
