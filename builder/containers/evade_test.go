package containers

import (
	"slices"
	"testing"
)

// A watchdog that makes room for a route takes no port of the function behind it.
func TestEvade(t *testing.T) {
	t.Parallel()
	r := &Container{port: 8080, ways: ways{routes: []Route{{Name: "gateway", Port: 8080}}}}
	r.image.Config.Entrypoint = []string{"/usr/bin/fwatchdog"}
	got := r.evade([]string{"mode=http", "upstream_url=http://127.0.0.1:8082"})
	if r.port != 8081 || !slices.Contains(got, "port=8081") || !slices.Contains(got, "metrics_port=8083") {
		t.Errorf("port %d, %v", r.port, got)
	}
}
