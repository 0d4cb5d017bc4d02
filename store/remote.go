package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"fnb/internal/plain"
	"fnb/origin"
)

// A remote is one repository that is being asked.
type remote struct {
	store *Store
	url   string
	push  bool // to write to it

	way   *way // where it is asked for
	wire  wire
	adv   *packp.AdvRefs
	local storer.EncodedObjectStorer // of a repository in a folder, instead of wire
	reach origin.Reach               // how far away it is, once it has answered
	done  func() error               // closes what objects are read from
}

func (r *remote) close() {
	if r.done != nil {
		_ = r.done() // as below
		r.done = nil
	}
	if r.wire != nil {
		// The repository has been read or written, or the reason why not is known.
		_ = r.wire.close()
	}
}

// offline reports whether the repository may not be asked.
func (r *remote) offline() bool { return r.store.opts.Offline && !r.isLocal() }

// isLocal reports whether the repository is in a folder of this machine.
func (r *remote) isLocal() bool { return strings.HasPrefix(r.url, "file://") }

// resolve asks which commit is wanted.
func (r *remote) resolve(ctx context.Context, w gitWant) (commitAt, error) {
	if err := r.connect(ctx); err != nil {
		return commitAt{}, err
	}
	return choose(r.adv, w)
}

// connect reads the references of the repository.
func (r *remote) connect(ctx context.Context) error {
	if r.adv != nil {
		return nil
	}
	at := r.url
	if !r.isLocal() {
		if err := r.findWay(ctx); err != nil {
			return err
		}
		if r.way.ep.Protocol != "file" {
			return r.dial(ctx)
		}
		at = r.way.address
	}
	if r.least() != origin.Machine {
		return &InwardError{URL: r.url, Host: "its folder", Reach: origin.Machine} // whatever host the URL names
	}
	objects, err := openHere(at)
	if err != nil {
		return err
	}
	if r.adv, err = advertise(objects); err != nil {
		return errors.Join(&UnreachableError{URL: r.url, Err: plain.Error(err)}, objects.Close())
	}
	if r.local, r.done = objects, objects.Close; at != r.url {
		r.reach = origin.Public // as in dial
	}
	return nil
}

// objects returns the objects of the wanted commit, fetched into the folder dir
// where the repository is not local, and completes at.
func (r *remote) objects(ctx context.Context, at *commitAt, dir string) (storer.EncodedObjectStorer, error) {
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	if r.local != nil {
		return r.local, r.complete(r.local, at)
	}
	var lastErr error
	for _, whole := range []bool{false, true} {
		if !whole && (at.whole || !r.mayAsk(at.hash)) {
			continue
		}
		objects, err := r.fetch(ctx, at.hash, whole, filepath.Join(dir, fmt.Sprint(whole)))
		if err == nil {
			return objects, r.complete(objects, at)
		}
		lastErr = err
		_, unreachable := errors.AsType[*UnreachableError](err)
		_, stalled := errors.AsType[*stalledError](err)
		if !unreachable || stalled || r.advertised(at.hash) || ctx.Err() != nil {
			break
		}
		// The server has refused a commit that no reference names: a new session.
		if err := r.reconnect(ctx); err != nil {
			return nil, err
		}
	}
	return nil, lastErr
}

// reconnect begins a new session.
func (r *remote) reconnect(ctx context.Context) error {
	r.close()
	r.adv, r.wire = nil, nil
	return r.connect(ctx)
}

// advertised reports whether a reference names the commit.
func (r *remote) advertised(hash string) bool {
	for _, all := range []map[string]plumbing.Hash{r.adv.References, r.adv.Peeled} {
		for _, h := range all {
			if h.String() == hash {
				return true
			}
		}
	}
	return r.adv.Head != nil && r.adv.Head.String() == hash
}

// mayAsk reports whether the server may give the commit by itself.
func (r *remote) mayAsk(hash string) bool {
	return r.advertised(hash) || r.adv.Capabilities.Supports(capability.AllowReachableSHA1InWant) ||
		r.adv.Capabilities.Supports(capability.AllowTipSHA1InWant)
}

