package answers

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"fnb/internal/growth"
)

// TestLocated holds that the place of an upload is a whole address, and stays in HTTPS.
func TestLocated(t *testing.T) {
	for said, want := range map[string]string{
		"/v2/a/uploads/1?x=%2F":        "https://reg.example/v2/a/uploads/1?x=%2F",
		"1?x":                          "https://reg.example/v2/a/uploads/1?x",
		"reg.example/v2/1":             "https://reg.example/v2/1",
		"//blobs.example/1":            "https://blobs.example/1",
		"http://reg.example/v2/1":      "https://reg.example/v2/1",
		"http://reg.example:80/1":      "http://reg.example:80/1", // which is another server
		"https://blobs.example/1?a=b+": "https://blobs.example/1?a=b+",
		"":                             "",
	} {
		from, err := url.Parse("https://reg.example/v2/a/uploads/")
		if err != nil {
			t.Fatal(err)
		}
		resp := &http.Response{StatusCode: http.StatusAccepted, Header: http.Header{"Location": {said}}, Body: http.NoBody, Request: &http.Request{URL: from}}
		resp, err = (&Transport{}).located(resp)
		if err != nil {
			t.Fatal(err)
		}
		if got := resp.Header.Get("Location"); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

// TestParseChallenges reads what registries write, and writes it as it is read.
func TestParseChallenges(t *testing.T) {
	for text, want := range map[string][]challenge{
		``:                     nil,
		`Basic`:                {{"basic", map[string]string{}}},
		`Basic realm="a, b"`:   {{"basic", map[string]string{"realm": "a, b"}}},
		`Basic realm=a`:        {{"basic", map[string]string{"realm": "a"}}},
		`Negotiate, Basic x=1`: {{"negotiate", map[string]string{}}, {"basic", map[string]string{"x": "1"}}},
		`Bearer Realm = "https://a/b?c=d" , SERVICE="x\"y", NTLM`: {{"bearer", map[string]string{"realm": "https://a/b?c=d", "service": `x"y`}}, {"ntlm", map[string]string{}}},
		`Bearer realm="https://a`:                                 {{"bearer", map[string]string{"realm": "https://a"}}},
		`="x", ,`:                                                 nil,
	} {
		got := parseChallenges(text)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	var readers []growth.Reader
	for _, part := range []string{"a ", "a=", `"`, `\`, ",", `a="b",`, "a"} {
		readers = append(readers, growth.Reader{Name: part, Size: 200_000, Begin: func(size int) func() {
			text := "Basic x=" + strings.Repeat(part, size/len(part))
			return func() { parseChallenges(text) }
		}})
	}
	growth.Check(t, readers...)
}

// FuzzChallenges holds that what was read from challenges reads the same once written.
func FuzzChallenges(f *testing.F) {
	f.Add(`Bearer realm="https://auth.example/token",service="x", Basic realm=y`)
	f.Add(`,,=",\"\\`)
	f.Fuzz(func(t *testing.T, text string) {
		for _, c := range parseChallenges(text) {
			again := parseChallenges(c.String())
			if len(again) != 1 || !reflect.DeepEqual(again[0], c) {
				t.Errorf("%q: %q became %q", text, c, again)
			}
		}
	})
}
