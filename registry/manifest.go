package registry

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"fnb/images"
)

// Manifest reads the manifest or the index that ref names. A digest in ref decides, whatever its tag
// names, and what is read is what it says.
func (c *Client) Manifest(ctx context.Context, ref string) (v1.Descriptor, []byte, error) {
	r, err := c.parse(ref)
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	ctx, _ = withBudget(asking(ctx, r))
	s := &session{client: c, ref: r, docker: true}
	got, err := s.do(ctx, http.MethodGet, "manifests/"+cmp.Or(r.Digest, r.Tag), nil, http.StatusOK)
	if err != nil {
		return v1.Descriptor{}, nil, c.explain(ctx, err, r)
	}
	sum, size, err := v1.SHA256(bytes.NewReader(got.raw))
	if err == nil && r.Digest != "" && sum.String() != r.Digest {
		err = fmt.Errorf("%s: the registry sends %s", r, sum)
	}
	if err != nil {
		return v1.Descriptor{}, nil, err
	}
	kind, _, _ := strings.Cut(got.Header.Get("Content-Type"), ";")
	var said struct {
		MediaType types.MediaType `json:"mediaType"`
	}
	if err := json.Unmarshal(got.raw, &said); err != nil {
		return v1.Descriptor{}, nil, fmt.Errorf("%s: reading its manifest: %w", r, err)
	}
	d := v1.Descriptor{MediaType: cmp.Or(said.MediaType, types.MediaType(kind)), Digest: sum, Size: size}
	if !d.MediaType.IsIndex() && !d.MediaType.IsImage() {
		return d, nil, fmt.Errorf("%s: it is %q and not an image", r, d.MediaType)
	}
	return d, got.raw, nil
}

// Blob reads a small blob of ref's repository, such as a configuration.
func (c *Client) Blob(ctx context.Context, ref string, d v1.Descriptor) ([]byte, error) {
	r, err := c.parse(ref)
	if err != nil {
		return nil, err
	}
	if d.Size > images.MaxManifest {
		return nil, fmt.Errorf("%s: the blob %s has %d bytes, more than the %d allowed here", r.repo, d.Digest, d.Size, images.MaxManifest)
	}
	ctx, _ = withBudget(asking(ctx, r))
	s := &session{client: c, ref: r}
	got, err := s.do(ctx, http.MethodGet, "blobs/"+d.Digest.String(), nil, http.StatusOK)
	if err != nil {
		return nil, c.explain(ctx, err, r)
	}
	if sum, _, err := v1.SHA256(bytes.NewReader(got.raw)); err != nil || sum != d.Digest {
		return nil, errors.Join(fmt.Errorf("%s: the registry sends %s for the blob %s", r.repo, sum, d.Digest), err)
	}
	return got.raw, nil
}

// Untag removes a tag, and leaves what it named. Few registries do that: one that does not is a [*PolicyError].
func (c *Client) Untag(ctx context.Context, ref string) error {
	r, err := c.parse(ref)
	if err != nil {
		return err
	}
	ctx, _ = withBudget(asking(ctx, r))
	s := &session{client: c, ref: r}
	_, err = s.do(ctx, http.MethodDelete, "manifests/"+r.Tag, nil, http.StatusAccepted, http.StatusOK, http.StatusNoContent, http.StatusNotFound)
	return c.explain(ctx, err, r)
}

// maxRepositories is how many repositories of a registry are listed.
const maxRepositories = 50_000

// Repositories lists the repositories of a registry by their full names, as far as it tells them. Most that
// many people share do not.
func (c *Client) Repositories(ctx context.Context, host string) ([]string, error) {
	r, err := c.parse(host + "/x")
	if err != nil {
		return nil, err
	}
	ctx, _ = withBudget(ctx)
	_, puller := c.remotes()
	lister, err := puller.Catalogger(ctx, r.repo.Registry)
	if err != nil {
		return nil, c.explain(ctx, err, r)
	}
	var out []string
	for lister.HasNext() && len(out) < maxRepositories {
		page, err := lister.Next(ctx)
		if err != nil {
			return nil, c.explain(ctx, err, r)
		}
		for _, repository := range page.Repos {
			if _, err := name.NewRepository(host + "/" + repository); err == nil {
				out = append(out, host+"/"+repository)
			}
		}
	}
	return out, nil
}
