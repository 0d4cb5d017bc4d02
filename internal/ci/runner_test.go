package ci

import (
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"

	"fnb/schema"
)

// TestHostileSummary renders what a summary says as GitHub's dialect of Markdown: there
// is a table with the cells that it should have, and nothing else.
func TestHostileSummary(t *testing.T) {
	t.Parallel()
	text := `\[click](https://evil.example) https://evil.example www.evil.example a@evil.example @acme <img src=x> | ` + "`" + ` \| ![i](http://x)` + "\n# x"
	table := summarize(schema.Report{Functions: []schema.FunctionReport{
		{Name: text, Reference: text, Status: "failed", Error: text}, {Name: "good", Reference: text, Digest: text, Status: "built", Reason: text},
	}})
	var page strings.Builder
	if err := goldmark.New(goldmark.WithExtensions(extension.GFM)).Convert([]byte(table), &page); err != nil {
		t.Fatal(err)
	}
	if got := page.String(); strings.Contains(got, "<a ") || strings.Contains(got, "<img") || strings.Contains(got, "<h1") || strings.Count(got, "<td") != 12 || strings.Count(got, "<table") != 1 {
		t.Errorf("the summary is shown as\n%s", got)
	}
}
