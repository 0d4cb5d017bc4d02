package document

import (
	"slices"
	"testing"
)

// What YAML 1.2 reads as one text is one, also in brackets inside braces.
func TestPlainTextWithColons(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"[db:5432]":                         {"db:5432"},
		"{m: db:5432}":                      {"db:5432"},
		"{m: [db:5432]}":                    {"db:5432"},
		"{m: [a, db=127.0.0.1:1, b:2 , c]}": {"a", "db=127.0.0.1:1", "b:2", "c"},
		"{m: [http://x:1/y, a:b:c, h:-1]}":  {"http://x:1/y", "a:b:c", "h:-1"},
		"{m: [5:6, true:1, ~:0, é:1]}":      {"5:6", "true:1", "~:0", "é:1"},
		"{m: [h:1 # why\n]}":                {"h:1"},
		"{m: [\"a:b\", 'c:1', x y:1 z]}":    {"a:b", "c:1", "x y:1 z"},
		"{m: {n: [a:1]}}":                   {"a:1"},
		"{m: [a: 1]}":                       {"is a mapping, but must be a string"},
		"{m: [\"a\":1]}":                    {"is a mapping, but must be a string"},
		"{h:1: x}":                          {`inside braces a key with a colon must be in quotes: "h:1"`},
		"{localhost:5000: {m: x}}":          {`inside braces a key with a colon must be in quotes: "localhost:5000"`},
		"{m: [h:1: x]}":                     {`inside braces a key with a colon must be in quotes: "h:1"`},
		"{\"h:1\": x}":                      {"x"},
	} {
		r := &Reader{File: "f"}
		got := texts(r, text)
		for _, p := range r.Problems {
			got = append(got, p.Problem)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

// texts are those of a document, at any depth.
func texts(r *Reader, document string) []string {
	v, _ := r.Document([]byte(document))
	for {
		entries, ok := []Entry(nil), false
		if isMapping(v) {
			entries, ok = r.Entries(v)
		}
		if !ok || len(entries) == 0 {
			break
		}
		v = entries[0].Value
	}
	var all []string
	each := func(v Value) {
		if text, ok := r.text(v); ok {
			all = append(all, text)
		}
	}
	if _, ok := ScalarText(v.Node); ok && v.Node != nil {
		each(v)
	} else {
		r.List(each)(v)
	}
	return all
}

func isMapping(v Value) bool {
	_, ok := mappingValues(v.Node)
	return ok
}
