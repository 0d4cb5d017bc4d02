package environ

import (
	"strings"
	"testing"
	"time"
)

func TestReader(t *testing.T) {
	t.Parallel()
	e := New([]string{"A=1", "B=two", "EMPTY=", "T=true", "D=90", "G=1m30s", "no pair"})
	for name, ok := range map[string]bool{
		"the last name that is set": e.Text("x", "A", "B", "C") == "two",
		"a text that is not set":    e.Text("x", "C") == "x",
		"an empty variable":         e.Text("x", "EMPTY") == "x" && !e.Has("EMPTY") && e.Has("A"),
		"a switch":                  e.Boolean("T", false) && e.Boolean("C", true),
		"a number":                  e.Integer("A", 7, 0, 9) == 1 && e.Integer("C", 7, 0, 9) == 7,
		"seconds":                   e.Duration("D", 0) == 90*time.Second,
		"a duration":                e.Duration("G", 0) == 90*time.Second && e.Duration("C", time.Hour) == time.Hour,
		"no error":                  e.Err() == nil,
	} {
		if !ok {
			t.Errorf("%s: read wrong", name)
		}
	}
}

func TestReaderCollectsProblems(t *testing.T) {
	t.Parallel()
	e := New([]string{"N=10", "S=maybe", "D=-1s"})
	if e.Integer("N", 3, 0, 9) != 3 || !e.Boolean("S", true) || e.Duration("D", time.Second) != time.Second {
		t.Error("what is wrong does not fall back")
	}
	e.Problem("X", "%d is odd", 3)
	if got := strings.Count(e.Err().Error(), "\n"); got != 3 {
		t.Errorf("%v", e.Err())
	}
}
