package house

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A block is a folder at the top of the house with the rooms in it.
type block struct {
	name  string
	rooms []string // below the folder, without its name
	needs map[string]bool
	floor int // 0 is the ground
	x, y  int
	w, h  int
}

const (
	blockWidth  = 172
	lineHeight  = 16
	blockGap    = 26
	floorGap    = 54
	pictureEdge = 24
)

// TestPicture compares docs/rooms.svg with the rooms.
func TestPicture(t *testing.T) {
	t.Parallel()
	file := filepath.Join(root, "docs", "rooms.svg")
	want := picture()
	have, err := os.ReadFile(file)
	if err == nil && bytes.Equal(have, want) {
		return
	}
	if !*update {
		t.Fatal("docs/rooms.svg does not show the rooms as they are; draw it with: go test ./internal/house -update")
	}
	if err := os.WriteFile(file, want, 0o644); err != nil {
		t.Fatal(err)
	}
}

// blocks are the folders of the rooms that fnb itself is made of. Rooms of internal
// are no blocks: everybody may use them.
func blocks() []*block {
	byName := map[string]*block{}
	var all []*block
	for _, r := range Rooms() {
		if slices.Contains(tools(), r.Path) || strings.HasPrefix(r.Path, "internal/") {
			continue
		}
		name := top(r.Path)
		b := byName[name]
		if b == nil {
			b = &block{name: name, needs: map[string]bool{}}
			byName[name] = b
			all = append(all, b)
		}
		if r.Path != name {
			b.rooms = append(b.rooms, strings.TrimPrefix(r.Path, name+"/"))
		}
		for _, m := range r.May() {
			if other := top(m); other != name && !strings.HasPrefix(m, "internal/") {
				b.needs[other] = true
			}
		}
	}
	for _, b := range all {
		b.floor = height(b, byName)
		b.w, b.h = blockWidth, lineHeight*(len(b.rooms)+2)
	}
	for _, b := range all { // what is reached through another one needs no arrow
		for n := range b.needs {
			for m := range b.needs {
				if m != n && reaches(byName[m], n, byName) {
					delete(b.needs, n)
				}
			}
		}
	}
	settle(all)
	return all
}

func top(path string) string {
	if strings.HasPrefix(path, "cmd/") {
		return path
	}
	name, _, _ := strings.Cut(path, "/")
	return name
}

// height is how many blocks are below one, on the longest way down.
func height(b *block, all map[string]*block) int {
	h := 0
	for n := range b.needs {
		h = max(h, height(all[n], all)+1)
	}
	return h
}

// settle puts each block right below the lowest of those that need it.
func settle(all []*block) {
	for _, b := range slices.SortedFunc(slices.Values(all), func(a, b *block) int { return cmp.Compare(b.floor, a.floor) }) {
		lowest := -1
		for _, user := range all {
			if user.needs[b.name] && (lowest < 0 || user.floor < lowest) {
				lowest = user.floor
			}
		}
		if lowest > 0 {
			b.floor = lowest - 1
		}
	}
}

func reaches(from *block, name string, all map[string]*block) bool {
	for n := range from.needs {
		if n == name || reaches(all[n], name, all) {
			return true
		}
	}
	return false
}

// place gives the blocks their places and returns the picture's size.
func place(all []*block) (width, height int) {
	var floors [][]*block
	for _, b := range all {
		for len(floors) <= b.floor {
			floors = append(floors, nil)
		}
		floors[b.floor] = append(floors[b.floor], b)
	}
	for _, f := range floors {
		width = max(width, len(f)*(blockWidth+blockGap)-blockGap)
	}
	width += 2 * pictureEdge
	y := pictureEdge
	for _, f := range slices.Backward(floors) {
		slices.SortFunc(f, func(a, b *block) int { return cmp.Compare(a.name, b.name) })
		x := (width - len(f)*(blockWidth+blockGap) + blockGap) / 2
		tallest := 0
		for _, b := range f {
			b.x, b.y = x, y
			x += blockWidth + blockGap
			tallest = max(tallest, b.h)
		}
		y += tallest + floorGap
	}
	return width, y - floorGap + pictureEdge
}

// picture draws the blocks on their floors, an arrow from each to those that it needs,
// and below them the rooms that everybody may use.
func picture() []byte {
	all := blocks()
	width, height := place(all)
	byName := map[string]*block{}
	for _, b := range all {
		byName[b.name] = b
	}
	var shared []string
	for _, r := range Rooms() {
		if below, ok := strings.CutPrefix(r.Path, "internal/"); ok && !slices.Contains(tools(), r.Path) {
			shared = append(shared, below)
		}
	}
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="The rooms of fnb and who may import whom">`+"\n", width, height+3*lineHeight)
	s.WriteString(`<style>
text { font: 12px ui-monospace, monospace; fill: #1f2328 }
.name { font-weight: bold; font-size: 13px }
.block { fill: #ddf4ff; stroke: #0969da }
.way { fill: none; stroke: #57606a; marker-end: url(#tip) }
.tip { fill: #57606a }
.ground { fill: #ffffff }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .block { fill: #0c2d6b; stroke: #58a6ff } .way { stroke: #8b949e } .tip { fill: #8b949e } .ground { fill: #0d1117 }
}
</style>
<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path class="tip" d="M0 0 8 4 0 8z"/></marker></defs>
`)
	fmt.Fprintf(&s, `<rect class="ground" width="%d" height="%d"/>`+"\n", width, height+3*lineHeight)
	for _, b := range all {
		for _, n := range sorted(b.needs) {
			to := byName[n]
			x1, y1, x2, y2 := b.x+b.w/2, b.y+b.h, to.x+to.w/2, to.y
			fmt.Fprintf(&s, `<path class="way" d="M%d %dC%d %d %d %d %d %d"/>`+"\n", x1, y1, x1, y1+floorGap/2, x2, y2-floorGap/2, x2, y2)
		}
	}
	for _, b := range all {
		fmt.Fprintf(&s, `<rect class="block" x="%d" y="%d" width="%d" height="%d" rx="6"/>`+"\n", b.x, b.y, b.w, b.h)
		fmt.Fprintf(&s, `<text class="name" x="%d" y="%d">%s</text>`+"\n", b.x+12, b.y+lineHeight+5, b.name)
		for i, r := range b.rooms {
			fmt.Fprintf(&s, `<text x="%d" y="%d">%s</text>`+"\n", b.x+24, b.y+(i+2)*lineHeight+5, r)
		}
	}
	fmt.Fprintf(&s, `<text x="%d" y="%d">for every room, below internal:</text>`+"\n", pictureEdge, height+lineHeight)
	fmt.Fprintf(&s, `<text x="%d" y="%d">%s</text>`+"\n", pictureEdge, height+2*lineHeight, strings.Join(shared, ", "))
	s.WriteString("</svg>\n")
	return []byte(s.String())
}

func sorted(set map[string]bool) []string {
	var out []string
	for name := range set {
		out = append(out, name)
	}
	slices.Sort(out)
	return out
}
