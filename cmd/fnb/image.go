package main

import (
	"github.com/spf13/cobra"

	"fnb/images"
)

func newImage(g *globals) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:     "image",
		Short:   "list, show and remove the images of the image store",
		Long:    "Image looks after the image store: the images that fnb build made without --push and that fnb push sends. Images share what is equal in them.",
		Example: "  fnb image list\n  fnb image prune",
	})
	cmd.AddCommand(newImageList(g), newImageShow(g), newImageRemove(g), newImagePrune(g))
	return cmd
}

// openImages opens the image store for the work on a stack file; "" for none.
func openImages(stack string) (*images.Store, error) {
	dir, err := imagesDir()
	if err != nil {
		return nil, err
	}
	s, err := images.Open(dir)
	if err != nil {
		return nil, err
	}
	return s.For(stack), nil
}

// completeImages lists the references of the image store for the shell.
func completeImages(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var refs offers
	if s, err := openImages(""); err == nil {
		all, _ := s.List() // what cannot be read cannot be completed
		for _, e := range all {
			refs.add(e.Reference, "")
		}
	}
	return refs, cobra.ShellCompDirectiveNoFileComp
}

// orList leads from an image that is not in the image store to those that are.
func orList(err error) error {
	if is[*images.NotFoundError](err) {
		return hint(err, "see which images there are with: fnb image list")
	}
	return err
}
