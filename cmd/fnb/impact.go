package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/pipeline/contents"
	"fnb/rebase"
	"fnb/rebase/impact"
)

func newImpact(g *globals) *cobra.Command {
	o := &imageChoice{}
	cmd := &cobra.Command{
		Use:   "impact WHAT [FUNCTION…|REF…]",
		Short: "find which images have a base image, a package, a template or a watchdog",
		Long: `Impact looks at images in registries and says which of them have WHAT, and on which platforms. It says what can be done: rebase them without a build, build them again, or nothing yet. It changes nothing.

WHAT is base=REF, which may be a pattern; package=NAME, or with a version package='openssl<3.0.15'; template=NAME or template='NAME<VERSION'; or watchdog=default, which is fnb's of another version than this one.

Packages are read from the SBOMs that are attached to the images. Of an image without one the layers are read. A package of a distribution may be named by its source package too. If an image cannot be read, the others are listed, and the exit code is not 0.`,
		Example: "  # who has the base image, and who the package, of the stack file's functions?\n  fnb impact base=python:3.13-slim-bookworm\n  fnb impact package='openssl<3.0.15'\n\n" +
			"  # of all images of a registry\n  fnb impact package='requests<2.32' --registry registry.example.com/team",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(cmd.CommandPath(), "it takes what to look for: fnb impact base=REF, package=NAME, template=NAME or watchdog=default")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			q, err := impact.ParseQuery(args[0])
			if err != nil {
				return usagef(cmd.CommandPath(), "%s: %w", plain.Quoted(args[0]), err)
			}
			if g.offline {
				return usagef(cmd.CommandPath(), "--offline uses no network, and the images are in registries")
			}
			return g.runImpact(cmd.Context(), o, q, args[1:])
		},
	}
	o.addFlags(cmd.Flags())
	return cmd
}

func (g *globals) runImpact(ctx context.Context, o *imageChoice, q impact.Query, args []string) error {
	c, err := newRegistry(o.insecure)
	if err != nil {
		return err
	}
	cfg, err := g.config()
	if err != nil {
		return err
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	subjects, err := g.subjects(ctx, "fnb impact", c, o, args)
	if err != nil {
		return err
	}
	f := &impact.Finder{
		Registry: c, Places: placesOf(cfg), Version: fnbVersion(),
		Contents: &contents.Finder{Registry: c, Cache: filepath.Join(cache, "images"), Version: fnbVersion()},
	}
	if f.Watchdogs, err = rebase.OwnWatchdogs(); err != nil {
		return err
	}
	hits, unread, err := f.Find(ctx, q, subjects)
	if err != nil {
		return err
	}
	if err := g.printHits(hits, len(subjects)); err != nil {
		return err
	}
	return errors.Join(unread...)
}

func (g *globals) printHits(hits []impact.Hit, of int) error {
	if g.json {
		if hits == nil {
			hits = []impact.Hit{}
		}
		return g.printIndented(hits)
	}
	tw := tabwriter.NewWriter(g.out, 0, 8, 2, ' ', 0)
	if len(hits) > 0 {
		fmt.Fprintln(tw, "ACTION\tIMAGE\tPLATFORMS\tHAS\tWHY")
	}
	for _, h := range hits {
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\n", h.Action, plain.Line(h.Image), strings.Join(h.Platforms, ","), plain.Line(h.Has), plain.Line(h.Why))
	}
	have := "have"
	if len(hits) == 1 {
		have = "has"
	}
	g.tellMore([]string{fmt.Sprintf("%d of %s %s it", len(hits), plain.Count(of, "image", "images"), have)})
	return tw.Flush()
}
