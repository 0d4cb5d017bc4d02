package templates

import (
	"bytes"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sergi/go-diff/diffmatchpatch"
)

const (
	// maxMergeLines bounds what is compared line by line.
	maxMergeLines = 20_000
	// maxCompared bounds how many lines of one text are compared with how many of the
	// other where no line is there once in both. The time grows with their product.
	maxCompared = 1 << 20
)

// The first characters of the lines that mark a conflict.
const (
	markOurs   = "<<<<<<< "
	markBase   = "||||||| "
	markMiddle = "======="
	markTheirs = ">>>>>>> "
)

// Sides names the three versions of a text that are merged, for the marks of
// conflicts.
type Sides struct{ Base, Ours, Theirs string }

// mergeText puts the change from base to theirs into ours, line by line. Where both
// have changed the same lines, all three versions are in the result between marks;
// conflicts counts those places. Ends of lines do not make a difference: they stay
// as ours has them.
//
// No line that ours has and base has not is ever missing from the result.
func mergeText(base, ours, theirs []byte, names Sides) (merged []byte, conflicts int) {
	m := &merger{base: splitText(base), ours: splitText(ours), theirs: splitText(theirs), names: names}
	m.end = m.ours.usualEnd()
	if len(m.ours.lines) == 0 {
		m.end = m.theirs.usualEnd()
	}
	m.run()
	closed := m.ours.closed
	if m.ours.closed == m.base.closed {
		closed = m.theirs.closed
	}
	text := m.out.Bytes()
	if !closed && len(text) > 0 && m.conflicts == 0 {
		// The end of an empty line is all there is of it.
		if open := text[:len(text)-m.last]; len(open) > 0 && open[len(open)-1] != '\n' {
			text = open
		}
	}
	return text, m.conflicts
}

// isText reports whether data can be merged line by line.
func isText(data []byte) bool {
	return bytes.IndexByte(data, 0) < 0 && bytes.Count(data, []byte("\n")) < maxMergeLines
}

// hasMarks reports whether a text has the marks of a conflict that nobody has
// resolved yet.
func hasMarks(data []byte) bool {
	first := false
	for line := range bytes.Lines(data) {
		switch {
		case bytes.HasPrefix(line, []byte(markOurs)):
			first = true
		case first && bytes.HasPrefix(line, []byte(markTheirs)):
			return true
		}
	}
	return false
}

// A text is lines without their ends.
type text struct {
	lines  []string
	ends   []string // of each line; of the last one a newline if it has none
	closed bool     // the last line has an end
}

func splitText(data []byte) text {
	t := text{closed: true}
	for line := range strings.Lines(string(data)) {
		body, end := line, "\n"
		switch {
		case strings.HasSuffix(line, "\r\n"):
			body, end = line[:len(line)-2], "\r\n"
		case strings.HasSuffix(line, "\n"):
			body = line[:len(line)-1]
		default:
			t.closed = false
		}
		t.lines, t.ends = append(t.lines, body), append(t.ends, end)
	}
	if n := len(t.ends); n > 1 && !t.closed {
		t.ends[n-1] = t.ends[n-2]
	}
	return t
}

// usualEnd is the end that most lines have.
func (t text) usualEnd() string {
	crlf := 0
	for _, e := range t.ends {
		if e == "\r\n" {
			crlf++
		}
	}
	if crlf*2 > len(t.ends) {
		return "\r\n"
	}
	return "\n"
}

// A merger walks through three versions of a text at once.
type merger struct {
	base, ours, theirs text
	names              Sides
	end                string // of lines that are not ours

	out       bytes.Buffer
	last      int // bytes of the end of the line that was written last
	conflicts int
}

// run merges as diff3 does: lines that all three have are as they are, and what is
// between them was changed by one side, by both alike, or is a conflict.
func (m *merger) run() {
	inOurs, inTheirs := matches(m.base.lines, m.ours.lines), matches(m.base.lines, m.theirs.lines)
	b, o, t := 0, 0, 0
	for {
		for b < len(inOurs) && inOurs[b] == o && inTheirs[b] == t {
			m.writeOurs(o, o+1)
			b, o, t = b+1, o+1, t+1
		}
		nextB := b
		for nextB < len(inOurs) && (inOurs[nextB] < 0 || inTheirs[nextB] < 0) {
			nextB++
		}
		if nextB == len(inOurs) {
			m.changed([2]int{b, nextB}, [2]int{o, len(m.ours.lines)}, [2]int{t, len(m.theirs.lines)})
			return
		}
		m.changed([2]int{b, nextB}, [2]int{o, inOurs[nextB]}, [2]int{t, inTheirs[nextB]})
		b, o, t = nextB, inOurs[nextB], inTheirs[nextB]
	}
}

