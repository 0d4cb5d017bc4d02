package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/memory"

	"fnb/gitrepo"
)

// indexBranch is the branch that holds the index of a store: always one commit.
const indexBranch = "refs/heads/index"

// ErrNotTip is wrapped by the error for an index that is of an older commit than the
// store's newest.
var ErrNotTip = errors.New("the store's own branch is at another commit")

// PushIndex replaces the branch index of a store's repository by one commit with the
// files of the folder out, which [Generate] has made from the working copy in dir. url
// is the repository; "" means the remote origin of dir.
//
// The commit depends on nothing but those files and the store's commit, so that doing
// it twice is doing it once, and pushed is false. Where the store has got another
// commit since, the error wraps [ErrNotTip]; whoever has pushed that one makes the index.
func (s *Store) PushIndex(ctx context.Context, dir, out, url string) (commit string, pushed bool, err error) {
	head, origin, err := commitIn(ctx, dir)
	if err != nil {
		return "", false, err
	}
	if url == "" && origin == "" {
		return "", false, fmt.Errorf("the git repository of %s has no remote origin", dir)
	}
	if url == "" {
		url = origin
	}
	if url, err = storeURL(url); err != nil {
		return "", false, err
	}
	if filepath.IsAbs(url) {
		url = "file://" + filepath.ToSlash(url)
	}
	p := &push{url: url, branch: indexBranch, objects: memory.NewStorage()}
	if err := p.index(head, out); err != nil {
		return "", false, fmt.Errorf("reading the index: %w", err)
	}
	r := &remote{store: s, url: url}
	if err := r.connect(ctx); err != nil {
		return "", false, err
	}
	defer r.close()
	if r.adv.Head == nil || *r.adv.Head != head.Hash {
		return "", false, fmt.Errorf("%s: %w than %s", url, ErrNotTip, head.Hash)
	}
	if p.old = r.adv.References[indexBranch]; p.old == p.commit {
		return p.commit.String(), false, nil
	}
	return p.commit.String(), true, p.send(ctx, s)
}

// commitIn is the commit that is checked out in a folder, and the URL of its remote origin;
// "" for none.
func commitIn(ctx context.Context, dir string) (*object.Commit, string, error) {
	repo, err := gitrepo.Open(ctx, dir, gitrepo.Options{})
	if err != nil {
		return nil, "", err
	}
	origin, err := repo.Remote(ctx, "origin")
	if err != nil {
		return nil, "", err
	}
	tree, err := repo.Tree(ctx, "HEAD")
	if err != nil {
		return nil, "", err
	}
	if err := tree.Close(); err != nil {
		return nil, "", err
	}
	o := &plumbing.MemoryObject{}
	o.SetType(plumbing.CommitObject)
	if _, err := o.Write(tree.Raw); err != nil {
		return nil, "", err
	}
	commit := &object.Commit{}
	if err := commit.Decode(o); err != nil {
		return nil, "", fmt.Errorf("the git repository of %s: reading commit %s: %w", dir, tree.Commit, err)
	}
	if commit.Hash.String() != tree.Commit {
		return nil, "", fmt.Errorf("the git repository of %s names commits by SHA-256, and fnb pushes to none of that kind", dir)
	}
	return commit, origin, nil
}

// index makes the commit of an index that was generated from a store's commit.
func (p *push) index(source *object.Commit, out string) error {
	files := map[string][]byte{}
	err := filepath.WalkDir(out, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		below, err := filepath.Rel(out, name)
		if err != nil {
			return err
		}
		files[filepath.ToSlash(below)], err = os.ReadFile(name)
		return err
	})
	if err != nil {
		return err
	}
	root, err := p.tree(nil, files)
	if err != nil {
		return err
	}
	p.commit, err = p.store(&object.Commit{
		Author: source.Committer, Committer: source.Committer, TreeHash: root,
		Message: "index of " + source.Hash.String() + "\n",
	})
	return err
}
