package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"fnb/images"
	"fnb/internal/plain"
	"fnb/pipeline/inventory"
	"fnb/registry"
	"fnb/sbom"
	"fnb/schema"
)

// sbomOfReference says what an image is made of that is in a registry, or in the image store.
func (g *globals) sbomOfReference(ctx context.Context, o *sbomOptions, platforms schema.Platforms, ref string) error {
	if g.offline {
		return g.sbomOfStored(ctx, o, platforms, ref, nil)
	}
	c, err := newRegistry(o.inputs.insecure)
	if err != nil {
		return err
	}
	o.from = c
	var platform schema.Platform
	if len(platforms) > 0 {
		platform = platforms[0]
	}
	of, err := c.Open(ctx, ref, platform)
	if is[*registry.NotFoundError](err) || is[*registry.UnavailableError](err) {
		return g.sbomOfStored(ctx, o, platforms, ref, err)
	}
	if several, ok := errors.AsType[*registry.PlatformError](err); ok && len(several.Have) > 0 {
		return hint(err, "name the platform with: fnb sbom "+plain.ShellWord(ref)+" --platform "+several.Have[0])
	}
	if err != nil {
		return err
	}
	if !o.scan {
		found, notes, err := inventory.Attached(ctx, c, of)
		if is[*registry.ReferrersError](err) || is[*registry.AttachedError](err) {
			return hint(err, "have the image's layers read: fnb sbom "+plain.ShellWord(ref)+" --scan")
		}
		if err != nil {
			return err
		}
		data, more := inventory.In(found, o.as)
		g.tellMore(slices.Concat(notes, more))
		if d, err := sbom.Read(data); data != nil && o.base && err == nil {
			return g.writeSBOM(ctx, o, &d)
		}
		if data != nil {
			return g.writeJSON(data)
		}
	}
	made, err := inventory.OfReference(ctx, of, nil)
	if err != nil {
		return fmt.Errorf("reading %s: %w", plain.Line(ref), err)
	}
	return g.printSBOM(ctx, o, []inventory.List{made}, nil)
}

// sbomOfStored says what an image of the image store is made of, which no registry has.
func (g *globals) sbomOfStored(ctx context.Context, o *sbomOptions, platforms schema.Platforms, ref string, missing error) error {
	s, err := openImages("")
	if err != nil {
		return err
	}
	e, err := s.Find(ref)
	if is[*images.NotFoundError](err) && missing != nil {
		return missing
	}
	if err != nil {
		return orList(err)
	}
	r, err := images.ParseReference(ref)
	if err != nil {
		return err
	}
	all, err := inventory.OfStored(ctx, s, ref, e.Descriptor, inventory.About{Repository: r.Name()})
	if err != nil {
		return fmt.Errorf("reading %s: %w", plain.Line(ref), err)
	}
	return g.printSBOM(ctx, o, all, platforms)
}
