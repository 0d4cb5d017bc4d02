package gitrepo

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	maxTree  = 256 << 20 // bytes of one folder
	maxFile  = 4 << 30   // bytes of one file that is written
	maxLink  = 4096      // bytes of a link's target
	maxDepth = 256       // folders inside one another
)

// objects read the objects of a repository.
type objects interface {
	// get returns the content of an object that a name stands for, and its id and kind.
	// What is not there is a [*MissingError]; what has more than limit bytes is
	// [ErrTooLarge].
	get(name string, limit int64) (content, error)
	close() error
}

type content struct {
	id   string // hex
	kind string // blob, tree, commit or tag
	data []byte
}

// An Entry is a file or folder of a [Tree].
type Entry struct {
	Name string
	Mode Mode
	ID   string // of its object, hex
}

// A Mode is what git says an entry is.
type Mode uint32

// The modes that git knows.
const (
	Folder     Mode = 0o040000
	File       Mode = 0o100644
	Executable Mode = 0o100755
	Link       Mode = 0o120000
	Submodule  Mode = 0o160000
)

// IsFile reports whether an entry is a plain file, executable or not.
func (m Mode) IsFile() bool { return m&0o170000 == 0o100000 }

// A Tree is the files of a revision. It may be used by one goroutine at a time, and is to be
// closed.
type Tree struct {
	Commit string // whose files they are
	Raw    []byte // that commit, as git keeps it

	repo    *Repo
	objects objects
	root    string
	guard   sync.Mutex // of what follows
	way     []folder   // the folders on the way to the last one
}

type folder struct {
	name    string
	entries []Entry
}

// Tree opens the files of a revision, which is whatever git takes for one; what it does not
// know is a [*MissingError]. It is good until it is closed or ctx ends.
func (r *Repo) Tree(ctx context.Context, revision string) (*Tree, error) {
	objects, err := r.source.objects(ctx)
	if err != nil {
		return nil, err
	}
	t := &Tree{repo: r, objects: objects}
	if err := t.find(revision); err != nil {
		return nil, errors.Join(err, objects.close())
	}
	return t, nil
}

// At is Tree for another revision, read by the same process. Closing either closes both.
func (t *Tree) At(revision string) (*Tree, error) {
	o := &Tree{repo: t.repo, objects: t.objects}
	return o, o.find(revision)
}

func (t *Tree) find(revision string) error {
	if revision == "" || strings.ContainsAny(revision, "\n\x00") {
		return &MissingError{Dir: t.repo.dir, What: fmt.Sprintf("%q", revision)}
	}
	o, err := t.objects.get(revision+"^{commit}", maxTree)
	if err != nil {
		var missing *MissingError
		if errors.As(err, &missing) {
			missing.What = revision
		}
		return err
	}
	t.Commit, t.Raw = o.id, o.data
	first, _, _ := strings.Cut(string(o.data), "\n")
	root, ok := strings.CutPrefix(first, "tree ")
	if !ok {
		return fmt.Errorf("the git repository of %s: %s is not a commit", t.repo.dir, t.Commit)
	}
	t.root = root
	return nil
}

// Close ends what reads the objects.
func (t *Tree) Close() error { return t.objects.close() }

// List returns what is in a folder, "." for all of the revision, in git's order. A folder
// that is not there is [fs.ErrNotExist].
func (t *Tree) List(dir string) ([]Entry, error) {
	t.guard.Lock()
	defer t.guard.Unlock()
	return t.list(dir)
}

func (t *Tree) list(dir string) ([]Entry, error) {
	names := []string{""}
	if dir != "." {
		names = append(names, strings.Split(dir, "/")...)
	}
	same := 0
	for same < len(names) && same < len(t.way) && names[same] == t.way[same].name {
		same++
	}
	if same == len(names) { // what is below it is kept for whoever goes there next
		return t.way[same-1].entries, nil
	}
	t.way = t.way[:same]
	for _, name := range names[same:] {
		id := t.root
		if len(t.way) > 0 {
			e, ok := entry(t.way[len(t.way)-1].entries, name)
			if !ok || e.Mode != Folder {
				return nil, fs.ErrNotExist
			}
			id = e.ID
		}
		entries, err := t.folder(id)
		if err != nil {
			return nil, fmt.Errorf("reading %q of commit %.12s: %w", dir, t.Commit, err)
		}
		t.way = append(t.way, folder{name, entries})
	}
	return t.way[len(t.way)-1].entries, nil
}

