package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/storage/memory"

	"fnb/internal/plain"
)

const (
	pushTries    = 40 // at least, and
	pushPatience = time.Minute
	// stuckTries is how often the same commit is refused before it is clear that
	// nobody else was faster.
	stuckTries = 8
)

// An addition is files to add to a store.
type addition struct {
	message string
	branch  string // a new one, refs/heads/…; "" for the store's own
	dry     bool   // nothing is added
	change  bool   // a package.json that is there is replaced
	// files returns what to add to the files that there are, nothing where all is
	// there.
	files func(recordTree) (map[string][]byte, error)
}

// An added says what became of an addition.
type added struct {
	commit string // of the store; "" where nothing was added, or the store is a folder
	base   string // the branch that the store has as its own
	tries  int
	wrote  bool
}

// errRejected says that somebody else was faster.
var errRejected = errors.New("the store has changed meanwhile")

// add adds files to a store. Where somebody else was faster it begins anew.
func (s *Store) add(ctx context.Context, c Configured, a addition) (added, error) {
	if c.isList() {
		return added{}, fmt.Errorf("store %s: a list of templates cannot be published to", c.Name)
	}
	if c.isIndex() {
		return added{}, fmt.Errorf("store %s: an index is generated from a store, and cannot be published to: add the store's repository", c.Name)
	}
	if s.opts.Offline && !c.isHere() {
		return added{}, &OfflineError{Ref: "store " + c.Name}
	}
	begin, refused, last := time.Now(), 0, ""
	for try := 1; ; try++ {
		one := s.addOnce
		if c.isFolder() {
			one = s.addToFolder
		}
		done, tipCommit, err := one(ctx, c, a)
		done.tries = try
		if err == nil {
			return done, s.expire(ctx, c)
		}
		_, unreachable := errors.AsType[*UnreachableError](err)
		if ctx.Err() != nil || !errors.Is(err, errRejected) && !unreachable {
			return done, err
		}
		if tipCommit == last {
			refused++
		} else {
			refused, last = 0, tipCommit
		}
		if unreachable && refused >= 2 {
			return done, err
		}
		if refused >= stuckTries || try >= pushTries && time.Since(begin) > pushPatience {
			return done, fmt.Errorf("store %s: tried %d times: %w", c.Name, try, err)
		}
		// Full jitter, so that those who met do not meet again.
		wait := time.Duration(rand.Int64N(int64(min(2*time.Second, 20*time.Millisecond<<min(try, 7)))))
		select {
		case <-ctx.Done():
			return done, ctx.Err()
		case <-time.After(wait):
		}
	}
}

// expire makes the cache ask the store the next time.
func (s *Store) expire(ctx context.Context, c Configured) error {
	unlock, err := s.cache.lockRepo(ctx, "store "+c.URL)
	if err != nil {
		return err
	}
	defer unlock()
	x, ok := s.cache.openIndex(c.URL)
	if !ok {
		return nil
	}
	if due := time.Now().Add(-s.opts.TTL); x.state.Checked.After(due) {
		x.state.Checked = due
	}
	return s.cache.saveIndexState(x.state)
}

// addOnce adds files on top of the newest commit, which it returns as well.
func (s *Store) addOnce(ctx context.Context, c Configured, a addition) (added, string, error) {
	t, err := s.openTip(ctx, c.URL, func(string) bool { return false })
	if err != nil {
		return added{}, "", err
	}
	defer t.close()
	if err := (&scan{tree: t.tree}).check(c.URL); err != nil {
		return added{}, t.commit, err
	}
	files, err := a.files(t.tree)
	if err != nil || len(files) == 0 || a.dry {
		return added{wrote: len(files) > 0}, t.commit, err
	}
	author, err := s.author()
	if err != nil {
		return added{}, t.commit, err
	}
	p := &push{url: c.URL, branch: t.branch, objects: memory.NewStorage()}
	if p.old = plumbing.NewHash(t.commit); a.branch != "" {
		p.branch, p.old = a.branch, plumbing.ZeroHash
	}
	if p.branch == "" {
		return added{}, t.commit, fmt.Errorf("store %s: it has no branch to publish to", c.Name)
	}
	root, err := p.tree(t.tree.root, files)
	if err != nil {
		return added{}, t.commit, err
	}
	if p.commit, err = p.store(&object.Commit{
		Author: author, Committer: author, Message: a.message + "\n", TreeHash: root,
		ParentHashes: []plumbing.Hash{plumbing.NewHash(t.commit)},
	}); err != nil {
		return added{}, t.commit, err
	}
	err = p.send(ctx, s)
	return added{commit: p.commit.String(), base: t.branch, wrote: err == nil}, t.commit, err
}

