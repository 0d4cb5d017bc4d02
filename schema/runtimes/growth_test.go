package runtimes_test

import (
	"fmt"
	"testing"

	"fnb/internal/growth"
	"fnb/schema/runtimes"
)

// TestGrowth reads TOML that attackers would write.
func TestGrowth(t *testing.T) {
	var readers []growth.Reader
	for _, part := range []string{"a#=1\n", "[a#]\n", "[[a]]\n", "a.b#.c=1\n", "x=[", "x={y=", "'''\n"} {
		readers = append(readers, growth.Reader{Name: fmt.Sprintf("%q", part), Size: runtimes.MaxBytes - 100, Begin: func(size int) func() {
			data := []byte(growth.Numbered(part, size))
			return func() { _, _, _ = runtimes.Read(runtimes.Python, "pyproject.toml", data) } // whatever it is
		}})
	}
	growth.Check(t, readers...)
}
