package stall

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatch(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do      func(w *Watch)
		stalled bool
	}{
		"has not begun": {func(*Watch) {}, false},
		"nothing moves": {func(w *Watch) { w.Moved() }, true},
		"moves now and then": {func(w *Watch) {
			w.Moved()
			time.Sleep(50 * time.Second)
			w.Moved()
			time.Sleep(50 * time.Second)
			w.Pause()
		}, false},
		"pauses":              {func(w *Watch) { w.Moved(); w.Pause() }, false},
		"pauses and goes on":  {func(w *Watch) { w.Moved(); w.Pause(); time.Sleep(time.Hour); w.Moved() }, true},
		"ends":                {func(w *Watch) { w.Moved(); w.End() }, false},
		"was read from":       {func(w *Watch) { _, _ = io.ReadAll(w.Reader(strings.NewReader("x"))) }, true},
		"was read and paused": {func(w *Watch) { _, _ = io.ReadAll(w.Reader(strings.NewReader("x"))); w.Pause() }, false},
		"began before reading": {func(w *Watch) {
			w.Moved()
			time.Sleep(50 * time.Second)
			_, _ = w.Reader(strings.NewReader("x")).Read(nil)
			time.Sleep(50 * time.Second)
			w.Pause()
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, w := New(t.Context(), time.Minute)
				c.do(w)
				time.Sleep(2 * time.Minute)
				if w.Stalled() != c.stalled {
					t.Errorf("stalled: %v, want %v", w.Stalled(), c.stalled)
				}
				if c.stalled && !errors.Is(ctx.Err(), context.Canceled) {
					t.Errorf("the context: %v", ctx.Err())
				}
				w.End()
				if ctx.Err() == nil {
					t.Error("the context goes on after the end")
				}
			})
		})
	}
}
