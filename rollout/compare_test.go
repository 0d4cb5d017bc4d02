package rollout_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"fnb/rollout"
	"fnb/schema/deploy"
)

// Two values that differ look different, also where they differ in what no line can show.
func TestDiff(t *testing.T) {
	t.Parallel()
	const image = "ghcr.io/acme/hello@sha256:1111111111111111111111111111111111111111111111111111111111111111"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := `{"name": "hello", "image": "` + image + `", "envVars": {"KEY": "a b", "SAME": "x\ny", "healthcheck_interval": "5s"}}`
		if r.URL.Path == "/system/info" {
			answer = `{"provider": {"orchestration": "containerd"}}`
		}
		_, _ = io.WriteString(w, answer) // the client says what is missing
	}))
	defer s.Close()
	g, err := rollout.NewGateway(rollout.GatewayOptions{URL: s.URL})
	if err != nil {
		t.Fatal(err)
	}
	diff, err := g.Diff(t.Context(), deploy.Function{Name: "hello", Image: image, Environment: map[string]string{"KEY": "a\nb", "SAME": "x\ny", "RED": "\x1b[31mred"}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"--- hello", "+++ hello", "-envVars.KEY: a b", `+envVars.KEY: "a\nb"`, `+envVars.RED: "\x1b[31mred"`, ""}
	if got := strings.Split(diff, "\n"); strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("%q, want %q", got, want)
	}
}
