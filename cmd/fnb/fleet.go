package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"fnb/builder"
	"fnb/schema"
)

// A solver makes images: one builder, or a fleet of them.
type solver interface {
	Solve(ctx context.Context, req builder.Request) (*builder.Result, error)
	Digests(ctx context.Context, req builder.Request, refs []string) (map[string]string, error)
	DefaultPlatform(ctx context.Context) (schema.Platform, error)
	Close() error
}

const plaintextFlag = "builder-plaintext"

// perBuilder is how many functions a fleet is given at a time, for each builder.
const perBuilder = 4

// nodes are the builders that were asked for, with their certificates, and who
// asked; none is the managed one.
func (g *globals) nodes(cfg schema.Config) ([]builder.Options, string, error) {
	address, by := g.builderAddress(cfg)
	if address == "" {
		return nil, "", nil
	}
	base := builder.Options{TLSDir: cfg.Builder.TLS, Plaintext: g.plaintext}
	if g.tlsDir != "" {
		base.TLSDir = g.tlsDir
	}
	nodes, err := builder.ParseAddresses(address, base)
	return nodes, by, err
}

// isFleet reports whether there is a choice of builders.
func isFleet(nodes []builder.Options) bool {
	return len(nodes) > 1 || len(nodes) == 1 && strings.HasPrefix(nodes[0].Address, "kube-pod://?")
}

// solver connects to the builder, or to those of a fleet.
func (g *globals) solver(ctx context.Context) (solver, error) {
	cfg, err := readConfig()
	if err != nil {
		return nil, err
	}
	nodes, by, err := g.nodes(cfg)
	if err != nil {
		return nil, err
	}
	if !isFleet(nodes) {
		return g.connect(ctx)
	}
	f := builder.NewFleet(builder.FleetOptions{Nodes: nodes, Load: perBuilder})
	if err := f.Open(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to the builders of %s: %w", by, err), f.Close())
	}
	return f, nil
}

// parallelism is how many functions are solved at a time where nobody says: one
// for each processor, or what keeps a fleet busy.
func (g *globals) parallelism(own int) int {
	cfg, err := readConfig()
	if err != nil {
		return own // who reads the settings next says so
	}
	nodes, _, err := g.nodes(cfg)
	if err != nil || !isFleet(nodes) {
		return own
	}
	pods := 0
	for _, n := range nodes {
		if strings.HasPrefix(n.Address, "kube-pod://?") {
			pods += 3 // how many there are is not known yet
		}
	}
	return max(own, perBuilder*(len(nodes)+pods))
}

// connectAll connects to the builder, or to each of a fleet that answers.
func (g *globals) connectAll(ctx context.Context) ([]*builder.Client, error) {
	cfg, err := readConfig()
	if err != nil {
		return nil, err
	}
	nodes, by, err := g.nodes(cfg)
	if err != nil {
		return nil, err
	}
	if !isFleet(nodes) {
		c, err := g.connect(ctx)
		return []*builder.Client{c}, err
	}
	nodes, err = builder.Expand(ctx, nodes)
	errs, clients := []error{err}, []*builder.Client(nil)
	for _, n := range nodes {
		c, err := builder.Dial(ctx, n)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		clients = append(clients, c)
	}
	if len(clients) == 0 {
		return nil, fmt.Errorf("connecting to the builders of %s: %w", by, cmp.Or(ctx.Err(), errors.Join(errs...)))
	}
	return clients, nil
}

// anyOf connects to the first builder of several that answers.
func anyOf(ctx context.Context, nodes []builder.Options) (*builder.Client, error) {
	nodes, err := builder.Expand(ctx, nodes)
	errs := []error{err}
	for _, n := range nodes {
		c, err := builder.Dial(ctx, n)
		if err == nil {
			return c, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// lostBuilders are those that a run went on without.
func lostBuilders(s solver) []error {
	if f, ok := s.(*builder.Fleet); ok {
		return f.Lost()
	}
	return nil
}

// fleetStatus asks each builder of a fleet. One that does not answer is part of
// the answer; that nobody does is an error.
func (g *globals) fleetStatus(ctx context.Context, nodes []builder.Options) (*builderStatus, error) {
	s := &builderStatus{}
	nodes, err := builder.Expand(ctx, nodes)
	errs := []error{err}
	var all int64
	for _, n := range nodes {
		one := builderStatus{}
		c, err := builder.Dial(ctx, n)
		if err == nil {
			one.Running = true
			if one.Info, err = c.Info(ctx); err == nil {
				var bytes int64
				bytes, err = c.DiskUsage(ctx)
				one.Bytes = &bytes
				all += bytes
			}
			_ = c.Close() // nothing is asked of it any more
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if one.Address = n.Address; err != nil {
			one.Error = err.Error()
			errs = append(errs, err)
		}
		s.Running = s.Running || one.Running
		s.Fleet = append(s.Fleet, one)
	}
	if !s.Running {
		return nil, errors.Join(errs...)
	}
	s.Bytes = &all
	return s, nil
}

// pruneFleet drops the caches of all builders of a fleet.
func pruneFleet(ctx context.Context, nodes []builder.Options) (int64, error) {
	nodes, err := builder.Expand(ctx, nodes)
	errs := []error{err}
	var freed int64
	for _, n := range nodes {
		c, err := builder.Dial(ctx, n)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		b, err := c.Prune(ctx, 0)
		freed += b
		errs = append(errs, err, c.Close())
	}
	return freed, errors.Join(errs...)
}
