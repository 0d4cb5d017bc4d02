package start

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

// The first collection brings Go's own pace back.
func TestPace(t *testing.T) {
	debug.SetGCPercent(goPace)
	hold()
	if pace := debug.SetGCPercent(startPace); pace != startPace {
		t.Fatalf("the pace of the start: %d", pace)
	}
	for range 100 { // a cleanup runs some time after the collection
		runtime.GC()
		time.Sleep(time.Millisecond)
		if debug.SetGCPercent(startPace) == goPace {
			return
		}
	}
	t.Error("the pace of the start stayed")
}
