package buildertest_test

import (
	"slices"
	"testing"

	"fnb/builder/buildertest"
)

// A race counts if fnb's code makes one of its accesses, itself or through the standard library;
// who called BuildKit's code does not matter, nor who started the goroutines.
func TestRaces(t *testing.T) {
	report := func(write, read, creator string) string {
		return "WARNING: DATA RACE\nWrite at 0x00c000c161b0 by goroutine 206:\n  " + write + "()\n      /src/a.go:100 +0x49a\n\n" +
			"Previous read at 0x00c000c161b0 by goroutine 178:\n  " + read + "()\n      /src/b.go:199 +0xd5\n\n" +
			"Goroutine 206 (running) created at:\n  " + creator + "()\n      /src/c.go:166 +0x74c\n"
	}
	const theirs, ours, line = "github.com/moby/buildkit/util/pull.(*Puller).tryLocalResolve", "fnb/builder/daemon.Serve", "==================\n"
	const std, caller = "()\n      /go/src/y.go:1 +0x1\n  ", "()\n      /src/x.go:8 +0x2\n  "
	log := "time=now level=info\n" + line + report(theirs, theirs, ours) + line + "between\n" +
		line + report(ours, theirs, theirs) + line + line + report(theirs, ours, theirs) + line +
		report(theirs+caller+ours, theirs, theirs) + line + report("encoding/json.(*Decoder).Decode"+std+"bytes.(*Buffer).Write"+std+ours, theirs, theirs) + line +
		report("runtime.mapassign_faststr"+std+theirs+caller+ours, theirs, theirs) + line + "fnb/builder said something\n"
	if got, want := buildertest.Races(log), []string{
		report(ours, theirs, theirs), report(theirs, ours, theirs),
		report("encoding/json.(*Decoder).Decode"+std+"bytes.(*Buffer).Write"+std+ours, theirs, theirs),
	}; !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
