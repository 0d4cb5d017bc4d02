package git

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/storage/memory"

	"fnb/internal/plain"
)

// ErrRejected is wrapped by the error of a push for which somebody else was faster.
var ErrRejected = errors.New("the store has changed meanwhile")

// A Signature is who made a commit, and when.
type Signature struct {
	Name, Email string
	When        time.Time
}

// Author is who commits, as git knows it; an [*AuthorError] where it does not.
func Author(getenv func(string) string) (Signature, error) {
	sig := Signature{Name: getenv("GIT_AUTHOR_NAME"), Email: getenv("GIT_AUTHOR_EMAIL"), When: time.Now()}
	if sig.Name == "" || sig.Email == "" {
		cfg, err := config.LoadConfig(config.GlobalScope)
		if err != nil {
			return sig, fmt.Errorf("reading git's settings: %w", err)
		}
		if sig.Name == "" {
			sig.Name = cfg.User.Name
		}
		if sig.Email == "" {
			sig.Email = cfg.User.Email
		}
	}
	if sig.Name == "" || sig.Email == "" {
		return sig, &AuthorError{}
	}
	return sig, nil
}

// Committer reads who made a commit out of the commit as git keeps it, and what git
// names it by.
func Committer(raw []byte) (who Signature, hash string, err error) {
	o := &plumbing.MemoryObject{}
	o.SetType(plumbing.CommitObject)
	if _, err := o.Write(raw); err != nil {
		return who, "", err
	}
	c := &object.Commit{}
	if err := c.Decode(o); err != nil {
		return who, "", err
	}
	return Signature(c.Committer), c.Hash.String(), nil
}

// A Commit is a new one, which no repository has yet.
type Commit struct {
	hash    plumbing.Hash
	objects *memory.Storage // all that is new
}

// Hash is what git names the commit by.
func (c *Commit) Hash() string { return c.hash.String() }

// NewCommit makes a commit that adds files to those of on, or has no others and no
// parent where on is nil.
func NewCommit(on *Tree, files map[string][]byte, by Signature, message string) (*Commit, error) {
	c := &Commit{objects: memory.NewStorage()}
	var old *object.Tree
	var parents []plumbing.Hash
	if on != nil {
		old, parents = on.root, []plumbing.Hash{plumbing.NewHash(on.Commit)}
	}
	root, err := c.tree(old, files)
	if err != nil {
		return nil, err
	}
	c.hash, err = c.store(&object.Commit{
		Author: object.Signature(by), Committer: object.Signature(by), Message: message + "\n", TreeHash: root, ParentHashes: parents,
	})
	return c, err
}

// store keeps an object among the new ones.
func (c *Commit) store(o interface {
	Encode(plumbing.EncodedObject) error
},
) (plumbing.Hash, error) {
	e := c.objects.NewEncodedObject()
	if err := o.Encode(e); err != nil {
		return plumbing.ZeroHash, err
	}
	return c.objects.SetEncodedObject(e)
}

// tree adds files to a tree, nil for an empty one, and returns the new one.
func (c *Commit) tree(old *object.Tree, files map[string][]byte) (plumbing.Hash, error) {
	var entries []object.TreeEntry
	if old != nil {
		entries = slices.Clone(old.Entries)
	}
	set := func(e object.TreeEntry) {
		entries = append(slices.DeleteFunc(entries, func(o object.TreeEntry) bool { return o.Name == e.Name }), e)
	}
	below := map[string]map[string][]byte{}
	for name, data := range files {
		dir, rest, ok := strings.Cut(name, "/")
		if ok {
			if below[dir] == nil {
				below[dir] = map[string][]byte{}
			}
			below[dir][rest] = data
			continue
		}
		e := c.objects.NewEncodedObject()
		e.SetType(plumbing.BlobObject)
		w, err := e.Writer()
		if err != nil {
			return plumbing.ZeroHash, err
		}
		if _, err := w.Write(data); err != nil {
			return plumbing.ZeroHash, err
		}
		if err := w.Close(); err != nil {
			return plumbing.ZeroHash, err
		}
		h, err := c.objects.SetEncodedObject(e)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		set(object.TreeEntry{Name: name, Mode: filemode.Regular, Hash: h})
	}
	for dir, files := range below {
		var sub *object.Tree
		if old != nil {
			sub, _ = old.Tree(dir) // a folder that is not there is a new one
		}
		h, err := c.tree(sub, files)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		set(object.TreeEntry{Name: dir, Mode: filemode.Dir, Hash: h})
	}
	sort.Sort(object.TreeEntrySorter(entries))
	return c.store(&object.Tree{Entries: entries})
}

func (c *Commit) hashes() []plumbing.Hash {
	var all []plumbing.Hash
	for h := range c.objects.Objects {
		all = append(all, h)
	}
	return all
}

// A push is one commit on its way to a repository.
type push struct {
	url    string
	branch string
	old    plumbing.Hash // of the branch; zero for a new one
	commit *Commit
}

// Push makes a branch, refs/heads/…, of a repository point to a commit, if it still is at
// the commit old, "" for a branch that is not there yet. Where it is not, the error wraps
// [ErrRejected]; where the server has other reasons, it is a [*DeclinedError].
func (c *Client) Push(ctx context.Context, url, branch, old string, commit *Commit) error {
	p := &push{url: url, branch: branch, old: plumbing.NewHash(old), commit: commit}
	if IsLocal(url) {
		return p.sendHere()
	}
	r := &Remote{client: c, url: url, push: true}
	if err := r.findWay(ctx); err != nil {
		return err
	}
	if r.way.ep.Protocol == "file" {
		p.url = r.way.address
		return p.sendHere()
	}
	if err := r.dial(ctx); err != nil {
		return err
	}
	defer r.Close()
	if r.adv.References[p.branch] != p.old {
		return ErrRejected
	}
	var pack bytes.Buffer
	if _, err := packfile.NewEncoder(&pack, commit.objects, false).Encode(commit.hashes(), 0); err != nil {
		return err
	}
	req := packp.NewReferenceUpdateRequestFromCapabilities(r.adv.Capabilities)
	req.Commands = []*packp.Command{{Name: plumbing.ReferenceName(p.branch), Old: p.old, New: commit.hash}}
	report, err := r.give(ctx, req, &pack)
	if report != nil {
		return refusal(p.url, report)
	}
	return r.explain(ctx, err, true)
}

// refusal is the error for what a server says of a push, nil where it has taken it. What
// is not known to be a decision may be that somebody else was faster.
func refusal(url string, report *packp.ReportStatus) error {
	if report.UnpackStatus != "ok" {
		return &DeclinedError{URL: url, Reason: plain.Short(report.UnpackStatus)}
	}
	for _, c := range report.CommandStatuses {
		if c.Status == "ok" {
			continue
		}
		for _, word := range []string{"declined", "denied", "prohibited", "protected", "checked out"} {
			if strings.Contains(strings.ToLower(c.Status), word) {
				return &DeclinedError{URL: url, Reason: plain.Short(c.Status)}
			}
		}
		return fmt.Errorf("%w: %s", ErrRejected, plain.Short(c.Status))
	}
	return nil
}

// give sends a pack, and returns what the server says of it. A server that takes
// nothing more and says nothing is given up.
func (r *Remote) give(ctx context.Context, req *packp.ReferenceUpdateRequest, pack io.Reader) (*packp.ReportStatus, error) {
	within, quiet := newStallWatch(ctx, r.client.opts.Timeout)
	defer quiet.End()
	req.Packfile = io.NopCloser(pack)
	report, err := r.receivePack(within, req, quiet.moved)
	return report, quiet.why(err)
}
