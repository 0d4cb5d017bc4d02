package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fnb/pipeline/inventory"
	"fnb/registry"
	"fnb/sbom"
	"fnb/schema"
)

type sbomOptions struct {
	inputs inputFlags
	format string
	as     sbom.Format // the same, read
	scan   bool
	base   bool             // name the SBOM of the base image
	from   *registry.Client // that has sent what is printed; nil is none
}

func newSBOM(g *globals) *cobra.Command {
	o := &sbomOptions{}
	cmd := &cobra.Command{
		Use:   "sbom FUNCTION|REF",
		Short: "print what is in a function's image: its SBOM",
		Long: `Sbom prints the software bill of materials of an image: each package with its version, the base image, the watchdog and the template. The packages are those that are installed in the image: Debian's and Alpine's, Python's, npm's, modules of Go and crates of Rust in programs, archives of Java. What the function's locks know of them is added, such as hashes.

Of a FUNCTION of the stack file the image is made first, unless the image store has it. Nothing is pushed. Of a REF the SBOM is printed that is attached to the image in its registry, or that BuildKit has put into its index. If there is none, or with --scan, the image's layers are read. An image that the registry does not have is looked for in the image store. Nobody checks a signature here: fnb verify does.

The same image is the same bytes, in each format.`,
		Example: "  # what is in a function\n  fnb sbom hello > hello.spdx.json\n\n  # what is in an image that others have made\n  fnb sbom docker.io/library/python:3.13-slim --platform linux/arm64\n\n  # in the other format\n  fnb sbom hello --format cyclonedx\n\n  # and say where the SBOM of its base image is\n  fnb sbom hello --base",
		Args:    exactly(1), ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.as, err = sbom.ParseFormat(o.format); err != nil {
				return usagef(cmd.CommandPath(), "--format %w", err)
			}
			if o.base && g.offline {
				return usagef(cmd.CommandPath(), "--offline uses no network, and --base asks a registry")
			}
			s, err := o.inputs.settings(cmd.CommandPath())
			if err != nil {
				return err
			}
			if len(s.Inputs.Platforms) > 1 {
				return usagef(cmd.CommandPath(), "--platform: an SBOM is of one platform, not of %d", len(s.Inputs.Platforms))
			}
			if strings.ContainsAny(args[0], "/:@") {
				return g.sbomOfReference(cmd.Context(), o, s.Inputs.Platforms, args[0])
			}
			s.Destination.Attest = attested() // it is as fnb build makes it
			return g.sbomOfFunction(cmd.Context(), o, wanted{settings: s, insecure: o.inputs.insecure, names: args, keys: schema.BuildKeys()})
		},
	}
	fl := cmd.Flags()
	fl.StringVar(&o.format, "format", string(sbom.FormatSPDX), "write SPDX 2.3 or CycloneDX 1.6, as JSON: `FORMAT` is spdx or cyclonedx")
	fl.StringSliceVar(&o.inputs.platforms, "platform", nil, "of an image for several, take the one for `PLATFORM`, such as linux/arm64")
	fl.BoolVar(&o.base, "base", false, "name the SBOM that the base image has of its own, which its registry is asked for")
	fl.BoolVar(&o.scan, "scan", false, "read the layers of the image, whatever is attached to it")
	o.inputs.addFlags(fl)
	return cmd
}

// sbomOfFunction makes a function's image, and says what it is made of.
func (g *globals) sbomOfFunction(ctx context.Context, o *sbomOptions, want wanted) error {
	p, fns, err := g.newPipeline(want)
	if err != nil {
		return err
	}
	defer p.Close()
	jobs, err := p.jobs(ctx, fns)
	if err != nil {
		return err
	}
	if err := p.open(g, 1); err != nil {
		return err
	}
	all, err := p.Inventory(ctx, jobs[0])
	p.Close()
	if err == nil {
		err = p.WriteLock()
	}
	if err != nil {
		return jobs[0].Failed(err)
	}
	return g.printSBOM(ctx, o, all, want.settings.Inputs.Platforms)
}

// printSBOM prints the document of one platform.
func (g *globals) printSBOM(ctx context.Context, o *sbomOptions, all []inventory.List, want schema.Platforms) error {
	var have []string
	all = slices.DeleteFunc(slices.Clone(all), func(i inventory.List) bool {
		have = append(have, i.Document.Subject.Platform)
		return len(want) > 0 && i.Document.Subject.Platform != want[0].String()
	})
	if len(all) != 1 {
		err := &registry.PlatformError{Reference: "the image", Have: have}
		if len(want) > 0 {
			err.Want = want[0]
		}
		return hint(err, "name the platform with: --platform "+have[0])
	}
	g.tellMore(all[0].Unread)
	return g.writeSBOM(ctx, o, &all[0].Document)
}

// writeSBOM writes a document, which names the SBOM of its base image if that is wanted.
func (g *globals) writeSBOM(ctx context.Context, o *sbomOptions, d *sbom.Document) error {
	if o.base {
		if err := g.nameBase(ctx, o, d); err != nil {
			return err
		}
	}
	data, err := d.Write(o.as)
	if err != nil {
		return err
	}
	return g.writeJSON(data)
}

// nameBase has a document name the SBOM of its base image. An image may say of any image that it is its base: its registry
// leads to none that is nearer than itself.
func (g *globals) nameBase(ctx context.Context, o *sbomOptions, d *sbom.Document) error {
	c, err := newRegistry(o.inputs.insecure)
	if o.from != nil {
		c, err = o.from.Outward()
	}
	if err != nil {
		return err
	}
	d.Base.SBOM, err = inventory.OfBase(ctx, c, d)
	switch {
	case err != nil:
		return err
	case d.Base.Digest == "":
		g.tellMore([]string{"nothing says which base image it has"})
	case d.Base.SBOM == "":
		g.tellMore([]string{"its base image " + d.Base.Reference + " has no SBOM of its own"})
	}
	return nil
}
