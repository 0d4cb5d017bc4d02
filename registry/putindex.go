package registry

import (
	"context"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// PutIndex makes each of refs name an index, whose manifests the registry has
// already in the same repository.
func (c *Client) PutIndex(ctx context.Context, mediaType types.MediaType, raw []byte, refs ...string) error {
	for _, ref := range refs {
		r, err := c.parse(ref)
		if err != nil {
			return err
		}
		pctx, _ := withBudget(asking(ctx, r))
		pusher, _ := c.remotes()
		if err := pusher.Put(pctx, r.name(), &rawManifest{raw: raw, mediaType: mediaType}); err != nil {
			return c.explain(pctx, err, r)
		}
	}
	return nil
}
