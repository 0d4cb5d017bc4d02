package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fnb/internal/plain"
	"fnb/origin"
)

// storeTTL is how long what the cache has of a store is good without asking.
const storeTTL = 5 * time.Minute

// storeLimits bound what is taken from a store's repository: many small files.
func storeLimits(l Limits) Limits {
	l.Download, l.Unpacked, l.Objects = max(l.Download, 1<<30), max(l.Unpacked, 4<<30), max(l.Objects, 4_000_000)
	return l
}

// index returns what a store has: from the cache while that is fresh enough, and
// else from the store. A store that cannot be reached is used as the cache has it;
// the notes say so. fresh is true where the store itself was asked.
func (s *Store) index(ctx context.Context, c Configured) (x *index, notes []string, fresh bool, err error) {
	x, ok := s.cache.openIndex(c.URL)
	age := time.Duration(0)
	if ok {
		age = time.Since(x.state.Checked)
	}
	switch {
	case ok && s.opts.Offline && !c.isHere() && age >= staleAfter:
		return x, append(x.notes(c), fmt.Sprintf("store %s: used as it was %s ago", c.Name, ageText(age))), false, nil
	case ok && s.opts.Offline && !c.isHere(), ok && !c.isHere() && age >= 0 && age < s.opts.TTL:
		return x, x.notes(c), false, nil
	case s.opts.Offline && !c.isHere():
		return nil, nil, false, &OfflineError{Ref: "store " + c.Name}
	}
	now, notes, err := s.refresh(ctx, c)
	if _, unreachable := errors.AsType[*UnreachableError](err); unreachable && ok && ctx.Err() == nil {
		age = max(age, 0)
		if age >= staleAfter {
			return nil, nil, true, &StaleError{Name: c.Name, Age: age, Err: err}
		}
		note := fmt.Sprintf("store %s: used as it was %s ago: %v", c.Name, ageText(age), err)
		return x, append(x.notes(c), note), true, nil
	}
	if err != nil {
		return nil, notes, true, err
	}
	bound, err := s.bind(ctx, c, now)
	return now, append(notes, bound...), true, err
}

// notes tells of the files that were passed over, once for a store.
func (x *index) notes(c Configured) []string {
	var notes []string
	one, many := "file", "files"
	if c.isList() {
		one, many = "entry", "entries"
	}
	if x.state.Passed > 0 && len(x.state.Problems) > 0 {
		notes = append(notes, fmt.Sprintf("store %s: %s, the first because of this: %s", c.Name, passedOver(x.state.Passed, one, many), x.state.Problems[0]))
	}
	for i, key := range x.again {
		if i == maxProblems {
			return append(notes, fmt.Sprintf("store %s: and %d other versions that had been withdrawn", c.Name, len(x.again)-i))
		}
		notes = append(notes, x.returnedNote(c, key))
	}
	return notes
}

// passedOver says how many files or entries were passed over.
func passedOver(n int, one, many string) string {
	if n == 1 {
		return "1 " + one + " was passed over"
	}
	return fmt.Sprintf("%d %s were passed over", n, many)
}

// staleAfter is how long a store that does not answer is used as it was. Whoever can
// keep it from answering keeps back what was withdrawn since.
const staleAfter = 7 * 24 * time.Hour

// A StaleError says that a store did not answer, and has not for so long that it is
// not used as it was.
type StaleError struct {
	Name string
	Age  time.Duration // since it last answered
	Err  error         // why it did not answer now
}

func (e *StaleError) Error() string {
	return fmt.Sprintf("it last answered %s ago, which is too long to use it as it was: %v", ageText(e.Age), e.Err)
}

// Unwrap returns why the store did not answer.
func (e *StaleError) Unwrap() error { return e.Err }

// ageText is a time in words, in days where it is two or more.
func ageText(age time.Duration) string {
	if days := int(age / (24 * time.Hour)); days >= 2 {
		return fmt.Sprintf("%d days", days)
	}
	return age.Round(time.Second).String()
}

// refresh asks a store and brings the cache up to date.
func (s *Store) refresh(ctx context.Context, c Configured) (*index, []string, error) {
	if s.opts.Offline && !c.isHere() {
		return nil, nil, &OfflineError{Ref: "store " + c.Name}
	}
	unlock, err := s.cache.lockRepo(ctx, "store "+c.URL)
	if err != nil {
		return nil, nil, err
	}
	defer unlock()
	old, ok := s.cache.openIndex(c.URL)
	if !ok {
		old = nil
	}
	var x *index
	switch {
	case c.isList():
		x, err = s.refreshList(ctx, c)
	case c.isIndex():
		x, err = s.refreshIndex(ctx, c, old)
	case c.isFolder():
		x, err = s.refreshFolder(ctx, c, old)
	default:
		x, err = s.refreshGit(ctx, c, old)
	}
	if err != nil {
		if ctx.Err() != nil {
			err = ctx.Err()
		} else if n, ok := errors.AsType[*NotFoundError](err); ok {
			err = &NoStoreError{Name: n.Name, Err: n.Err}
		}
		return nil, nil, err
	}
	return x, x.notes(c), nil
}

func (s *Store) refreshFolder(ctx context.Context, c Configured, old *index) (*index, error) {
	t, err := openFolderTree(c.URL)
	if err != nil {
		return nil, &UnreachableError{URL: c.URL, Err: errors.Unwrap(err)}
	}
	sc := &scan{tree: t}
	if err := sc.check(c.URL); err != nil {
		return nil, errors.Join(err, t.root.Close())
	}
	x, err := s.cache.buildIndex(indexState{URL: c.URL, Checked: time.Now().UTC()}, old, sc.into(ctx))
	return x, errors.Join(err, t.root.Close())
}

