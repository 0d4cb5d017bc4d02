package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"fnb/internal/growth"
	"fnb/registry/answers"
)

// answered is the error that go-containerregistry makes of a registry's answer.
func answered(t *testing.T, status int, body string) error {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://registry.example.com/v2/a/manifests/b?token=SECRET", nil)
	if err != nil {
		t.Fatal(err)
	}
	return transport.CheckError(&http.Response{StatusCode: status, Body: io.NopCloser(strings.NewReader(body)), Header: http.Header{}, Request: r}, http.StatusOK)
}

// TestGrowth reads what a registry says that attackers have: the time grows with the
// length of its answer, and what is shown of it does not.
func TestGrowth(t *testing.T) {
	var readers []growth.Reader
	for _, c := range []struct{ what, before, part, after string }{
		{"errors", `{"errors":[{"code":"DENIED"}`, `,{"code":"DENIED","message":"no","detail":"x"}`, "]}"},
		{"a long message", `{"errors":[{"code":"DENIED","message":"`, "\\u001b x", `"}]}`},
		{"a long code", `{"errors":[{"code":"`, "x ", `"}]}`},
		{"details", `{"errors":[{"code":"DENIED","detail":`, "[", ""},
		{"no JSON", "<html>", "\u202e x\n", ""},
	} {
		readers = append(readers, growth.Reader{Name: c.what, Size: answers.MaxShort - 200, Begin: func(size int) func() {
			body := c.before + strings.Repeat(c.part, size/len(c.part)) + c.after
			return func() {
				if got := explain(t.Context(), answered(t, http.StatusForbidden, body), "registry.example.com", "a/b"); len(got.Error()) > 1000 {
					t.Errorf("%d bytes", len(got.Error()))
				}
			}
		}})
	}
	for _, part := range []string{"a/", "a.", "a:", "@", "a-", "_"} {
		readers = append(readers, growth.Reader{Name: fmt.Sprintf("a reference of %q", part), Size: 200_000, Begin: func(size int) func() {
			text := "a" + strings.Repeat(part, size/len(part))
			return func() { _, _ = parseReference(text) }
		}})
	}
	growth.Check(t, readers...)
}

// FuzzAnswer holds that whatever a registry answers becomes one of the errors that
// callers know, of one line, not long, and without the request's query.
func FuzzAnswer(f *testing.F) {
	f.Add(401, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required","detail":[{"Type":"repository"}]}]}`)
	f.Add(429, `{"errors":[{"code":"TOOMANYREQUESTS","message":"\u001b[2J slow\ndown"}]}`)
	f.Add(404, `{"errors":null}`)
	f.Add(500, "<html>\x00")
	f.Fuzz(func(t *testing.T, status int, body string) {
		if status < 300 || status > 599 {
			return
		}
		err := explain(t.Context(), answered(t, status, body), "registry.example.com", "a/b")
		text := err.Error()
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\x1b\n\r\x00\u202e") || len(text) > 1000 {
			t.Errorf("%d %q became %q", status, body, text)
		}
		if strings.Contains(text, "SECRET") && !strings.Contains(body, "SECRET") {
			t.Errorf("the query of the request is in %q", text)
		}
		_, auth := errors.AsType[*AuthError](err)
		_, none := errors.AsType[*NotFoundError](err)
		_, policy := errors.AsType[*PolicyError](err)
		_, down := errors.AsType[*UnavailableError](err)
		if !auth && !none && !policy && !down || auth != (status == 401 || status == 403) || none != (status == 404) {
			t.Errorf("%d %q became %T", status, body, err)
		}
		if _, err := json.Marshal(text); err != nil {
			t.Error(err)
		}
	})
}

// TestRefusalIsBounded asks a registry that refuses without end.
func TestRefusalIsBounded(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("no ", 10_000)); err != nil {
				return
			}
		}
	}))
	t.Cleanup(server.Close)
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	_, err = c.Head(ctx, strings.TrimPrefix(server.URL, "http://")+"/a/b:1")
	if _, ok := errors.AsType[*AuthError](err); !ok {
		t.Errorf("%T %.200v", err, err)
	}
}
