package services

import (
	"bytes"
	"syscall"
	"testing"
)

// TestSight: a text is found wherever a log is cut, and never by way of another stream.
func TestSight(t *testing.T) {
	t.Parallel()
	found := func(s *sight) bool {
		select {
		case <-s.found:
			return true
		default:
			return false
		}
	}
	for at := range len("it is ready to accept") {
		s := newSight("ready to")
		var passed bytes.Buffer
		log, other := s.over(&passed), s.over(nil)
		whole := "it is ready to accept"
		for _, part := range []string{whole[:at], whole[at:]} {
			if n, err := log.Write([]byte(part)); n != len(part) || err != nil {
				t.Fatal(n, err)
			}
			_, _ = other.Write([]byte("ready")) // it has none
		}
		if !found(s) || passed.String() != whole {
			t.Errorf("cut at %d: %v, %q has passed", at, found(s), passed.String())
		}
	}
	s := newSight("ready to")
	one, other := s.over(nil), s.over(nil)
	_, _ = one.Write([]byte("ready ")) // it has none
	_, _ = other.Write([]byte("to"))   // the same
	if found(s) {
		t.Error("it was found in two streams together")
	}
	if w := one.(*sightWriter); len(w.rest) >= len(s.text) {
		t.Errorf("%d bytes are kept", len(w.rest))
	}
	none := newSight("")
	_, _ = none.over(nil).Write([]byte("x")) // it has none
	if found(none) {
		t.Error("no text was found")
	}
}

func TestStopSignal(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]syscall.Signal{
		"": syscall.SIGTERM, "SIGINT": syscall.SIGINT, "int": syscall.SIGINT, "2": syscall.SIGINT, "SIGQUIT": syscall.SIGQUIT,
		"SIGRTMIN+3": syscall.SIGTERM, "9": syscall.SIGKILL,
	} {
		if got := stopSignal(name); got != want {
			t.Errorf("%q is %v, not %v", name, got, want)
		}
	}
}
