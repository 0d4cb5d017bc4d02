package registry

import (
	"context"
)

// maxTags is how many tags of a repository are read: official images have thousands.
const maxTags = 50_000

// Tags returns the tags in the repository of a reference, in the registry's order.
func (c *Client) Tags(ctx context.Context, ref string) ([]string, error) {
	r, err := c.parse(ref)
	if err != nil {
		return nil, err
	}
	ctx, _ = withBudget(asking(ctx, r))
	_, puller := c.remotes()
	lister, err := puller.Lister(ctx, r.repo)
	if err != nil {
		return nil, c.explain(ctx, err, r)
	}
	var tags []string
	for lister.HasNext() && len(tags) < maxTags {
		page, err := lister.Next(ctx)
		if err != nil {
			return nil, c.explain(ctx, err, r)
		}
		tags = append(tags, page.Tags...)
	}
	return tags, nil
}
