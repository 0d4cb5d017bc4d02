package builder_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/internal/fixture"
	"fnb/schema"
)

// The files of each platform's image can be read before it is delivered, in parts and without its
// links being followed; an error there is that of the solve.
func TestInspect(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	large := strings.Repeat("0123456789", 20_000)
	var mu sync.Mutex
	seen := map[string]bool{}
	req := builder.Request{
		Name: "inspect", Context: fixture.Files("Dockerfile", "FROM scratch\nCOPY files/ /\nWORKDIR /home/app\n", "files/a/large", large, "files/b", "b"),
		Platforms: buildertest.ThreePlatforms()[:2],
		Output: builder.Output{Inspect: func(ctx context.Context, p schema.Platform, files *builder.Files) error {
			mu.Lock()
			defer mu.Unlock()
			seen[p.String()] = true
			top, err := files.ReadDir(ctx, ".")
			if err != nil {
				return err
			}
			var names []string
			for _, f := range top {
				names = append(names, f.Name())
			}
			if got := strings.Join(names, " "); got != "a b home" || !top[0].IsDir() || top[1].IsDir() || top[1].Size() != 1 || !top[1].Mode().IsRegular() {
				t.Errorf("%s: %q %v", p, got, top)
			}
			part, err := files.ReadAt(ctx, "a/large", 100_003, 5)
			if err != nil || string(part) != "34567" {
				t.Errorf("%q, %v", part, err)
			}
			if part, err = files.ReadAt(ctx, "a/large", 199_998, 100); err != nil || string(part) != "89" {
				t.Errorf("at the end: %q, %v", part, err)
			}
			if !bytes.Contains(files.Config, []byte(`"WorkingDir":"/home/app"`)) {
				t.Errorf("the configuration is %s", files.Config)
			}
			return nil
		}},
	}
	buildertest.Solve(t, c, req)
	if len(seen) != 2 {
		t.Errorf("seen were %v", seen)
	}
	wrong := errors.New("nobody likes it")
	req.Output.Inspect = func(context.Context, schema.Platform, *builder.Files) error { return wrong }
	if _, err := c.Solve(t.Context(), req); err == nil || !strings.Contains(err.Error(), wrong.Error()) {
		t.Errorf("%v", err)
	}
}