func entry(entries []Entry, name string) (Entry, bool) {
	i := slices.IndexFunc(entries, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return Entry{}, false
	}
	return entries[i], true
}

// folder reads one object that is a folder.
func (t *Tree) folder(id string) ([]Entry, error) {
	o, err := t.objects.get(id, maxTree)
	if err != nil {
		return nil, err
	}
	if o.kind != "tree" {
		return nil, fmt.Errorf("object %s is a %s, but must be a tree", id, o.kind)
	}
	var entries []Entry
	for data, sum := o.data, len(id)/2; len(data) > 0; {
		head, rest, ok := bytes.Cut(data, []byte{0})
		mode, name, ok2 := bytes.Cut(head, []byte{' '})
		if !ok || !ok2 || len(rest) < sum {
			return nil, fmt.Errorf("tree %s is damaged", id)
		}
		bits, err := strconv.ParseUint(string(mode), 8, 32)
		if err != nil {
			return nil, fmt.Errorf("tree %s is damaged: %w", id, err)
		}
		entries = append(entries, Entry{Name: string(name), Mode: Mode(bits), ID: hex.EncodeToString(rest[:sum])})
		data = rest[sum:]
	}
	return entries, nil
}

// Entry returns what is at a path. What is not there is [fs.ErrNotExist].
func (t *Tree) Entry(name string) (Entry, error) {
	t.guard.Lock()
	defer t.guard.Unlock()
	return t.entry(name)
}

func (t *Tree) entry(name string) (Entry, error) {
	if name == "." {
		return Entry{Name: ".", Mode: Folder, ID: t.root}, nil
	}
	entries, err := t.list(path.Dir(name))
	if err != nil {
		return Entry{}, err
	}
	e, ok := entry(entries, path.Base(name))
	if !ok {
		return Entry{}, fs.ErrNotExist
	}
	return e, nil
}

// Read returns the content of a plain file; all else is [fs.ErrNotExist]. One with more than
// limit bytes is [ErrTooLarge].
func (t *Tree) Read(name string, limit int64) ([]byte, error) {
	t.guard.Lock()
	defer t.guard.Unlock()
	e, err := t.entry(name)
	if err != nil {
		return nil, err
	}
	if !e.Mode.IsFile() {
		return nil, fs.ErrNotExist
	}
	o, err := t.objects.get(e.ID, limit)
	return o.data, err
}

// A Change is a path that is not the same in two trees.
type Change struct {
	Path     string
	From, To Mode // 0 where it is not there
}

// Changes returns the files that are not what they were in an earlier tree, sorted by path.
func (t *Tree) Changes(was *Tree) ([]Change, error) {
	var all []Change
	if err := compare(was, t, "", was.root, t.root, &all, 0); err != nil {
		return nil, err
	}
	slices.SortFunc(all, func(a, b Change) int { return strings.Compare(a.Path, b.Path) })
	return all, nil
}

// compare adds what differs between two folders; "" is one that is not there.
func compare(was, is *Tree, at, from, to string, all *[]Change, depth int) error {
	if from == to {
		return nil
	}
	if depth > maxDepth {
		return fmt.Errorf("folders are nested deeper than %d in %q", maxDepth, at)
	}
	sides := [2]map[string]Entry{{}, {}}
	for i, side := range []struct {
		tree *Tree
		id   string
	}{{was, from}, {is, to}} {
		if side.id == "" {
			continue
		}
		entries, err := side.tree.folder(side.id)
		if err != nil {
			return fmt.Errorf("reading %q: %w", at, err)
		}
		for _, e := range entries {
			sides[i][e.Name] = e
		}
	}
	note := func(a, b Entry) error {
		name := path.Join(at, cmp.Or(a.Name, b.Name))
		if c := (Change{Path: name, From: fileMode(a), To: fileMode(b)}); c.From != 0 || c.To != 0 {
			*all = append(*all, c)
		}
		return compare(was, is, name, folderID(a), folderID(b), all, depth+1)
	}
	for name, e := range sides[0] {
		o := sides[1][name]
		if e.ID == o.ID && e.Mode == o.Mode {
			continue
		}
		if err := note(e, o); err != nil {
			return err
		}
	}
	for name, o := range sides[1] {
		if _, both := sides[0][name]; both {
			continue
		}
		if err := note(Entry{}, o); err != nil {
			return err
		}
	}
	return nil
}

func folderID(e Entry) string {
	if e.Mode == Folder {
		return e.ID
	}
	return ""
}

func fileMode(e Entry) Mode {
	if e.Mode == Folder {
		return 0
	}
	return e.Mode
}
