package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"

	"fnb/builder"
	"fnb/builder/containers"
	"fnb/builder/display"
	"fnb/builder/probe"
	"fnb/packaging"
	"fnb/registry"
	"fnb/schema"
	"fnb/schema/rebaseplan"
	"fnb/store"
)

// smokeTest is the contract test of an image that is in its registry by its digest, on the
// builder's platform or on the first that it can run.
func (g *globals) smokeTest(ctx context.Context, c *registry.Client) (test func(context.Context, *rebaseplan.Image, string) error, end func(), err error) {
	wd, err := packaging.Watchdog()
	if err != nil {
		return nil, nil, err
	}
	cfg, err := g.config()
	if err != nil {
		return nil, nil, err
	}
	client, err := g.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	progress, err := display.New(g.err, g.progress, false)
	if err != nil {
		return nil, nil, usagef("fnb rebase", "%w", err)
	}
	end = func() {
		progress.Close()
		_ = client.Close() // nothing is asked of it any more
	}
	return func(ctx context.Context, i *rebaseplan.Image, ref string) error {
		var has []string
		for _, p := range i.Platforms {
			has = append(has, p.Platform)
		}
		platform, err := choosePlatform(ctx, client, has)
		if err != nil {
			return err
		}
		about, err := g.aboutRebased(i)
		if err != nil {
			return err
		}
		req := containers.Request{
			Name: i.Name(), Image: ref, Platform: platform, Env: map[string]string{}, Secrets: map[string][]byte{}, Progress: progress,
			Tunnel: builder.Watchdog{Layout: wd.FS, Manifests: wd.Manifests},
			Access: builder.Access{Credentials: c.Credentials, Registries: mirrorsOf(cfg)},
		}
		if try := about.Try; try != nil {
			maps.Copy(req.Env, try.Environment)
			for name, value := range try.Secrets {
				req.Secrets[name] = []byte(value)
			}
		}
		checks, err := probe.Run(ctx, client, req, probe.Options{Examples: about.Examples})
		if err != nil {
			return fmt.Errorf("testing it: %w", err)
		}
		return failedChecks(checks)
	}, end, nil
}

// aboutRebased is what the function of an image says of itself, with its examples; nothing where the plan does not
// say of which function it is, or the function is not here.
func (g *globals) aboutRebased(i *rebaseplan.Image) (store.About, error) {
	if i.Function == "" {
		return store.About{}, nil
	}
	stack, err := g.readStack()
	if errors.Is(err, fs.ErrNotExist) {
		return store.About{}, nil
	}
	if err != nil {
		return store.About{}, err
	}
	fns, err := chooseFunctions(stack, []string{i.Function}, choice{})
	if err != nil {
		return store.About{}, err
	}
	return store.AboutFunction(fns[0], schema.Reach{Root: filepath.Dir(stack.File)})
}

// failedChecks is an error that names the checks that failed; nil where none did.
func failedChecks(checks []probe.Check) error {
	var failed []string
	for _, c := range checks {
		if c.Status == probe.Failed {
			first, _, _ := strings.Cut(c.Detail, "\n")
			failed = append(failed, c.Title()+": "+first)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return fmt.Errorf("the contract test failed: %s", strings.Join(failed, "; "))
}
