package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"fnb/internal/plain"
)

// ErrTooLarge is wrapped by the error of [Tree.Read] for a file beyond its limit.
var ErrTooLarge = errors.New("the file is too large")

// A Tree is the files of a repository at one commit, or of a folder of them. It keeps
// no more of them than the folders on the way to the one that was read last, since a
// repository has very many; so it is not safe for concurrent use.
type Tree struct {
	Commit string // 40 hexadecimal digits

	source  string // the repository's URL
	limits  Limits
	objects storer.EncodedObjectStorer
	root    *object.Tree

	names []string // of the folders on the way
	way   []*object.Tree
}

// A Entry is one name in a folder.
type Entry struct {
	Name   string
	Folder bool
	Plain  bool // a file; links and submodules are neither
}

// openTree returns the files of a commit, or of what a tag names.
func openTree(objects storer.EncodedObjectStorer, source, hash string, limits Limits) (*Tree, error) {
	h := plumbing.NewHash(hash)
	for range maxTagsDeep {
		tag, err := object.GetTag(objects, h)
		if err != nil {
			break
		}
		h = tag.Target
	}
	commit, err := object.GetCommit(objects, h)
	if err != nil {
		return nil, &UnreachableError{URL: source, Err: fmt.Errorf("reading commit %s: %w", hash, plain.Error(err))}
	}
	root, err := commit.Tree()
	if err != nil {
		return nil, &UnreachableError{URL: source, Err: fmt.Errorf("reading commit %s: %w", hash, plain.Error(err))}
	}
	return &Tree{Commit: hash, source: source, limits: limits, objects: objects, root: root}, nil
}

// At returns a folder of the tree, "." for itself; false where there is none.
func (t *Tree) At(dir string) (*Tree, bool) {
	root := t.root
	if dir != "." {
		var err error
		if root, err = t.root.Tree(dir); err != nil {
			return nil, false
		}
	}
	return &Tree{Commit: t.Commit, source: t.source, limits: t.limits, objects: t.objects, root: root}, true
}

// Names are all names in the folder itself.
func (t *Tree) Names() []string {
	names := make([]string, 0, len(t.root.Entries))
	for _, e := range t.root.Entries {
		names = append(names, e.Name)
	}
	return names
}

// Write writes the files into the folder dir, which it makes, and nothing anywhere
// else. What should not come from anybody is a [*RefusedError], and what is beyond the
// limits a [*LimitError].
func (t *Tree) Write(ctx context.Context, dir string) error {
	x := &extract{objects: t.objects, source: t.source, limits: t.limits}
	return x.write(ctx, t.root, dir)
}

// folder returns a folder of the tree.
func (t *Tree) folder(dir string) (*object.Tree, error) {
	if dir == "." {
		return t.root, nil
	}
	names := strings.Split(dir, "/")
	same := 0
	for same < len(names) && same < len(t.names) && names[same] == t.names[same] {
		same++
	}
	t.names, t.way = t.names[:same], t.way[:same]
	for _, name := range names[same:] {
		at := t.root
		if len(t.way) > 0 {
			at = t.way[len(t.way)-1]
		}
		e, ok := entryOf(at, name)
		if !ok || e.Mode != filemode.Dir {
			return nil, fs.ErrNotExist
		}
		sub, err := object.GetTree(t.objects, e.Hash)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", plain.Path(dir), plain.Error(err))
		}
		t.names, t.way = append(t.names, name), append(t.way, sub)
	}
	return t.way[len(t.way)-1], nil
}

func entryOf(t *object.Tree, name string) (object.TreeEntry, bool) {
	i := slices.IndexFunc(t.Entries, func(e object.TreeEntry) bool { return e.Name == name })
	if i < 0 {
		return object.TreeEntry{}, false
	}
	return t.Entries[i], true
}

func isPlain(e object.TreeEntry) bool { return e.Mode.IsFile() && e.Mode != filemode.Symlink }

// List returns what is in a folder, sorted by name; a folder that is not there is
// [fs.ErrNotExist].
func (t *Tree) List(dir string) ([]Entry, error) {
	sub, err := t.folder(dir)
	if err != nil {
		return nil, err
	}
	var all []Entry
	for _, e := range sub.Entries {
		all = append(all, Entry{e.Name, e.Mode == filemode.Dir, isPlain(e)})
	}
	slices.SortFunc(all, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Read returns a plain file of no more bytes than limit; all else is missing, which is
// [fs.ErrNotExist].
func (t *Tree) Read(name string, limit int64) ([]byte, error) {
	dir, err := t.folder(path.Dir(name))
	if err != nil {
		return nil, err
	}
	e, ok := entryOf(dir, path.Base(name))
	if !ok || !isPlain(e) {
		return nil, fs.ErrNotExist
	}
	blob, err := object.GetBlob(t.objects, e.Hash)
	if errors.Is(err, plumbing.ErrObjectNotFound) || err == nil && blob.Size > limit {
		// The server was asked to leave out what is much too large.
		return nil, fmt.Errorf("reading %s: %w", plain.Path(name), ErrTooLarge)
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", plain.Path(name), plain.Error(err))
	}
	r, err := blob.Reader()
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", plain.Path(name), plain.Error(err))
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}
