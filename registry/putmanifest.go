package registry

import (
	"context"

	"github.com/google/go-containerregistry/pkg/v1/types"
)

// PutManifest makes each of refs name a manifest or an index, of which the registry has all that it names
// in the same repository already.
func (c *Client) PutManifest(ctx context.Context, mediaType types.MediaType, raw []byte, refs ...string) error {
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
