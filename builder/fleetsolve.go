package builder

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/distribution/reference"
	"golang.org/x/sync/errgroup"

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
// [Client.Solve], and a [*FleetError] where no builder is left.
//
// Platforms that no single builder has natively are solved where they are native,
// each by itself, and the index of the image is made here. It is in the image
// store then; with Output.Push it is [Result.Index], which the caller has to push.
// Any other output cannot be put together of parts, and is an error.
func (f *Fleet) Solve(ctx context.Context, req Request) (*Result, error) {
	if err := req.check(); err != nil {
		return nil, err
	}
	if err := f.open(ctx); err != nil {
		return nil, err
	}
	req.Platforms = unique(req.Platforms)
	if len(req.Platforms) == 0 {
		p, err := f.defaultPlatform()
		if err != nil {
			return nil, err
		}
		req.Platforms = []schema.Platform{p}
	}
	t := &trip{fleet: f, key: req.affinity()}
	nodes, err := f.healthy()
	if err != nil {
		return nil, err
	}
	if len(crews(nodes, req.Platforms)) > 1 {
		return t.apart(ctx, req)
	}
	return t.together(ctx, req)
}

func (r *Request) affinity() string {
	if r.Affinity == "" {
		return r.Name
	}
	return r.Affinity
}

// A trip is one request on its way through the fleet.
type trip struct {
	fleet *Fleet
	key   string
	moves int
	notes []string
}

// together has one builder solve a request, and the next when it is lost.
func (t *trip) together(ctx context.Context, req Request) (*Result, error) {
	for {
		nodes, err := t.fleet.healthy()
		if err != nil {
			return nil, err
		}
		c := crews(nodes, req.Platforms)
		if len(c) > 1 { // who could do all of it is gone
			return t.apart(ctx, req)
		}
		n, err := t.fleet.take(c[0], t.key)
		if errors.Is(err, errNobody) {
			continue
		}
		if err != nil {
			return nil, err
		}
		res, why, err := t.attempt(ctx, n, func(ctx context.Context) (*Result, error) { return n.client.Solve(ctx, req) })
		if why == nil {
			if res != nil {
				res.Warnings = slices.Concat(t.notes, res.Warnings)
				res.Builders = []string{n.client.address}
			}
			return res, err
		}
		if err := t.move(n, why); err != nil {
			return nil, err
		}
	}
}

// attempt has a builder do something. why is not nil where it was lost.
func (t *trip) attempt(ctx context.Context, n *node, do func(context.Context) (*Result, error)) (res *Result, why, err error) {
	defer t.fleet.put(n)
	if err := t.fleet.check(ctx, n); err != nil {
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
	return nil, t.fleet.lostTo(ctx, n, err), err
}

// move retires a builder, and says whether the work may go to another one.
func (t *trip) move(n *node, why error) error {
	t.fleet.retire(n, why)
	t.notes = append(t.notes, "solved again on another builder: "+why.Error())
	if t.moves++; t.moves > maxMoves {
		return fmt.Errorf("%d builders went away in the middle of this function: %w", t.moves, why)
	}
	return nil
}

// apart has each platform solved where it is native, and makes the index.
func (t *trip) apart(ctx context.Context, req Request) (*Result, error) {
	if req.Output.Store == "" && len(req.Output.Push) == 0 && (req.Output.OCI != nil || req.Output.Docker != nil || req.Output.Local != "") {
		return nil, &ApartError{Platforms: req.Platforms}
	}
	parts := make([]*Result, len(req.Platforms))
	trips := make([]*trip, len(req.Platforms))
	eg, egctx := errgroup.WithContext(ctx)
	for i, p := range req.Platforms {
		part := req
		part.Platforms = []schema.Platform{p}
		part.Output.byDigest = true
		if i > 0 { // the first part's caches are called as the image's would be
			part.CacheFrom, part.CacheTo = append(cachesOf(req.CacheFrom, p), req.CacheFrom...), cachesOf(req.CacheTo, p)
		}
		trips[i] = &trip{fleet: t.fleet, key: t.key}
		eg.Go(func() (err error) {
			parts[i], err = trips[i].together(egctx, part)
			return err
		})
	}
	if err := eg.Wait(); err != nil {
		return nil, err
	}
	return t.join(ctx, req, parts)
}

// An ApartError says that an image whose platforms are solved on several
// builders cannot be delivered in the way that was asked for.
type ApartError struct{ Platforms []schema.Platform }

func (e *ApartError) Error() string {
	return fmt.Sprintf("its %d platforms are solved on several builders; such an image can be pushed or kept in the image store, and not written to a file, a folder or an engine", len(e.Platforms))
}

// cachesOf gives a platform caches of its own: parts that several builders make would
// write over one another. A reference with a digest is of no part.
func cachesOf(caches []Cache, p schema.Platform) []Cache {
	var out []Cache
	for _, c := range caches {
		if strings.Contains(c.Attrs["ref"], "@") {
			continue
		}
		attrs := maps.Clone(c.Attrs)
		for _, key := range []string{"ref", "src", "dest", "scope", "name"} {
			if attrs[key] != "" {
				attrs[key] = placeOf(key, attrs[key], "-"+platformTag(p))
			}
		}
		out = append(out, Cache{Type: c.Type, Attrs: attrs})
	}
	return out
}

// placeOf puts a suffix behind where a cache is: behind the tag of a reference, and
// behind each of several names.
func placeOf(key, value, suffix string) string {
	switch key {
	case "ref":
		named, err := reference.ParseNormalizedNamed(value)
		if err != nil {
			return value // the solve says what is wrong with it
		}
		return reference.TagNameOnly(named).String() + suffix
	case "src", "dest":
		return filepath.Clean(value) + suffix
	}
	return strings.ReplaceAll(value, ";", suffix+";") + suffix
}

// Digests is [Client.Digests], of any builder of the fleet.
func (f *Fleet) Digests(ctx context.Context, req Request, refs []string) (map[string]string, error) {
	if err := f.open(ctx); err != nil {
		return nil, err
	}
	t := &trip{fleet: f, key: req.affinity()}
	for {
		nodes, err := f.healthy()
		if err != nil {
			return nil, err
		}
		n, err := f.take(crew{nodes: nodes}, t.key)
		if errors.Is(err, errNobody) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if len(req.Platforms) == 0 {
			req.Platforms = []schema.Platform{{OS: n.client.native.OS, Architecture: n.client.native.Architecture, Variant: n.client.native.Variant}}
		}
		var found map[string]string
		_, why, err := t.attempt(ctx, n, func(ctx context.Context) (_ *Result, err error) {
			found, err = n.client.Digests(ctx, req, refs)
			return nil, err
		})
		if why == nil {
			return found, err
		}
		if err := t.move(n, why); err != nil {
			return nil, err
		}
	}
}

// repository is what an image is pushed to by its digest.
func repository(ref string) (string, error) {
	named, err := reference.ParseNormalizedNamed(ref)
	if err != nil {
		return "", fmt.Errorf("image %q: %w", ref, err)
	}
	return reference.TrimNamed(named).Name(), nil
}
