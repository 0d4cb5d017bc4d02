package spelling_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/internal/spelling"
)

func TestNear(t *testing.T) {
	t.Parallel()
	known := []string{"lang", "handler", "image", "build_args", "build_options", "labels", "limits", "go", "python3-http", "python3-http-debian"}
	tests := map[string][]string{
		"lnag": {"lang"}, "handlr": {"handler"}, "Handler": {"handler"}, "build-args": {"build_args"}, "imgae": {"image"},
		"python3-htp": {"python3-http"}, "label": {"labels"}, "g": {"go"}, "zzz": nil, "": nil, "lang": {"lang"},
		strings.Repeat("a", 1000): nil,
	}
	for word, want := range tests {
		if diff := cmp.Diff(want, spelling.Near(word, known)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", word, diff)
		}
	}
	if got := spelling.Near("aaaa", []string{"aaab", "aaac", "aaad", "aaae", "aaaa", "aaab"}); !cmp.Equal(got, []string{"aaaa", "aaab", "aaac"}) {
		t.Errorf("got %q, want the nearest three", got)
	}
}
