package pipeline

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
)

// Whoever comes first brings what all want; when that fails, it is the next one's
// turn, and nobody who gives up holds the others.
func TestTurns(t *testing.T) {
	t.Parallel()
	var all turns
	first, err := all.take(t.Context(), []string{"x", "y"})
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := all.take(impatient, []string{"w", "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait gets %v", err)
	}
	var bringing, brought atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			end, err := all.take(t.Context(), []string{"z", "y", "x", "w"})
			if err != nil {
				t.Error(err)
				return
			}
			if brought.Load() == 0 && bringing.Add(1) > 1 {
				t.Error("two bring the same")
			}
			brought.Add(1)
			end(nil)
		})
	}
	first(errors.New("the registry was away"))
	wg.Wait()
	if brought.Load() != 20 {
		t.Errorf("%d had a turn", brought.Load())
	}
}
