package layers_test

import (
	"testing"

	"fnb/schema/layers"
	"fnb/schema/words"
)

func TestLayers(t *testing.T) {
	t.Parallel()
	var l layers.List
	l = l.With(words.RoleBase, 4).With(words.RolePackages, 1).With(words.RolePackages, 2).With(words.RoleHandler, 0).With(words.RoleHandler, 1).With(words.RolePackages, 1).With(words.RoleWatchdog, 1)
	const want = "base=4,packages=3,handler=1,packages=1,watchdog=1"
	if l.String() != want || l.Len() != 10 {
		t.Errorf("%s, %d", l, l.Len())
	}
	got, err := layers.Parse(want)
	if err != nil || got.String() != want {
		t.Errorf("%s, %v", got, err)
	}
	for role, place := range map[string][2]int{words.RoleBase: {0, 4}, words.RolePackages: {8, 9}, words.RoleWatchdog: {9, 10}} {
		if from, to := l.Top(role); from != place[0] || to != place[1] {
			t.Errorf("%s is at %d to %d", role, from, to)
		}
	}
	for _, bad := range []string{"", "base", "base=", "base=0", "base=-1", "base=x", "other=1", "base=1,", "base=99999", "base=9999,handler=9999", "base=1;handler=1"} {
		if got, err := layers.Parse(bad); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
	// What is added to one leaves the other as it was.
	a := layers.List{}.With(words.RoleBase, 1)
	b, c := a.With(words.RoleBase, 1), a.With(words.RoleHandler, 1)
	if a.String() != "base=1" || b.String() != "base=2" || c.String() != "base=1,handler=1" {
		t.Errorf("%s %s %s", a, b, c)
	}
}
