// Package start keeps the garbage collector from running while a program starts: what
// the libraries prepare then is in use for as long as the program runs, and looking
// through it took a tenth of the shortest commands. The first collection, at a heap
// of 16 MB, has Go's own pace follow, unless the program has set another one.
// The import is the way in: init calls hold. A command that then makes much garbage calls [Work].
//
// It needs nothing but the runtime, and Go initialises what is ready in the order of
// import paths (specification, "Program initialization"), of which this one is early.
package start

import (
	"runtime"
	"runtime/debug"
)

// Nobody else sets this pace, which shows that it is still this package's.
const (
	goPace    = 100
	startPace = 401
	workPace  = 400
)

func init() { hold() } //nolint:gochecknoinits // to come first is what it is for

func hold() {
	if pace := debug.SetGCPercent(startPace); pace != goPace {
		debug.SetGCPercent(pace) // the user's GOGC
		return
	}
	first := new([16]byte) // not so small that it shares its memory with others
	runtime.AddCleanup(first, func(int) {
		if pace := debug.SetGCPercent(goPace); pace != startPace {
			debug.SetGCPercent(pace)
		}
	}, 0)
}

// Work has the garbage collector run seldom: for a program that makes much garbage that
// lives shortly, beside little that stays. The user's GOGC stays as it is.
func Work() {
	if pace := debug.SetGCPercent(workPace); pace != goPace && pace != startPace {
		debug.SetGCPercent(pace)
	}
}