func (s *Store) refreshGit(ctx context.Context, c Configured, old *index) (*index, error) {
	tip, err := s.openTip(ctx, c.URL, func(commit string) bool { return old != nil && old.state.Commit == commit })
	if err != nil {
		return nil, err
	}
	defer tip.close()
	if tip.tree == nil { // nothing has changed
		old.state.Checked, old.state.Reach = time.Now().UTC(), tip.remote.reach
		return old, s.cache.saveIndexState(old.state)
	}
	sc := &scan{tree: tip.tree}
	if err := sc.check(c.URL); err != nil {
		return nil, err
	}
	return s.cache.buildIndex(indexState{URL: c.URL, Commit: tip.commit, Checked: time.Now().UTC(), Reach: tip.remote.reach}, old, sc.into(ctx))
}

// A tip is the newest commit of a store's repository.
type tip struct {
	commit string
	branch string   // refs/heads/… that is the repository's own
	tree   *gitTree // nil where the commit was known
	remote *remote
	dir    string
}

func (t *tip) close() {
	t.remote.close()
	_ = os.RemoveAll(t.dir) // nothing depends on what is left of it
}

// openTip reads the newest commit of a store, unless it is known.
func (s *Store) openTip(ctx context.Context, url string, known func(commit string) bool) (_ *tip, err error) {
	opts := s.opts
	opts.Limits = storeLimits(opts.Limits)
	r := &remote{store: &Store{opts: opts, cache: s.cache}, url: url}
	t := &tip{remote: r}
	defer func() {
		if err != nil {
			t.close()
		}
	}()
	if err := r.connect(ctx); err != nil {
		return nil, err
	}
	at, err := choose(r.adv, gitWant{url: url})
	if err != nil {
		return nil, err
	}
	t.commit = at.hash
	t.branch = ownBranch(r)
	if known(at.hash) {
		return t, nil
	}
	if t.dir, err = s.cache.unfinished(); err != nil {
		return nil, err
	}
	objects, err := r.objects(ctx, &at, filepath.Join(t.dir, "objects"))
	if err != nil {
		return nil, err
	}
	x := &extract{objects: objects, source: url}
	root, err := x.root(at.hash)
	if err != nil {
		return nil, err
	}
	t.tree = &gitTree{root: root, objects: objects}
	return t, nil
}

// ownBranch is the branch that a repository's HEAD is at: the one that the server
// names, or else main, master or whichever is there.
func ownBranch(r *remote) string {
	if r.adv.Capabilities != nil {
		for _, v := range r.adv.Capabilities.Get("symref") {
			if target, ok := strings.CutPrefix(v, "HEAD:"); ok {
				return target
			}
		}
	}
	best := ""
	for name, h := range r.adv.References {
		if !strings.HasPrefix(name, "refs/heads/") || r.adv.Head == nil || h != *r.adv.Head {
			continue
		}
		if name == "refs/heads/main" {
			return name
		}
		if best == "" || name == "refs/heads/master" || best != "refs/heads/master" && name < best {
			best = name
		}
	}
	return best
}

const (
	maxListSize    = 16 << 20
	maxListEntries = 50_000
)

// refreshList reads a list of OpenFaaS'.
func (s *Store) refreshList(ctx context.Context, c Configured) (*index, error) {
	data, reach, err := s.readList(ctx, c.URL)
	if err != nil {
		return nil, err
	}
	packs, problems, err := parseList(c.URL, c.Name, data)
	if err != nil {
		return nil, err
	}
	if len(packs) == 0 && len(problems) > 0 {
		first := problems[0]
		return nil, &NoStoreError{Name: c.URL, Err: fmt.Errorf("none of its %d entries can be used, the first because of this: %s: %w", len(problems), first.file, first.err)}
	}
	st := indexState{URL: c.URL, Commit: hexSum(data), Checked: time.Now().UTC(), Reach: reach}
	// A list may change as it likes: it pins nothing.
	return s.cache.buildIndex(st, nil, func(add func(pack) error, pass func(string, error)) error {
		for _, p := range problems {
			pass(p.file, p.err)
		}
		for _, p := range packs {
			if err := add(p); err != nil {
				return err
			}
		}
		return nil
	})
}

// readList gets a list, and how far away it is.
func (s *Store) readList(ctx context.Context, url string) ([]byte, origin.Reach, error) {
	if path, ok := strings.CutPrefix(url, "file://"); ok || filepath.IsAbs(url) {
		info, err := os.Stat(path)
		if err == nil && !info.Mode().IsRegular() { // opening a pipe would wait for its other end
			err = errors.New("it is not a plain file")
		}
		if err != nil {
			return nil, origin.Machine, &UnreachableError{URL: url, Err: err}
		}
		f, err := os.Open(path)
		if err != nil {
			return nil, origin.Machine, &UnreachableError{URL: url, Err: err}
		}
		defer func() { _ = f.Close() }() // it was only read from
		data, err := io.ReadAll(io.LimitReader(f, maxListSize))
		return data, origin.Machine, err
	}
	resp, err := s.get(ctx, url, "")
	if err != nil {
		return nil, origin.Public, err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read from
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxListSize))
	if err != nil {
		return nil, origin.Public, s.explainGet(ctx, url, err)
	}
	return data, resp.reach, nil
}

// checkRedirect refuses to be led from HTTPS to anything else, and away from
// HTTP.
func checkRedirect(req *http.Request, via []*http.Request) error {
	if len(via) > 5 {
		return errors.New("it redirects more than five times")
	}
	if s := req.URL.Scheme; s != "https" && s != via[0].URL.Scheme {
		return fmt.Errorf("it redirects to %s://%s", s, plain.Short(req.URL.Host))
	}
	return nil
}
