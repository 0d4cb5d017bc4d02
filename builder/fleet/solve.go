package fleet

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"fnb/builder"
	"fnb/builder/buildcache"
	"fnb/schema"
)

// maxMoves is how many builders one function may lose: a function that takes
// its builders down must not take down all.
const maxMoves = 3

// score ranks a builder for a key: rendezvous hashing, by which a builder that
// comes or goes moves nothing but its own share.
func score(address, key string) uint64 {
	sum := sha256.Sum256([]byte(address + "\x00" + key))
	return binary.BigEndian.Uint64(sum[:])
}

// Solve has the fleet make the image of req. Its errors are those of
// [builder.Client.Solve], and a [*NoneLeftError] where no builder is left.
//
// Platforms that no single builder has natively are solved where they are native,
// each by itself, and the index of the image is made here. It is in the image
// store then; with Output.Push it is [builder.Result.Index], which the caller has to push.
// Any other output cannot be put together of parts, and is an error.
func (f *Fleet) Solve(ctx context.Context, req builder.Request) (*builder.Result, error) {
	if err := req.Check(); err != nil {
		return nil, err
	}
	if err := f.open(ctx); err != nil {
		return nil, err
	}
	req.Platforms = builder.UniquePlatforms(req.Platforms)
	if len(req.Platforms) == 0 {
		p, err := f.defaultPlatform()
		if err != nil {
			return nil, err
		}
		req.Platforms = []schema.Platform{p}
	}
	d := &dispatch{fleet: f, key: affinity(req)}
	members, err := f.usable(ctx)
	if err != nil {
		return nil, err
	}
	if len(groups(members, req.Platforms)) > 1 {
		return d.apart(ctx, req)
	}
	return d.together(ctx, req)
}

func affinity(req builder.Request) string {
	return cmp.Or(req.Affinity, req.Name)
}

// A dispatch is one request on its way through the fleet.
type dispatch struct {
	fleet *Fleet
	key   string
	moves int
	notes []builder.Warning
}

// together has one builder solve a request, and the next when it is lost.
func (d *dispatch) together(ctx context.Context, req builder.Request) (*builder.Result, error) {
	for {
		members, err := d.fleet.usable(ctx)
		if err != nil {
			return nil, err
		}
		c := groups(members, req.Platforms)
		if len(c) > 1 { // who could do all of it is gone
			return d.apart(ctx, req)
		}
		n, err := d.fleet.take(c[0], d.key)
		if errors.Is(err, errNobody) {
			continue
		}
		if err != nil {
			return nil, err
		}
		res, why, err := d.attempt(ctx, n, func(ctx context.Context) (*builder.Result, error) { return n.client.Solve(ctx, req) })
		if why == nil {
			if res != nil {
				res.Warnings = slices.Concat(d.notes, res.Warnings)
				res.Builders = []string{n.client.Address()}
			}
			return res, err
		}
		if err := d.move(n, why); err != nil {
			return nil, err
		}
	}
}

// attempt has a builder do something. why is not nil where it was lost.
func (d *dispatch) attempt(ctx context.Context, n *member, do func(context.Context) (*builder.Result, error)) (res *builder.Result, why, err error) {
	defer d.fleet.put(n)
	if err := d.fleet.check(ctx, n); err != nil {
		if ctx.Err() != nil { // who does not want it any more says nothing of the builder
			return nil, nil, ctx.Err()
		}
		return nil, err, err
	}
	nctx, done := n.within(ctx)
	defer done()
	res, err = do(nctx)
	if err == nil {
		return res, nil, nil
	}
	if ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	return nil, d.fleet.lostTo(ctx, n, err), err
}

// move retires a builder, and says whether the work may go to another one.
func (d *dispatch) move(n *member, why error) error {
	d.fleet.retire(n, why)
	d.notes = append(d.notes, builder.Warning{Text: "solved again on another builder: " + why.Error()})
	if d.moves++; d.moves > maxMoves {
		return fmt.Errorf("%d builders went away in the middle of this function: %w", d.moves, why)
	}
	return nil
}

// apart has each platform solved where it is native, and makes the index.
func (d *dispatch) apart(ctx context.Context, req builder.Request) (*builder.Result, error) {
	if req.Output.Store == "" && len(req.Output.Push) == 0 && (req.Output.OCI != nil || req.Output.Docker != nil || req.Output.Local != "" || req.Output.Tar != nil) {
		return nil, &ApartError{Platforms: req.Platforms}
	}
	parts := make([]*builder.Result, len(req.Platforms))
	dispatches := make([]*dispatch, len(req.Platforms))
	eg, egctx := errgroup.WithContext(ctx)
	for i, p := range req.Platforms {
		part := req
		part.Platforms = []schema.Platform{p}
		part.Output.ByDigest = true
		if i > 0 { // the first part's caches are called as the image's would be
			part.CacheFrom, part.CacheTo = append(cachesOf(req.CacheFrom, p), req.CacheFrom...), cachesOf(req.CacheTo, p)
		}
		dispatches[i] = &dispatch{fleet: d.fleet, key: d.key}
		eg.Go(func() (err error) {
			parts[i], err = dispatches[i].together(egctx, part)
			return err
		})
	}
	if err := eg.Wait(); err != nil {
		return nil, err
	}
	return d.join(ctx, req, parts)
}

// An ApartError says that an image whose platforms are solved on several
// builders cannot be delivered in the way that was asked for.
type ApartError struct{ Platforms []schema.Platform }

func (e *ApartError) Error() string {
	return fmt.Sprintf("its %d platforms are solved on several builders; such an image can be pushed or kept in the image store, and not written to a file, a folder or an engine", len(e.Platforms))
}

// cachesOf gives a platform caches of its own: parts that several builders make would
// write over one another. A reference with a digest is of no part.
func cachesOf(caches []buildcache.Cache, p schema.Platform) []buildcache.Cache {
	var out []buildcache.Cache
	for _, c := range caches {
		if part, ok := c.Part(platformTag(p)); ok {
			out = append(out, part)
		}
	}
	return out
}

// Digests is [builder.Client.Digests], of any builder of the fleet.
func (f *Fleet) Digests(ctx context.Context, req builder.Request, refs []string) (digests map[string]string, failed map[string]error, err error) {
	if err := f.open(ctx); err != nil {
		return nil, nil, err
	}
	d := &dispatch{fleet: f, key: affinity(req)}
	for {
		members, err := f.usable(ctx)
		if err != nil {
			return nil, nil, err
		}
		n, err := f.take(group{members: members}, d.key)
		if errors.Is(err, errNobody) {
			continue
		}
		if err != nil {
			return nil, nil, err
		}
		if len(req.Platforms) == 0 {
			req.Platforms = []schema.Platform{n.client.Native()}
		}
		_, why, err := d.attempt(ctx, n, func(ctx context.Context) (_ *builder.Result, err error) {
			digests, failed, err = n.client.Digests(ctx, req, refs)
			return nil, err
		})
		if why == nil {
			return digests, failed, err
		}
		if err := d.move(n, why); err != nil {
			return nil, nil, err
		}
	}
}
