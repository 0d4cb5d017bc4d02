package git

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fnb/origin"
)

// TestRedirectLeadsInward has a server that is elsewhere lead to this machine.
func TestRedirectLeadsInward(t *testing.T) {
	t.Parallel()
	asked := 0
	inside := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	t.Cleanup(inside.Close)
	server := httptest.NewServer(http.RedirectHandler(inside.URL, http.StatusFound))
	t.Cleanup(server.Close)
	c := New(Options{Getenv: func(name string) string {
		if name == origin.PrivateHosts {
			return "localhost"
		}
		return ""
	}}).Restrain(Restraint{Least: origin.Public})
	address := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	if _, err := c.Get(t.Context(), address, ""); !isInward(err) || asked > 0 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

func isInward(err error) bool {
	_, ok := errors.AsType[*InwardError](err)
	return ok
}
