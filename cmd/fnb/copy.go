package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"fnb/images"
	"fnb/internal/plain"
	"fnb/registry"
	"fnb/schema"
)

// ociPrefix is before the folder of an OCI image layout.
const ociPrefix = "oci:"

func newCopy(g *globals) *cobra.Command {
	var insecure []string
	cmd := &cobra.Command{
		Use:   "copy SRC… DST",
		Short: "copy images between registries and folders, with all that is attached to them",
		Long: `Copy brings images from one place to another by their digests, with all platforms and with all that is attached to them: signatures, SBOMs, provenance. Nothing is built, and each digest stays what it is. For each image a line is printed: what it is called there, and its digest.

SRC is an image, a function of the stack file, or oci:DIR, which is all images of a folder. DST is the image's new name, or a prefix that ends in a slash, below which each image keeps the last part of its name and its tag. With oci:DIR the images go into a folder, an OCI image layout that shares what is equal in them. Carry it to where no network leads, and copy from there.

What is there already is not sent again, so that a copy that was broken off is made again and goes on. A tag is written last.`,
		Example: "  # promote what was tested\n  fnb copy registry.example.com/test/hello:1.2.0 registry.example.com/live/\n\n" +
			"  # a whole stack, into a place without a network\n  fnb copy hello orders oci:bundle\n  fnb copy oci:bundle registry.internal:5000/functions/",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 2 {
				return usagef(cmd.CommandPath(), "it takes what is copied, and where to: fnb copy SRC… DST")
			}
			return nil
		},
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if g.offline {
				return usagef("fnb copy", "--offline uses no network, and registries are beyond it")
			}
			return g.runCopy(cmd.Context(), args[:len(args)-1], args[len(args)-1], insecure)
		},
	}
	addInsecureFlag(cmd.Flags(), &insecure)
	return cmd
}

// A copying is one image that is copied.
type copying struct {
	ref   string
	store *images.Store // that it comes from; nil is its registry
}

func (g *globals) runCopy(ctx context.Context, sources []string, to string, insecure []string) error {
	c, err := newRegistry(insecure)
	if err != nil {
		return err
	}
	all, err := g.copied(sources)
	if err != nil {
		return err
	}
	var bundle *images.Store
	dir, isFolder, err := folderOf(to)
	if err != nil {
		return err
	}
	if isFolder {
		if bundle, err = images.Open(dir); err != nil {
			return err
		}
	}
	if len(all) > 1 && !isFolder && !strings.HasSuffix(to, "/") {
		return hint(usagef("fnb copy", "%s is the name of one image, and there are %d to copy", plain.Quoted(to), len(all)), "copy them below a prefix: "+plain.ShellWord(to+"/"))
	}
	if !isFolder {
		if err := distinct(all, to); err != nil {
			return err
		}
	}
	var out []copied
	for _, one := range all {
		done, err := g.copyOne(ctx, c, one, to, bundle)
		if err != nil {
			if one.store != nil {
				err = damaged(err)
			}
			if !is[*schema.ImageError](err) { // which has it already, without a password
				err = fmt.Errorf("copying %s: %w", one.ref, err)
			}
			return errors.Join(err, g.printCopied(out))
		}
		if out = append(out, done); !g.json {
			fmt.Fprintln(g.out, plain.Line(done.Reference), done.Digest)
		}
	}
	return g.printCopied(out)
}

// A copied image is one line of what was done.
type copied struct {
	Reference string `json:"reference"`
	Digest    string `json:"digest"`
	Sent      int64  `json:"sent_bytes"`
	Attached  int    `json:"attached"` // things that were attached, and were not there
}

func (g *globals) printCopied(out []copied) error {
	if !g.json {
		return nil
	}
	if out == nil {
		out = []copied{}
	}
	return g.printIndented(out)
}

func (g *globals) copyOne(ctx context.Context, c *registry.Client, one copying, to string, bundle *images.Store) (copied, error) {
	if bundle != nil && one.store != nil {
		return copied{}, usagef("fnb copy", "from folder to folder copy the folder: cp -r")
	}
	if bundle != nil {
		desc, err := c.PullAttached(ctx, one.ref, bundle)
		return copied{Reference: one.ref, Digest: desc.Digest.String()}, err
	}
	target, err := below(one.ref, to)
	if err != nil {
		return copied{}, err
	}
	var p *registry.Pushed
	if one.store != nil {
		p, err = c.Push(ctx, one.store, one.ref, target)
	} else {
		p, err = c.Copy(ctx, one.ref, target)
	}
	if err == nil {
		err = p.Refused
	}
	if err != nil {
		return copied{}, err
	}
	return copied{Reference: target, Digest: p.Digest, Sent: p.Sent, Attached: p.Attached}, nil
}
