package registry

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// TestMayPush asks a real registry behind a server that answers the beginning of
// an upload as others do: only what refuses the push is an error.
func TestMayPush(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{})
	tests := []struct {
		name   string
		status int // 0 asks the real registry
		body   string
		want   string // part of the error; "" is none
	}{
		{"yes", 0, "", ""},
		{"wants credentials", 401, `{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}`, "wants credentials, but none are stored for it: authentication required"},
		{"does not allow it", 403, `{"errors":[{"code":"DENIED","message":"no push for you"}]}`, "no push for you"},
		{"a quota", 412, `{"errors":[{"code":"DENIED","message":"quota exceeded"}]}`, "quota exceeded"},
		{"a repository that the push has to make", 404, `{"errors":[{"code":"NAME_UNKNOWN","message":"there is none"}]}`, ""},
		{"uploads in one piece only", 405, `{"errors":[{"code":"UNSUPPORTED"}]}`, ""},
		{"a limit", 429, `{"errors":[{"code":"TOOMANYREQUESTS"}]}`, ""},
		{"broken", 500, "<html>", ""},
		{"a redirect", 307, "", ""},
		{"done already", 201, "", ""},
		{"begun nowhere", 202, "", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			forward := newForward(t, reg.URL)
			var mu sync.Mutex
			var asked []string
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				asked = append(asked, r.Method)
				mu.Unlock()
				if test.status != 0 && r.Method == http.MethodPost {
					w.Header().Set("Retry-After", "86400")
					w.WriteHeader(test.status)
					_, _ = w.Write([]byte(test.body))
					return
				}
				forward.ServeHTTP(w, r)
			}))
			t.Cleanup(front.Close)
			ref := strings.TrimPrefix(front.URL, "http://") + "/may/push:1"
			err := newClient(t, Options{}).MayPush(t.Context(), ref)
			if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want) || !strings.HasPrefix(err.Error(), ref)) {
				t.Errorf("it says %v, want %q", err, test.want)
			}
			if said := strings.Join(asked, " "); test.status == 0 && said != "GET POST DELETE" || test.status != 0 && strings.Contains(said, "DELETE") {
				t.Errorf("asked with %s", said)
			}
		})
	}
}

func TestMayPushWithCredentials(t *testing.T) {
	t.Parallel()
	reg := servers.RegistryFor(t, servers.RegistryOptions{User: "ada", Password: "s3cret word"})
	file := t.TempDir() + "/auth.json"
	c := newClient(t, Options{DockerConfig: t.TempDir(), AuthFiles: []string{file}})
	ref := reg.Host + "/acme/hello:1"
	if e, ok := errors.AsType[*AuthError](c.MayPush(t.Context(), ref)); !ok || !e.Anonymous {
		t.Errorf("without credentials: %v", e)
	}
	// "ada:wrong" and "ada:s3cret word"
	for auth, allowed := range map[string]bool{"YWRhOndyb25n": false, "YWRhOnMzY3JldCB3b3Jk": true} {
		fixture.Must(t, os.WriteFile(file, []byte(`{"auths":{"`+reg.Host+`":{"auth":"`+auth+`"}}}`), 0o600))
		fixture.Must(t, c.reset())
		err := c.MayPush(t.Context(), ref)
		if e, ok := errors.AsType[*AuthError](err); allowed && err != nil || !allowed && (!ok || e.Anonymous || e.Status != 401) {
			t.Errorf("%s: %v", auth, err)
		}
	}
	if err := c.MayPush(t.Context(), "127.0.0.1:1/acme/hello:1"); err != nil {
		t.Errorf("nobody there: %v", err)
	}
}
