package ci

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func sumOf(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }

// TestSource: each way to get fnb has a script of its own, which reads what the pipeline sets.
func TestSource(t *testing.T) {
	t.Parallel()
	for _, s := range Systems() {
		for _, from := range []Source{
			{},
			{Address: "https://example.com/fnb", SHA256: "aa"},
			{Released: true},
			{Address: "https://example.com/fnb/v1.2.3", SHA256: "bb", Released: true},
		} {
			script, err := from.Setup()
			if err != nil {
				t.Fatal(err)
			}
			lines := Pipeline{Fnb: from, Variable: s.variable}.Variables()
			for _, name := range []string{from.Variable(), "FNB_SHA256"} {
				if !strings.Contains(script, "$"+name) && !strings.Contains(script, "${"+name) || !strings.Contains(lines, name+": ") {
					t.Errorf("%s: %+v does not use %s: %s\n%s", s.Name, from, name, lines, script)
				}
			}
			if !strings.Contains(lines, ": "+from.Address) || !strings.Contains(lines, from.SHA256) {
				t.Errorf("%s: %s", s.Name, lines)
			}
		}
	}
}

// TestChecksums asks servers that are what they should be, and others.
func TestChecksums(t *testing.T) {
	t.Parallel()
	const line = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa  fnb_1.2.3_linux_amd64.tar.gz\n"
	sum := func(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }
	for name, tt := range map[string]struct {
		status int
		body   string
		want   string // "" is an error
		err    string
	}{
		"good":              {200, line, sum(line), ""},
		"with others":       {200, "bb  other\n" + line, sum("bb  other\n" + line), ""},
		"not there":         {404, line, "", "the server answers 404 Not Found"},
		"a web page":        {200, "<html>log in</html>", "", "it has no checksum of fnb_1.2.3_linux_amd64.tar.gz"},
		"another version":   {200, strings.ReplaceAll(line, "1.2.3", "1.2.4"), "", "it has no checksum of fnb_1.2.3_linux_amd64.tar.gz"},
		"half a checksum":   {200, line[32:], "", "it has no checksum of"},
		"without an end":    {200, line + strings.Repeat("x", maxChecksums), "", "it has no checksum of"},
		"led to plain HTTP": {302, "", "", "the server answers 302 Found"},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1.2.3/checksums.txt" {
				t.Errorf("%s: it asks for %s", name, r.URL)
			}
			w.Header().Set("Location", "http://example.com/")
			w.WriteHeader(tt.status)
			_, _ = w.Write([]byte(tt.body))
		}))
		got, err := Checksums(t.Context(), s.URL+"/v1.2.3")
		if got != tt.want || (err == nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
		s.Close()
	}
}
