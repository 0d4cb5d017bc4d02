package publish

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"fnb/gitrepo"
	"fnb/store"
	"fnb/store/git"
	"fnb/store/records"
)

// indexBranch is the branch that holds the index of a store: always one commit.
const indexBranch = "refs/heads/index"

// ErrNotTip is wrapped by the error for an index that is of an older commit than the
// store's newest.
var ErrNotTip = errors.New("the store's own branch is at another commit")

// PushIndex replaces the branch index of a store's repository by one commit with the
// files of the folder out, which [records.Reader.Generate] has made from the working copy in dir. url
// is the repository; "" means the remote origin of dir.
//
// The commit depends on nothing but those files and the store's commit, so that doing
// it twice is doing it once, and pushed is false. Where the store has got another
// commit since, the error wraps [ErrNotTip]; whoever has pushed that one makes the index.
func PushIndex(ctx context.Context, s *store.Finder, dir, out, url string) (commit string, pushed bool, err error) {
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
	if url, err = store.ParseURL(url); err != nil {
		return "", false, err
	}
	if filepath.IsAbs(url) {
		url = "file://" + filepath.ToSlash(url)
	}
	index, err := indexCommit(head, out)
	if err != nil {
		return "", false, fmt.Errorf("reading the index: %w", err)
	}
	r := s.Git().Open(url)
	defer r.Close()
	refs, err := r.References(ctx)
	if err != nil {
		if missing, ok := errors.AsType[*git.NotFoundError](err); ok {
			err = &records.NoStoreError{Name: missing.URL, Err: missing.Err}
		}
		return "", false, err
	}
	if refs.Head != head.hash {
		return "", false, fmt.Errorf("%s: %w than %s", url, ErrNotTip, head.hash)
	}
	old := refs.Commits[indexBranch]
	if old == index.Hash() {
		return old, false, nil
	}
	return index.Hash(), true, s.Git().Push(ctx, url, indexBranch, old, index)
}

// A sourceCommit is the commit of a store that an index is made of.
type sourceCommit struct {
	hash      string
	committer git.Signature
}

// commitIn is the commit that is checked out in a folder, and the URL of its remote origin;
// "" for none.
func commitIn(ctx context.Context, dir string) (head sourceCommit, remote string, err error) {
	repo, err := gitrepo.Open(ctx, dir, gitrepo.Options{})
	if err != nil {
		return head, "", err
	}
	if remote, err = repo.Remote(ctx, "origin"); err != nil {
		return head, "", err
	}
	tree, err := repo.Tree(ctx, "HEAD")
	if err != nil {
		return head, "", err
	}
	if err := tree.Close(); err != nil {
		return head, "", err
	}
	if head.committer, head.hash, err = git.Committer(tree.Raw); err != nil {
		return head, "", fmt.Errorf("the git repository of %s: reading commit %s: %w", dir, tree.Commit, err)
	}
	if head.hash != tree.Commit {
		return head, "", fmt.Errorf("the git repository of %s names commits by SHA-256, and fnb cannot push to such a repository", dir)
	}
	return head, remote, nil
}

// indexCommit makes the commit of an index that was generated from a store's commit.
func indexCommit(source sourceCommit, out string) (*git.Commit, error) {
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
		return nil, err
	}
	return git.NewCommit(nil, files, source.committer, "index of "+source.hash)
}
