package registry

import (
	"context"
	"net/http"
	"net/url"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// Bring sees to it that ref's repository has blobs of another one: of the same registry they are taken over, and from
// elsewhere each is sent to a registry once by a client.
func (c *Client) Bring(ctx context.Context, ref, from string, blobs []v1.Descriptor) (Pushed, error) {
	to, err := c.parse(ref)
	if err != nil {
		return Pushed{}, err
	}
	source, err := c.parse(from)
	if err != nil {
		return Pushed{}, err
	}
	ctx = asking(ctx, to)
	p := &push{client: c, from: &elsewhere{client: c, ref: source}}
	sibling := p.from.sibling(ctx, to.repo)
	for _, d := range blobs {
		if err := p.take(ctx, to, d, sibling(d.Digest)); err != nil {
			return p.result, c.explain(ctx, err, to)
		}
	}
	return p.result, nil
}

// take is blob for one that another repository of the registry has for certain, or that was sent there
// before: one request has it taken over.
func (p *push) take(ctx context.Context, r reference, d v1.Descriptor, there name.Repository) error {
	if at, ok := p.client.places.find(place{registry: r.repo.RegistryStr(), digest: d.Digest.String()}); ok {
		there = at
	}
	if there == (name.Repository{}) || there == r.repo {
		return p.blob(ctx, r, d, name.Repository{})
	}
	mctx, _ := withBudget(ctx)
	s := &session{client: p.client, ref: r, from: there.RepositoryStr()}
	got, err := s.do(mctx, http.MethodPost, "blobs/uploads/?mount="+url.QueryEscape(d.Digest.String())+"&from="+url.QueryEscape(s.from), nil, http.StatusCreated, http.StatusAccepted)
	if err != nil {
		return err
	}
	if got.StatusCode == http.StatusCreated {
		p.count(d, fateMounted)
		return nil
	}
	if upload, err := got.Location(); err == nil { // begun, where nothing was taken over
		if client, err := p.client.speaker(ctx, r, s.from); err == nil {
			giveUp(ctx, client, upload.String())
		}
	}
	return p.blob(ctx, r, d, name.Repository{})
}

// PutBlob brings a small blob to ref's repository.
func (c *Client) PutBlob(ctx context.Context, ref string, raw []byte) error {
	r, err := c.parse(ref)
	if err != nil {
		return err
	}
	ctx, budget := withBudget(asking(ctx, r))
	s := &session{client: c, ref: r}
	for {
		err := s.blob(ctx, raw)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil || !worthAnew(err) || !budget.wait(ctx, 0, maxAttempts) {
			return c.explain(ctx, err, r)
		}
	}
}
