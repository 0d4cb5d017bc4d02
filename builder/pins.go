package builder

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	spb "github.com/moby/buildkit/sourcepolicy/pb"
	"golang.org/x/sync/errgroup"
)

// Digests asks the builder which digests images have now, as it sees them:
// through its own mirrors. What a registry has counts, not what a Docker Engine keeps itself:
// a lock with that would be good on one machine. References are full ones. Why one has none is in failed, a
// [*SolveError] in the words of a solve that needs it.
func (c *Client) Digests(ctx context.Context, req Request, refs []string) (digests map[string]string, failed map[string]error, err error) {
	var opt client.SolveOpt
	if err := attach(&opt, &req, refs...); err != nil {
		return nil, nil, err
	}
	opt.Internal = true
	if len(req.Platforms) == 0 {
		p, err := c.DefaultPlatform(ctx)
		if err != nil {
			return nil, nil, err
		}
		req.Platforms = append(slices.Clip(req.Platforms), p)
	}
	platform := ociPlatform(req.Platforms[0])
	var mu sync.Mutex
	digests, failed = map[string]string{}, map[string]error{}
	w := newWatch(&req)
	ctx, attended := c.watchSilence(ctx)
	defer attended()
	_, err = c.c.Build(ctx, opt, "fnb", func(ctx context.Context, g gw.Client) (*gw.Result, error) {
		var eg errgroup.Group
		for _, ref := range refs {
			eg.Go(func() error {
				// ResolveImageConfig loses the mode on its way to a builder of today.
				meta, err := g.ResolveSourceMetadata(ctx, &pb.SourceOp{Identifier: "docker-image://" + ref}, sourceresolver.Opt{
					LogName:  "[internal] load metadata for " + ref,
					ImageOpt: &sourceresolver.ResolveImageOpt{Platform: &platform, ResolveMode: pb.AttrImageResolveModeForcePull},
				})
				mu.Lock()
				defer mu.Unlock()
				if err == nil && meta.Image == nil {
					err = errors.New("it is not an image")
				}
				if err == nil {
					digests[ref] = meta.Image.Digest.String()
					req.Gate.dated(ref, meta.Image.Config)
				} else {
					failed[ref] = w.unresolved(ref, err)
				}
				return ctx.Err()
			})
		}
		return gw.NewResult(), eg.Wait()
	}, nil)
	if err := c.stopped(ctx); err != nil {
		return nil, nil, err
	}
	if err != nil {
		return nil, nil, c.explain(err, w, false)
	}
	return digests, failed, nil
}

// unresolved is why an image has no digest.
func (w *watch) unresolved(ref string, err error) *SolveError {
	why := w.redact.clean(problem(err))
	if !strings.HasPrefix(why, "pulling ") {
		why = "pulling " + ref + ": " + strings.TrimPrefix(why, ref+": ")
	}
	return &SolveError{Problem: why, Denied: denied(why), Unreached: unreached(why), Err: w.redact.err(err)}
}

// policy has the builder take images by the digests of the lock, so that a
// Dockerfile keeps its readable tags.
func policy(bases map[string]string) *spb.Policy {
	if len(bases) == 0 {
		return nil
	}
	p := &spb.Policy{Version: 1}
	for _, ref := range slices.Sorted(maps.Keys(bases)) {
		from := "docker-image://" + ref
		p.Rules = append(p.Rules, &spb.Rule{
			Action:   spb.PolicyAction_CONVERT,
			Selector: &spb.Selector{Identifier: from, MatchType: spb.MatchType_EXACT},
			Updates:  &spb.Update{Identifier: from + "@" + bases[ref]},
		})
	}
	return p
}