// fetch gets one commit with its files, or with whole everything that branches
// and tags name, into the folder dir.
func (r *remote) fetch(ctx context.Context, hash string, whole bool, dir string) (storer.EncodedObjectStorer, error) {
	req := packp.NewUploadPackRequestFromCapabilities(r.adv.Capabilities)
	set := func(c capability.Capability) error {
		if !r.adv.Capabilities.Supports(c) {
			return nil
		}
		return req.Capabilities.Set(c)
	}
	if err := errors.Join(set(capability.Shallow), set(capability.Filter), set(capability.NoProgress)); err != nil {
		return nil, err
	}
	if req.Capabilities.Supports(capability.Filter) {
		// Files beyond the limit are not even sent; one that is wanted is missed.
		req.Filter = packp.FilterBlobLimit(uint64(r.store.opts.Limits.File)+1, packp.BlobLimitPrefixNone)
	}
	if whole {
		seen := map[plumbing.Hash]bool{}
		for name, h := range r.adv.References {
			if _, ok := cutAny(name, "refs/heads/", "refs/tags/"); ok && !seen[h] {
				seen[h] = true
				req.Wants = append(req.Wants, h)
			}
		}
	} else {
		req.Wants = []plumbing.Hash{plumbing.NewHash(hash)}
		if req.Capabilities.Supports(capability.Shallow) {
			req.Depth = packp.DepthCommits(1)
		}
	}
	within, quiet := newPatience(ctx, r.store.opts.Timeout)
	defer quiet.end()
	answer, err := r.uploadPack(within, req)
	if err != nil {
		return nil, r.explain(ctx, quiet.why(err), false)
	}
	defer func() { _ = answer.Close() }() // it was only read from
	pack := quiet.moved(answer)
	switch {
	case req.Capabilities.Supports(capability.Sideband64k):
		pack = sideband.NewDemuxer(sideband.Sideband64k, pack)
	case req.Capabilities.Supports(capability.Sideband):
		pack = sideband.NewDemuxer(sideband.Sideband, pack)
	}
	return r.unpack(ctx, pack, dir)
}

// unpack stores a pack in the folder dir, after it was found to be within the
// limits.
func (r *remote) unpack(ctx context.Context, pack io.Reader, dir string) (storer.EncodedObjectStorer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	f, err := os.Create(filepath.Join(dir, "received.pack"))
	if err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	defer func() { _ = f.Close() }() // what was written to it is checked when it is read
	limits := r.store.opts.Limits
	n, err := io.Copy(f, io.LimitReader(&contextReader{ctx: ctx, r: pack}, limits.Download+1))
	if err != nil {
		if _, ok := errors.AsType[*os.PathError](err); ok {
			return nil, fmt.Errorf("using the cache: %w", err)
		}
		return nil, r.explain(ctx, err, false)
	}
	if n > limits.Download {
		return nil, &LimitError{Source: r.url, What: "to fetch the repository takes more bytes", Limit: limits.Download}
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	if err := checkPack(ctx, f, r.url, limits); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	storage := leanStorage(osfs.New(filepath.Join(dir, "git")))
	r.done = storage.Close
	err = packfile.UpdateObjectStorage(storage, f)
	if _, ok := errors.AsType[*os.PathError](err); ok {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	if err != nil {
		return nil, &UnreachableError{URL: r.url, Err: fmt.Errorf("what it sent is damaged: %w", plain.Error(err))}
	}
	return storage, nil
}

// complete makes at name a whole commit that is among the objects.
func (r *remote) complete(objects storer.EncodedObjectStorer, at *commitAt) error {
	missing := &NotFoundError{Name: r.url, Err: fmt.Errorf("it has no commit %s", at.hash)}
	if len(at.hash) == 40 {
		_, err := object.GetObject(objects, plumbing.NewHash(at.hash))
		if err != nil {
			return missing
		}
		return nil
	}
	commits, err := objects.IterEncodedObjects(plumbing.CommitObject)
	if err != nil {
		return &UnreachableError{URL: r.url, Err: plain.Error(err)}
	}
	var fit []string
	err = commits.ForEach(func(o plumbing.EncodedObject) error {
		if strings.HasPrefix(o.Hash().String(), at.hash) {
			fit = append(fit, o.Hash().String())
		}
		return nil
	})
	switch {
	case err != nil:
		return &UnreachableError{URL: r.url, Err: plain.Error(err)}
	case len(fit) == 0:
		return missing
	case len(fit) > 1:
		return &RefusedError{Source: r.url, Path: "commit " + at.hash, Reason: fmt.Sprintf("%d commits begin so; write more of it", len(fit))}
	}
	at.hash = fit[0]
	return nil
}

// A contextReader ends with the context's error once that is done.
type contextReader struct {
	ctx context.Context //nolint:containedctx // lives as long as one copy
	r   io.Reader
}

func (c *contextReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.r.Read(p)
}
