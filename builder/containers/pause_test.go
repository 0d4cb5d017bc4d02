package containers

import (
	"testing"
	"time"
)

func TestPause(t *testing.T) {
	t.Parallel()
	var p Pause
	for i, want := range []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000} {
		if got := p.After(time.Second); got != want*time.Millisecond {
			t.Errorf("%d: %s", i, got)
		}
	}
	if got := p.After(lasting); got != firstPause {
		t.Errorf("after one that has lasted: %s", got)
	}
}
