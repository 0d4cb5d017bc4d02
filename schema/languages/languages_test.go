package languages

import (
	"slices"
	"strings"
	"testing"
)

// TestTable holds what whoever adds a language might miss.
func TestTable(t *testing.T) {
	t.Parallel()
	words, files := map[string]bool{}, map[string]bool{}
	for _, l := range All() {
		name := strings.Join(l.Words, "/")
		for _, w := range l.Words {
			if words[w] || w != strings.ToLower(w) || w == "" {
				t.Errorf("%s: the word %q is there twice, or not in lower case", name, w)
			}
			words[w] = true
		}
		if n := len([]rune(l.Glyph)); n < 1 || n > 2 || l.Hue < 0 || l.Hue > 8 {
			t.Errorf("%s: glyph %q, hue %d", name, l.Glyph, l.Hue)
		}
		if (len(l.Lists) > 0) != (l.Ecosystem != "") {
			t.Errorf("%s: lists %v of the ecosystem %q", name, l.Lists, l.Ecosystem)
		}
		if (len(l.Caches) > 0) != (l.Image != "") {
			t.Errorf("%s: caches %v of the image %q", name, l.Caches, l.Image)
		}
		for _, c := range l.Caches {
			if !strings.HasPrefix(c, "/") {
				t.Errorf("%s: the cache %s is no absolute path", name, c)
			}
		}
		own := slices.Clone(l.Locks)
		for _, list := range l.Lists {
			own = append(own, list.Manifest)
			if list.Lock != "" {
				own = append(own, list.Lock)
			}
		}
		for _, f := range own {
			if files[f] {
				t.Errorf("%s: %s is there twice", name, f)
			}
			files[f] = true
			if !slices.Contains(PackageLists(), f) {
				t.Errorf("%s is no package list", f)
			}
		}
	}
}

func TestLookups(t *testing.T) {
	t.Parallel()
	of := ByWord()
	if l, ok := of("Python3"); !ok || l.Glyph != "Py" {
		t.Errorf("Python3: %+v, %v", l, ok)
	}
	for _, word := range []string{"", "cobol"} {
		if l, ok := of(word); ok {
			t.Errorf("%q: %+v", word, l)
		}
	}
	if got := Caches("golang"); !slices.Equal(got, []string{"/go/pkg/mod", "/root/.cache/go-build"}) {
		t.Errorf("golang: %v", got)
	}
	for _, image := range []string{"", "debian"} {
		if got := Caches(image); got != nil {
			t.Errorf("%q: %v", image, got)
		}
	}
	locks := Locks()
	for _, name := range []string{"go.sum", "uv.lock", "pnpm-lock.yaml", "Cargo.lock"} {
		if !slices.Contains(locks, name) {
			t.Errorf("%s is no lock", name)
		}
	}
	for _, name := range []string{"go.mod", "", "requirements.txt"} {
		if slices.Contains(locks, name) {
			t.Errorf("%q is a lock", name)
		}
	}
	if slices.Contains(PackageLists(), "main.go") || slices.Contains(PackageLists(), "") {
		t.Error("main.go, or no file, is a package list")
	}
}
