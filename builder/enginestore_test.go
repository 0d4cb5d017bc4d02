package builder

import (
	"testing"

	"github.com/moby/buildkit/client"

	"fnb/builder/engine"
)

// An engine is given an image in the way that it has.
func TestExportToEngine(t *testing.T) {
	t.Parallel()
	for keeps, timed := range map[engine.Store]string{engine.Drivers: "", engine.Containerd: "true", engine.Unknown: "true"} {
		var opt client.SolveOpt
		release, err := export(&opt, &Request{Output: Output{Engine: true, Names: []string{"a:1", "b:2"}}}, keeps)
		if err != nil {
			t.Fatal(err)
		}
		release()
		if got := opt.Exports[0]; got.Type != "moby" || got.Attrs["name"] != "a:1,b:2" || got.Attrs["rewrite-timestamp"] != timed || got.Attrs["push"] != "" {
			t.Errorf("%q: %+v", keeps, got)
		}
	}
	if err := (&Client{}).deliverable(Output{Engine: true}); err == nil {
		t.Error("a builder without an engine gives it images")
	}
	for _, c := range []*Client{{docker: &engine.Dialer{}, store: engine.Containerd}, {docker: &engine.Dialer{}}} {
		if err := c.deliverable(Output{Push: []string{"a"}}); err != nil {
			t.Errorf("%q: %v", c.store, err)
		}
	}
}