// changed writes a part that not all three have. The pairs are the first line and
// the one after the last.
func (m *merger) changed(b, o, t [2]int) {
	base, ours, theirs := m.base.lines[b[0]:b[1]], m.ours.lines[o[0]:o[1]], m.theirs.lines[t[0]:t[1]]
	switch {
	case slices.Equal(base, theirs), slices.Equal(ours, theirs):
		m.writeOurs(o[0], o[1])
		return
	case slices.Equal(base, ours):
		m.writeLines(theirs)
		return
	}
	// What both have at the beginning and at the end is no conflict.
	for o[0] < o[1] && t[0] < t[1] && m.ours.lines[o[0]] == m.theirs.lines[t[0]] {
		m.writeOurs(o[0], o[0]+1)
		o[0], t[0] = o[0]+1, t[0]+1
	}
	tail := o[1]
	for o[0] < tail && t[0] < t[1] && m.ours.lines[tail-1] == m.theirs.lines[t[1]-1] {
		tail, t[1] = tail-1, t[1]-1
	}
	m.conflicts++
	m.writeLines([]string{markOurs + m.names.Ours})
	m.writeOurs(o[0], tail)
	m.writeLines([]string{markBase + m.names.Base})
	m.writeLines(base)
	m.writeLines([]string{markMiddle})
	m.writeLines(m.theirs.lines[t[0]:t[1]])
	m.writeLines([]string{markTheirs + m.names.Theirs})
	m.writeOurs(tail, o[1])
}

// writeOurs writes lines of ours with the ends they have.
func (m *merger) writeOurs(from, to int) {
	for i := from; i < to; i++ {
		m.out.WriteString(m.ours.lines[i])
		m.out.WriteString(m.ours.ends[i])
		m.last = len(m.ours.ends[i])
	}
}

func (m *merger) writeLines(lines []string) {
	for _, l := range lines {
		m.out.WriteString(l)
		m.out.WriteString(m.end)
		m.last = len(m.end)
	}
}

// matches returns for each line of a the line of b that it has become, or -1. Equal
// lines at the beginning and at the end are the same, and so are those that each text
// has once, as far as they are in the same order; what is between these is compared
// line by line.
func matches(a, b []string) []int {
	at := make([]int, len(a))
	for i := range at {
		at[i] = -1
	}
	from, endA, endB := 0, len(a), len(b)
	for ; from < min(endA, endB) && a[from] == b[from]; from++ {
		at[from] = from
	}
	for ; endA > from && endB > from && a[endA-1] == b[endB-1]; endA, endB = endA-1, endB-1 {
		at[endA-1] = endB - 1
	}
	i, j := from, from
	for _, same := range append(sharedOnce(a[from:endA], b[from:endB]), [2]int{endA - from, endB - from}) {
		nextA, nextB := from+same[0], from+same[1]
		for n, to := range compare(a[i:nextA], b[j:nextB]) {
			if to >= 0 {
				at[i+n] = j + to
			}
		}
		if nextA < endA {
			at[nextA] = nextB
		}
		i, j = nextA+1, nextB+1
	}
	return at
}

// sharedOnce returns the places, in a and in b, of lines that each of them has once:
// as many as are in the same order in both.
func sharedOnce(a, b []string) [][2]int {
	inA, inB := once(a), once(b)
	var all [][2]int // in a's order
	for i, line := range a {
		j, ok := inB[line]
		if ok && j >= 0 && inA[line] == i {
			all = append(all, [2]int{i, j})
		}
	}
	// The longest part whose places in b ascend (patience sorting): the smallest last
	// one of each length, and what comes before each.
	var ends []int
	before := make([]int, len(all))
	for n, p := range all {
		k, _ := slices.BinarySearchFunc(ends, p[1], func(e, j int) int { return all[e][1] - j })
		if before[n] = -1; k > 0 {
			before[n] = ends[k-1]
		}
		if k == len(ends) {
			ends = append(ends, n)
		} else {
			ends[k] = n
		}
	}
	kept := make([][2]int, len(ends))
	if len(ends) > 0 {
		for k, n := len(ends)-1, ends[len(ends)-1]; k >= 0; k, n = k-1, before[n] {
			kept[k] = all[n]
		}
	}
	return kept
}

// once has the place of each line that is there once, and -1 for the others.
func once(lines []string) map[string]int {
	at := make(map[string]int, len(lines))
	for i, l := range lines {
		if _, again := at[l]; again {
			i = -1
		}
		at[l] = i
	}
	return at
}

// compare returns for each line of a the line of b that it has become, or -1. What would
// take long to compare has become nothing.
func compare(a, b []string) []int {
	if len(a) == 0 || len(b) == 0 || len(a)*len(b) > maxCompared {
		return nil
	}
	known := map[string]rune{}
	encode := func(lines []string) []rune {
		out := make([]rune, len(lines))
		for i, l := range lines {
			r, ok := known[l]
			if !ok {
				if r = rune(len(known) + 1); r >= 0xD800 {
					r += 0x800 // the halves of UTF-16's pairs are no characters
				}
				known[l] = r
			}
			out[i] = r
		}
		return out
	}
	d := diffmatchpatch.New()
	d.DiffTimeout = 0 // the same answer on each machine
	at, from := make([]int, len(a)), 0
	to := 0
	for _, part := range d.DiffMainRunes(encode(a), encode(b), false) {
		n := utf8.RuneCountInString(part.Text)
		switch part.Type {
		case diffmatchpatch.DiffInsert:
			to += n
		case diffmatchpatch.DiffDelete:
			for range n {
				at[from] = -1
				from++
			}
		case diffmatchpatch.DiffEqual:
			for range n {
				at[from] = to
				from, to = from+1, to+1
			}
		}
	}
	return at
}
