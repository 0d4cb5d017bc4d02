package main

import (
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"fnb/schema"
	"fnb/templates"
)

func newTemplateInit(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "init NAME [DIR]",
		Short:   "start a template",
		Long:    "Init writes a small template that works, with its four parts, to DIR, or to template/NAME beside the stack file: a Dockerfile, an entrypoint, a handler and a package list. DIR must be new or empty.",
		Example: "  # start a template, check it, use it\n  fnb template init shout\n  fnb template lint template/shout\n  fnb new hello --lang shout",
		Args:    between(1, 2),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := schema.ValidateName(args[0]); err != nil {
				return usagef("fnb template init", "%w", err)
			}
			dir := ""
			if len(args) > 1 {
				dir = filepath.Clean(args[1])
			}
			return g.initTemplate(args[0], dir)
		},
	}
}

func (g *globals) initTemplate(name, dir string) error {
	if dir == "" {
		where, err := g.where()
		if err != nil {
			return err
		}
		dir = filepath.Join(where.Root, "template", name)
	}
	files, err := templates.Start(name, dir)
	if err != nil {
		return elsewhere(err)
	}
	t, err := templates.OpenDir(dir)
	if err != nil {
		return err
	}
	return g.printWritten(name, dir, files, schema.Pin{Store: "./" + filepath.ToSlash(relative(dir)), Version: t.Manifest.Version, Checksum: t.Checksum})
}

// resolving says which template an error is about; not with a reference that makes no
// sense, which may have a secret in it.
func resolving(ref string, err error) error {
	if _, malformed := schema.ParseTemplateRef(ref); malformed != nil {
		return err
	}
	return ofTemplate(fmt.Errorf("resolving template %s: %w", ref, err))
}
