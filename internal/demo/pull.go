package main

import (
	"context"
	"fmt"
	"os"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"fnb/internal/servers"
)

// pullInto asks a registry for an image by its digest and unpacks it into root, which is named by that digest: one
// that is there is whole, for it gets its name when all of it is unpacked. Beside it in roots are those of
// earlier images, which nobody needs.
func pullInto(ctx context.Context, ref, roots, root string) (v1.Image, error) {
	parsed, err := name.ParseReference(ref)
	if err != nil {
		return nil, err
	}
	img, err := remote.Image(parsed, remote.WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("pulling %s: %w", ref, err)
	}
	if _, err := os.Stat(root); err == nil {
		return img, nil
	}
	if err := os.RemoveAll(roots); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(roots, 0o700); err != nil {
		return nil, err
	}
	if err := servers.Unpack(ctx, img, root+".part"); err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", ref, err)
	}
	return img, os.Rename(root+".part", root)
}
