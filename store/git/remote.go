package git

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

// A Remote is one repository that is being asked.
type Remote struct {
	client *Client
	url    string
	push   bool // to write to it

	way   *way // where it is asked for
	wire  wire
	adv   *packp.AdvRefs
	local storer.EncodedObjectStorer // of a repository in a folder, instead of wire
	reach origin.Reach               // how far away it is, once it has answered
	done  func() error               // closes what objects are read from
}

// Close ends what is under way with the repository, and its files.
func (r *Remote) Close() {
	if r.done != nil {
		_ = r.done() // as below
		r.done = nil
	}
	if r.wire != nil {
		// The repository has been read or written, or the reason why not is known.
		_ = r.wire.close()
	}
}

// connect reads the references of the repository.
func (r *Remote) connect(ctx context.Context) error {
	if r.adv != nil {
		return nil
	}
	at := r.url
	if !IsLocal(r.url) {
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

// Fetch returns the files of a commit, which has 40 hexadecimal digits, or fewer where
// only history can tell the rest. They are good until the repository is closed; what has to
// be fetched for them is kept in the folder dir. A commit that is not there is a
// [*NotFoundError].
func (r *Remote) Fetch(ctx context.Context, commit, dir string) (*Tree, error) {
	objects, err := r.objects(ctx, commit, dir)
	if err != nil {
		return nil, err
	}
	if commit, err = r.complete(objects, commit); err != nil {
		return nil, err
	}
	return openTree(objects, r.url, commit, r.client.opts.Limits)
}

// objects returns the objects of a commit, fetched into the folder dir where the
// repository is not local.
func (r *Remote) objects(ctx context.Context, commit, dir string) (storer.EncodedObjectStorer, error) {
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	if r.local != nil {
		return r.local, nil
	}
	var lastErr error
	for _, whole := range []bool{false, true} {
		if !whole && (len(commit) < 40 || !r.mayAsk(commit)) {
			continue
		}
		objects, err := r.fetch(ctx, commit, whole, filepath.Join(dir, fmt.Sprint(whole)))
		if err == nil {
			return objects, nil
		}
		lastErr = err
		_, unreachable := errors.AsType[*UnreachableError](err)
		_, stalled := errors.AsType[*StalledError](err)
		if !unreachable || stalled || r.advertised(commit) || ctx.Err() != nil {
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
func (r *Remote) reconnect(ctx context.Context) error {
	r.Close()
	r.adv, r.wire = nil, nil
	return r.connect(ctx)
}

// advertised reports whether a reference names the commit.
func (r *Remote) advertised(hash string) bool {
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
func (r *Remote) mayAsk(hash string) bool {
	return r.advertised(hash) || r.adv.Capabilities.Supports(capability.AllowReachableSHA1InWant) ||
		r.adv.Capabilities.Supports(capability.AllowTipSHA1InWant)
}

// fetch gets one commit with its files, or with whole everything that branches
// and tags name, into the folder dir.
func (r *Remote) fetch(ctx context.Context, hash string, whole bool, dir string) (storer.EncodedObjectStorer, error) {
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
		req.Filter = packp.FilterBlobLimit(uint64(r.client.opts.Limits.File)+1, packp.BlobLimitPrefixNone)
	}
	if whole {
		seen := map[plumbing.Hash]bool{}
		for name, h := range r.adv.References {
			if isTip := strings.HasPrefix(name, "refs/heads/") || strings.HasPrefix(name, "refs/tags/"); isTip && !seen[h] {
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
	within, quiet := newStallWatch(ctx, r.client.opts.Timeout)
	defer quiet.End()
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
func (r *Remote) unpack(ctx context.Context, pack io.Reader, dir string) (storer.EncodedObjectStorer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	f, err := os.Create(filepath.Join(dir, "received.pack"))
	if err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	defer func() { _ = f.Close() }() // what was written to it is checked when it is read
	limits := r.client.opts.Limits
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

// complete returns the whole commit that is among the objects and begins so.
func (r *Remote) complete(objects storer.EncodedObjectStorer, commit string) (string, error) {
	missing := &NotFoundError{URL: r.url, Err: fmt.Errorf("it has no commit %s", commit)}
	if len(commit) == 40 {
		_, err := object.GetObject(objects, plumbing.NewHash(commit))
		if err != nil {
			return "", missing
		}
		return commit, nil
	}
	commits, err := objects.IterEncodedObjects(plumbing.CommitObject)
	if err != nil {
		return "", &UnreachableError{URL: r.url, Err: plain.Error(err)}
	}
	var fit []string
	err = commits.ForEach(func(o plumbing.EncodedObject) error {
		if strings.HasPrefix(o.Hash().String(), commit) {
			fit = append(fit, o.Hash().String())
		}
		return nil
	})
	switch {
	case err != nil:
		return "", &UnreachableError{URL: r.url, Err: plain.Error(err)}
	case len(fit) == 0:
		return "", missing
	case len(fit) > 1:
		return "", &RefusedError{Source: r.url, Path: "commit " + commit, Reason: fmt.Sprintf("%d commits begin so; write more of it", len(fit))}
	}
	return fit[0], nil
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

// Reach is how far away the repository is, once it has answered.
func (r *Remote) Reach() origin.Reach { return r.reach }
