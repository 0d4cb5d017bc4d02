// Package growth measures how the work of a reader grows with what it reads. A test
// hands its readers to [Check].
package growth

import (
	"math"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What a reader of foreign data may cost; docs/formats.md has the same numbers.
const (
	// Most is how many times as much work an input may be that is twice as long.
	Most = 2.5
	// Time is the time of a processor that an input at the limit of its reader may take.
	Time = 10 * time.Second
	// Memory is how many bytes may be allocated meanwhile, all together.
	Memory = 2 << 30
)

const (
	doublings = 3                    // from the short input to the long one
	enough    = 4 * time.Millisecond // the shortest time that is measured
	atOnce    = 64 << 20             // bytes that repetitions may allocate

	littleTime   = 500 * time.Microsecond
	littleMemory = 4 << 20

	most = 1 << (2 * doublings) // times as many calls of what is short: it grows with the square at most

	few  = 2 // rounds
	many = 24
)

// A Reader is one that is measured.
type Reader struct {
	Name string
	// Size is how large the input is, in whatever unit Begin takes: just below the limit
	// of the reader, where it has one. It is compared with an input of an eighth of that,
	// three doublings at once, since caches make each single one a little more or less.
	Size int
	// Begin makes an input and returns what reads it, which is measured and may be called
	// again and again.
	Begin func(size int) (read func())
}

// Numbered returns a text again and again, with its number for each "#" in it, until there
// are size bytes or a few more.
func Numbered(text string, size int) string {
	var b strings.Builder
	for n := 0; b.Len() < size; n++ {
		b.WriteString(strings.ReplaceAll(text, "#", strconv.Itoa(n)))
	}
	return b.String()
}

// Check fails the test for each reader whose work grows too fast, or is too much. The
// time is that of this process on its processors, whatever else the machine does:
// nothing else of the test may run, so that the test must not be parallel.
func Check(t *testing.T, readers ...Reader) {
	t.Helper()
	// Nothing is collected meanwhile, unless it would be too much for the machine.
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 30))
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	for _, r := range readers {
		short, long := r.measure()
		time, memory := by(short, long)
		t.Logf("%s: %v and %d kB, each doubling %.2f and %.2f times", r.Name, long.time, long.memory>>10, time, memory)
		if time > Most {
			t.Errorf("%s: %v, and %v for %d times the input: each doubling is %.2f times the work", r.Name, short.time, long.time, 1<<doublings, time)
		}
		if memory > Most {
			t.Errorf("%s: %d kB, and %d kB for %d times the input: each doubling is %.2f times the memory", r.Name, short.memory>>10, long.memory>>10, 1<<doublings, memory)
		}
		if long.time > Time || long.memory > Memory {
			t.Errorf("%s: %v and %d MB", r.Name, long.time, long.memory>>20)
		}
	}
}

// A cost is what reading one input took.
type cost struct {
	time   time.Duration
	memory int64
}

// measure returns the least that a short input and a long one cost. A machine that does
// something else as well makes each of them longer, now and then: it takes the processor,
// and its caches, from what runs for long. So one measurement of either takes about as long.
func (r Reader) measure() (short, long cost) {
	one, other := begin(r.Begin(r.Size>>doublings)), begin(r.Begin(r.Size))
	short, long = one.measure(), other.measure()
	one.last(short, long.time*time.Duration(other.times))
	short = one.measure()
	for round := 1; round < many; round++ {
		if time, memory := by(short, long); round >= few && time <= Most && memory <= Most {
			break
		}
		short, long = least(short, one.measure()), least(long, other.measure())
		if long.time > Time {
			break // it will not become good
		}
	}
	return short, long
}

func least(a, b cost) cost { return cost{min(a.time, b.time), min(a.memory, b.memory)} }

// by is by how much each doubling of an input multiplied its cost. What is very little
// at the limit of a reader is no growth.
func by(short, long cost) (time, memory float64) {
	each := func(short, long, little float64) float64 {
		return math.Pow(max(long, little)/max(short, little), 1./doublings)
	}
	return each(float64(short.time), float64(long.time), float64(littleTime)), each(float64(short.memory), float64(long.memory), littleMemory)
}

// A repeated read is done as often as it takes to be measured.
type repeated struct {
	read  func()
	times int
}

func begin(read func()) repeated {
	r := repeated{read: read, times: 1}
	if warm := r.measure(); warm.time < enough {
		r.times = max(1, min(int(enough/max(warm.time, time.Microsecond)), int(atOnce/max(warm.memory, 1))))
		r.measure()
	}
	return r
}

// last has the calls together take that long, if one costs that much, and allocate no more than may be.
func (r *repeated) last(each cost, long time.Duration) {
	times := min(int(long/max(each.time, time.Microsecond)), int(2*atOnce/max(each.memory, 1)))
	r.times = max(r.times, min(times, r.times*most))
}

// measure returns what one of the calls costs.
func (r repeated) measure() cost {
	runtime.GC() // what the last one left is not this one's
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := processor()
	for range r.times {
		r.read()
	}
	took := processor() - began
	runtime.ReadMemStats(&after)
	return cost{took / time.Duration(r.times), int64(after.TotalAlloc-before.TotalAlloc) / int64(r.times)}
}