// A push is one commit on its way to a repository.
type push struct {
	url     string
	branch  string
	old     plumbing.Hash // of the branch; zero for a new one
	commit  plumbing.Hash
	objects *memory.Storage // all that is new
}

// store keeps an object among the new ones.
func (p *push) store(o interface {
	Encode(plumbing.EncodedObject) error
},
) (plumbing.Hash, error) {
	e := p.objects.NewEncodedObject()
	if err := o.Encode(e); err != nil {
		return plumbing.ZeroHash, err
	}
	return p.objects.SetEncodedObject(e)
}

// tree adds files to a tree, nil for an empty one, and returns the new one.
func (p *push) tree(old *object.Tree, files map[string][]byte) (plumbing.Hash, error) {
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
		e := p.objects.NewEncodedObject()
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
		h, err := p.objects.SetEncodedObject(e)
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
		h, err := p.tree(sub, files)
		if err != nil {
			return plumbing.ZeroHash, err
		}
		set(object.TreeEntry{Name: dir, Mode: filemode.Dir, Hash: h})
	}
	sort.Sort(object.TreeEntrySorter(entries))
	return p.store(&object.Tree{Entries: entries})
}

// send makes the branch point to the new commit, if it still is where it was.
func (p *push) send(ctx context.Context, s *Store) error {
	r := &remote{store: s, url: p.url, push: true}
	if r.isLocal() {
		return p.sendHere()
	}
	if err := r.findWay(ctx); err != nil {
		return err
	}
	if r.way.ep.Protocol == "file" {
		here := *p
		here.url = r.way.address
		return here.sendHere()
	}
	if err := r.dial(ctx); err != nil {
		return err
	}
	defer r.close()
	if r.adv.References[p.branch] != p.old {
		return errRejected
	}
	var pack bytes.Buffer
	if _, err := packfile.NewEncoder(&pack, p.objects, false).Encode(p.hashes(), 0); err != nil {
		return err
	}
	req := packp.NewReferenceUpdateRequestFromCapabilities(r.adv.Capabilities)
	req.Commands = []*packp.Command{{Name: plumbing.ReferenceName(p.branch), Old: p.old, New: p.commit}}
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
		return fmt.Errorf("%w: %s", errRejected, plain.Short(c.Status))
	}
	return nil
}

// give sends a pack, and returns what the server says of it. A server that takes
// nothing more and says nothing is given up.
func (r *remote) give(ctx context.Context, req *packp.ReferenceUpdateRequest, pack io.Reader) (*packp.ReportStatus, error) {
	within, quiet := newPatience(ctx, r.store.opts.Timeout)
	defer quiet.end()
	req.Packfile = io.NopCloser(pack)
	report, err := r.receivePack(within, req, quiet.moved)
	return report, quiet.why(err)
}

func (p *push) hashes() []plumbing.Hash {
	var all []plumbing.Hash
	for h := range p.objects.Objects {
		all = append(all, h)
	}
	return all
}

// addToFolder adds files to a store in a folder. Each appears whole or not at all,
// and none is replaced.
func (s *Store) addToFolder(_ context.Context, c Configured, a addition) (done added, _ string, err error) {
	if a.branch != "" {
		return added{}, "", fmt.Errorf("store %s: a folder has no branches", c.Name)
	}
	t, err := openFolderTree(c.URL)
	if err != nil {
		return added{}, "", &UnreachableError{URL: c.URL, Err: errors.Unwrap(err)}
	}
	defer func() { err = errors.Join(err, t.root.Close()) }()
	if err := (&scan{tree: t}).check(c.URL); err != nil {
		return added{}, "", err
	}
	files, err := a.files(t)
	if err != nil || len(files) == 0 || a.dry {
		return added{wrote: len(files) > 0}, "", err
	}
	var names []string
	for name := range files {
		names = append(names, name)
	}
	// The record comes last: once it is there, all is.
	slices.SortFunc(names, func(a, b string) int { return strings.Count(a, "/") - strings.Count(b, "/") })
	for _, name := range names {
		err := linkFile(t.root, name, files[name], a.change && path.Base(name) == packageFile)
		if errors.Is(err, os.ErrExist) && path.Base(name) == packageFile {
			continue // somebody else has published the first version
		}
		if errors.Is(err, os.ErrExist) {
			return added{}, "", errRejected
		}
		if err != nil {
			return added{}, "", err
		}
	}
	return added{wrote: true}, "", nil
}

// linkFile makes a new file, at once with all its content; or replaces one.
func linkFile(root *os.Root, name string, data []byte, replace bool) (err error) {
	file := filepath.FromSlash(name)
	if err := root.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	beside := filepath.Join(filepath.Dir(file), fmt.Sprintf(".%x.new", rand.Uint64()))
	f, err := root.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Remove(beside)) }()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if replace {
		if err := root.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return root.Link(beside, file)
}
