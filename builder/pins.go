package builder

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/distribution/reference"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	spb "github.com/moby/buildkit/sourcepolicy/pb"
	"golang.org/x/sync/errgroup"
)

// FullReference returns an image reference as a lock has it: with its registry
// and its tag, docker.io/library/golang:1.26 for golang:1.26.
func FullReference(ref string) (string, error) {
	named, err := reference.ParseDockerRef(ref)
	if err != nil {
		return "", fmt.Errorf("image %q: %w", ref, err)
	}
	return named.String(), nil
}

// Digests asks the builder which digests images have now, as it sees them:
// through its own mirrors. References are full ones. One that the builder
// cannot resolve is missing in the result.
func (c *Client) Digests(ctx context.Context, req Request, refs []string) (map[string]string, error) {
	var opt client.SolveOpt
	if err := attach(&opt, &req, refs...); err != nil {
		return nil, err
	}
	opt.Internal = true
	if len(req.Platforms) == 0 {
		p, err := c.DefaultPlatform(ctx)
		if err != nil {
			return nil, err
		}
		req.Platforms = append(slices.Clip(req.Platforms), p)
	}
	platform := ociPlatform(req.Platforms[0])
	mode := pb.AttrImageResolveModeDefault
	if req.Pull {
		mode = pb.AttrImageResolveModeForcePull
	}
	var mu sync.Mutex
	out := map[string]string{}
	ctx, attended := c.attend(ctx)
	defer attended()
	_, err := c.c.Build(ctx, opt, "fnb", func(ctx context.Context, g gw.Client) (*gw.Result, error) {
		var eg errgroup.Group
		for _, ref := range refs {
			eg.Go(func() error {
				_, digest, _, err := g.ResolveImageConfig(ctx, ref, sourceresolver.Opt{
					LogName:  "[internal] load metadata for " + ref,
					ImageOpt: &sourceresolver.ResolveImageOpt{Platform: &platform, ResolveMode: mode},
				})
				if err == nil {
					mu.Lock()
					out[ref] = digest.String()
					mu.Unlock()
				}
				return ctx.Err()
			})
		}
		return gw.NewResult(), eg.Wait()
	}, nil)
	if err := c.stopped(ctx); err != nil {
		return nil, err
	}
	if err != nil {
		return nil, c.explain(err, newWatch(&req), false)
	}
	return out, nil
}

// policy has the builder take images by the digests of the lock, so that a
// Dockerfile keeps its readable tags.
func policy(bases map[string]string) *spb.Policy {
	if len(bases) == 0 {
		return nil
	}
	p := &spb.Policy{Version: 1}
	for _, ref := range sortedKeys(bases) {
		from := "docker-image://" + ref
		p.Rules = append(p.Rules, &spb.Rule{
			Action:   spb.PolicyAction_CONVERT,
			Selector: &spb.Selector{Identifier: from, MatchType: spb.MatchType_EXACT},
			Updates:  &spb.Update{Identifier: from + "@" + bases[ref]},
		})
	}
	return p
}
