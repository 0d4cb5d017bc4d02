package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"fnb/builder"
	"fnb/builder/containers"
	"fnb/builder/display"
	"fnb/builder/probe"
	"fnb/packaging"
	"fnb/registry"
	"fnb/schema"
)

const (
	readyPatience = time.Minute // for a function to answer at all
)

// A publishedFunction is a function of the store that is to be run in the builder.
type publishedFunction struct {
	name     string
	image    string // with its digest
	platform schema.Platform
	run      *schema.RecordRun
	try      *schema.Trial     // what it is given over that
	secrets  map[string][]byte // those of the trial too
	registry *registry.Client
}

// startPublished runs the function's image in the builder and waits until it takes
// requests. It has to be closed.
func (g *globals) startPublished(ctx context.Context, client *builder.Client, f publishedFunction) (*containers.Container, error) {
	wd, err := packaging.Watchdog()
	if err != nil {
		return nil, err
	}
	progress, err := display.New(g.err, g.progress, false)
	if err != nil {
		return nil, usagef("fnb store", "%w", err)
	}
	defer progress.Close()
	cfg, err := g.config()
	if err != nil {
		return nil, err
	}
	var shared sync.Mutex
	req := containers.Request{
		Name: f.name, Image: f.image, Platform: f.platform, Env: map[string]string{}, Secrets: f.secrets, Stdout: g.functionLog(&shared), Stderr: g.functionLog(&shared),
		Tunnel: builder.Watchdog{Layout: wd.FS, Manifests: wd.Manifests}, Progress: progress,
		Access: builder.Access{Credentials: f.registry.Credentials, Registries: mirrorsOf(cfg)},
	}
	if f.run != nil {
		maps.Copy(req.Env, f.run.Environment)
		if f.run.FProcess != "" {
			req.Env["fprocess"] = f.run.FProcess
		}
	}
	if f.try != nil {
		maps.Copy(req.Env, f.try.Environment)
	}
	running, err := containers.Run(ctx, client, req)
	if err != nil {
		return nil, err
	}
	if err := running.Ready(ctx, readyPatience); err != nil {
		running.Close()
		return nil, fmt.Errorf("starting it: %w", err)
	}
	return running, nil
}

// choosePlatform is the platform of the image that the builder runs: its own where
// the image is for it, else one that it emulates.
func choosePlatform(ctx context.Context, client *builder.Client, has []string) (schema.Platform, error) {
	own, err := client.DefaultPlatform(ctx)
	if err != nil || slices.Contains(has, own.String()) {
		return own, err
	}
	for _, name := range has {
		p, err := schema.ParsePlatform(name)
		if err != nil {
			return own, err
		}
		if ok, _, err := client.Runs(ctx, p); err != nil || ok {
			return p, err
		}
	}
	return own, hint(&registry.PlatformError{Reference: "the image", Want: own, Have: has}, emulateHint(has[0]), "or use a builder of "+has[0]+" with: --builder ADDRESS")
}

// caller calls a function that runs.
func caller(running *containers.Container) probe.Caller {
	return probe.Caller{Transport: running.Transport(), UserAgent: userAgent()}
}
