package once_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"fnb/internal/once"
)

func TestOnceForAll(t *testing.T) {
	t.Parallel()
	var m once.Map[string, int]
	var made atomic.Int32
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			got, err := m.Get(t.Context(), "a", func() (int, error) { return int(made.Add(1)), nil })
			if got != 1 || err != nil {
				t.Errorf("%d, %v", got, err)
			}
		})
	}
	wg.Wait()
	broken := errors.New("broken")
	for range 2 {
		if _, err := m.Get(t.Context(), "b", func() (int, error) { made.Add(1); return 0, broken }); !errors.Is(err, broken) {
			t.Error(err)
		}
	}
	if made.Load() != 2 {
		t.Errorf("made %d times", made.Load())
	}
	if got := m.Made(); !maps.Equal(got, map[string]int{"a": 1}) {
		t.Errorf("made: %v", got)
	}
	m.Forget()
	if got, err := m.Get(t.Context(), "a", func() (int, error) { return 7, nil }); got != 7 || err != nil {
		t.Errorf("forgotten: %d, %v", got, err)
	}
}

// Who gives up leaves it to the next one, and who waits may give up too.
func TestWhoGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m once.Map[string, int]
		impatient, leave := context.WithCancel(t.Context())
		go func() {
			_, err := m.Get(impatient, "a", func() (int, error) { <-impatient.Done(); return 0, impatient.Err() })
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the maker: %v", err)
			}
		}()
		synctest.Wait()
		if len(m.Made()) != 0 {
			t.Error("there before it is made")
		}
		waiting, tired := context.WithCancel(t.Context())
		go func() {
			if _, err := m.Get(waiting, "a", nil); !errors.Is(err, context.Canceled) {
				t.Errorf("who waits: %v", err)
			}
		}()
		go func() {
			if got, err := m.Get(t.Context(), "a", func() (int, error) { return 2, nil }); got != 2 || err != nil {
				t.Errorf("the next one: %d, %v", got, err)
			}
		}()
		synctest.Wait()
		tired()
		synctest.Wait()
		leave()
		synctest.Wait()
	})
}
