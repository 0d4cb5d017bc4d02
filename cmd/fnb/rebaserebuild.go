package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"

	"fnb/images"
	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/schema"
	"fnb/schema/rebaseplan"
)

// rebuild is the digest of the image that a build of a function gives with the base image that the plan has; "" where
// the plan does not say of which function the image is.
func (g *globals) rebuild(insecure []string) func(context.Context, *rebaseplan.Image) (string, error) {
	return func(ctx context.Context, i *rebaseplan.Image) (digest string, err error) {
		if i.Function == "" {
			return "", nil
		}
		s, err := (&inputFlags{}).settings("fnb rebase")
		if err != nil {
			return "", err
		}
		p, fns, err := g.newPipeline(wanted{settings: s, insecure: insecure, names: []string{i.Function}, keys: schema.BuildKeys()})
		if err != nil {
			return "", err
		}
		defer p.Close()
		if err := p.open(g, 1); err != nil {
			return "", err
		}
		dir, err := os.MkdirTemp("", "fnb-rebase-*")
		if err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		if p.Images, err = images.Open(dir); err != nil {
			return "", err
		}
		if i.Base != nil {
			p.Pins.SetBases(map[string]string{i.Base.Reference: i.Base.To}, nil)
		}
		out, err := p.Rebuild(ctx, fns[0], i.Reference())
		return out.Rebuilt, err
	}
}

// movePins has fnb.lock say what the functions of a plan have now: to is the digest that takes the place of
// another one. A lock that has neither is another stack's, and is left.
func (g *globals) movePins(plan *rebaseplan.Plan, from, to func(rebaseplan.Change) string) error {
	moves := map[string]rebaseplan.Change{}
	for _, i := range plan.Images {
		if i.Action == rebaseplan.Rebase && i.Function != "" && i.Base != nil {
			moves[i.Base.Reference] = *i.Base
		}
	}
	if len(moves) == 0 {
		return nil
	}
	stack, err := g.stackFile()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	file := pipeline.LockFile(stack)
	lock, err := schema.ReadLock(file)
	if err != nil {
		return err
	}
	moved := false
	for _, ref := range slices.Sorted(maps.Keys(moves)) {
		switch has := lock.Bases[ref]; has {
		case from(moves[ref]):
			lock.Bases[ref], moved = to(moves[ref]), true
			g.tellMore([]string{fmt.Sprintf("%s has %s at %s now", relative(file), plain.Line(ref), shortDigest(to(moves[ref])))})
		case to(moves[ref]):
		case "":
			g.tellMore([]string{fmt.Sprintf("%s does not have %s: it is of another stack, and is left", relative(file), plain.Line(ref))})
		default:
			g.tellMore([]string{fmt.Sprintf("%s has %s at %s, and is left: fnb update %s moves it", relative(file), plain.Line(ref), shortDigest(has), plain.ShellWord(ref))})
		}
	}
	if !moved {
		return nil
	}
	return lock.WriteLock(file)
}

func before(c rebaseplan.Change) string { return c.From }
func after(c rebaseplan.Change) string  { return c.To }
