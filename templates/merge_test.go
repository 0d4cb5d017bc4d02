package templates

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func TestMergeText(t *testing.T) {
	t.Parallel()
	names := Sides{Base: "old", Ours: "yours", Theirs: "new"}
	for _, c := range []struct{ name, base, ours, theirs, want string }{
		{"nothing changed", "a\nb\n", "a\nb\n", "a\nb\n", "a\nb\n"},
		{"theirs alone", "a\nb\n", "a\nb\n", "a\nc\n", "a\nc\n"},
		{"ours alone", "a\nb\n", "a\nmine\n", "a\nb\n", "a\nmine\n"},
		{"both alike", "a\nb\n", "a\nc\n", "a\nc\n", "a\nc\n"},
		{"apart", "a\nb\nc\nd\n", "mine\nb\nc\nd\n", "a\nb\nc\ntheirs\n", "mine\nb\nc\ntheirs\n"},
		{"conflict", "a\nb\nc\n", "a\nmine\nc\n", "a\ntheirs\nc\n", "a\n<<<<<<< yours\nmine\n||||||| old\nb\n=======\ntheirs\n>>>>>>> new\nc\n"},
		{"what both share is outside", "b\n", "x\nmine\ny\n", "x\ntheirs\ny\n", "x\n<<<<<<< yours\nmine\n||||||| old\nb\n=======\ntheirs\n>>>>>>> new\ny\n"},
		{"deleted and changed", "a\nb\nc\n", "a\nc\n", "a\nB\nc\n", "a\n<<<<<<< yours\n||||||| old\nb\n=======\nB\n>>>>>>> new\nc\n"},
		{"ours has CRLF", "a\nb\nc\n", "a\r\nb\r\nmine\r\nc\r\n", "A\nb\nc\n", "A\r\nb\r\nmine\r\nc\r\n"},
		{"no newline at the end of ours", "a\nb\n", "a\nb", "A\nb\n", "A\nb"},
		{"no newline at the end, and more", "a\nb", "mine\na\nb", "a\nb\nc\n", "mine\na\nb\nc\n"},
		{"conflict at an end without newline", "a", "mine", "theirs", "<<<<<<< yours\nmine\n||||||| old\na\n=======\ntheirs\n>>>>>>> new\n"},
		{"added by both", "", "mine\n", "theirs\n", "<<<<<<< yours\nmine\n||||||| old\n=======\ntheirs\n>>>>>>> new\n"},
		{"all deleted", "a\n", "", "a\n", ""},
		{"a lone CR at the end", "0", "\r", "0", "\r"},
		{"an empty line at the end", "n\n", "\n", "n", "\n"},
		{"a lone CR at the end of theirs", "0", "0", "\r", "\r"},
		{"CRs alone", "a\rb", "a\rb\r", "a\rb", "a\rb\r"},
		{"not UTF-8", "a\n\xff\n", "\xfe\na\n\xff\n", "a\n\xff\nb\n", "\xfe\na\n\xff\nb\n"},
	} {
		got, _ := mergeText([]byte(c.base), []byte(c.ours), []byte(c.theirs), names)
		if string(got) != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// randomEdit changes some lines; each that it adds is like no other.
func randomEdit(r *rand.Rand, lines []string, who string) []string {
	var out []string
	for i, l := range lines {
		switch r.IntN(6) {
		case 0:
			out = append(out, fmt.Sprintf("%s adds %d", who, i), l)
		case 1:
			out = append(out, fmt.Sprintf("%s changes %d", who, i))
		case 2:
		default:
			out = append(out, l)
		}
	}
	return out
}

// TestMergeLosesNoLine merges random edits: what a side has added is in the result
// once, in its order; and where one side has changed nothing, the result is the other.
func TestMergeLosesNoLine(t *testing.T) {
	t.Parallel()
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 7))
		var base []string
		for range r.IntN(25) {
			base = append(base, []string{"", "}", "a", "b", "c", "d", fmt.Sprint(r.IntN(9))}[r.IntN(7)])
		}
		ours, theirs := randomEdit(r, base, "user"), randomEdit(r, base, "template")
		ends := []string{"\n", "\r\n"}[r.IntN(2)]
		join := func(lines []string) []byte { return []byte(strings.Join(lines, "\n")) }
		mine := []byte(strings.Join(ours, ends))
		got, conflicts := mergeText(join(base), mine, join(theirs), Sides{})
		var kept []string
		for line := range strings.Lines(string(got)) {
			kept = append(kept, strings.TrimRight(line, "\r\n"))
		}
		for who, lines := range map[string][]string{"user ": ours, "template ": theirs} {
			added := func(l string) bool { return !strings.HasPrefix(l, who) }
			want := slices.DeleteFunc(slices.Clone(lines), added)
			have := slices.DeleteFunc(slices.Clone(kept), added)
			if !slices.Equal(want, have) {
				t.Fatalf("seed %d: %q of %q, %q and %q gave\n%s", seed, who, base, ours, theirs, got)
			}
		}
		if got, n := mergeText(join(base), mine, join(base), Sides{}); n != 0 || string(got) != string(mine) {
			t.Fatalf("seed %d: nothing new changed %q to %q", seed, mine, got)
		}
		if got, n := mergeText(join(base), join(base), join(theirs), Sides{}); n != 0 || string(got) != string(join(theirs)) {
			t.Fatalf("seed %d: %q and not %q", seed, got, join(theirs))
		}
		if again, n := mergeText(join(base), mine, mine, Sides{}); n != 0 || string(again) != string(mine) {
			t.Fatalf("seed %d: both alike gave %q for %q", seed, again, mine)
		}
		if (conflicts > 0) != hasMarks([]byte(strings.ReplaceAll(string(got), "\r", ""))) {
			t.Fatalf("seed %d: %d conflicts in\n%s", seed, conflicts, got)
		}
	}
}
