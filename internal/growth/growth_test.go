package growth

import "testing"

// TestMeasure tells what grows with its input from what grows with its square.
func TestMeasure(t *testing.T) {
	sum := 0
	linear := Reader{Name: "linear", Size: 1 << 22, Begin: func(size int) func() {
		return func() {
			for i := range size {
				sum += i ^ sum
			}
		}
	}}
	Check(t, linear)
	square := Reader{Name: "square", Size: 1 << 13, Begin: func(size int) func() {
		return func() {
			for i := range size {
				for j := range size {
					sum += i ^ j
				}
			}
		}
	}}
	short, long := square.measure()
	if time, _ := by(short, long); time <= Most {
		t.Errorf("%v and %v", short.time, long.time)
	}
	var kept [][]byte
	memory := Reader{Name: "memory", Size: 256, Begin: func(size int) func() {
		return func() {
			kept = nil
			for range size {
				kept = append(kept, make([]byte, size<<12))
			}
		}
	}}
	short, long = memory.measure()
	if _, memory := by(short, long); memory <= Most {
		t.Errorf("%d and %d of %d bytes", short.memory, long.memory, len(kept))
	}
}
