package store

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
)

// describeDepth bounds how far back Describe looks for a tag.
const describeDepth = 10_000

// ErrNoRepository says that a folder is in no git repository.
var ErrNoRepository = errors.New("not in a git repository")

// A Revision is where a user's own git repository stands.
type Revision struct {
	Commit string // 40 hex digits
	Branch string // "" on a detached HEAD
	Source string // URL of the remote origin, without credentials; "" for none
}

// ReadRevision returns where the repository stands that dir is in. Without one
// it is [ErrNoRepository]; a repository without a commit is an error of its own.
func ReadRevision(dir string) (Revision, error) {
	repo, head, err := openWorktree(dir)
	if err != nil {
		return Revision{}, err
	}
	r := Revision{Commit: head.Hash().String()}
	if head.Name().IsBranch() {
		r.Branch = head.Name().Short()
	}
	if remote, err := repo.Remote("origin"); err == nil && len(remote.Config().URLs) > 0 {
		r.Source = withoutCredentials(remote.Config().URLs[0])
	}
	return r, nil
}

// WorktreeRoot returns the folder at the top of the checkout that dir is in.
// Without a git repository it is [ErrNoRepository]; a commit is not needed.
func WorktreeRoot(dir string) (string, error) {
	repo, err := openRepository(dir)
	if err != nil {
		return "", err
	}
	tree, err := repo.Worktree()
	if err != nil {
		return "", fmt.Errorf("the git repository of %s: %w", dir, err)
	}
	return tree.Filesystem.Root(), nil
}

// WriteRevision writes the files of a revision of the repository that dir is in
// below dest, a folder that is there. What is in submodules is left out. A
// revision is what git rev-parse takes; an unknown one is an error.
func WriteRevision(dir, rev, dest string) error {
	repo, err := openRepository(dir)
	if err != nil {
		return err
	}
	hash, err := repo.ResolveRevision(plumbing.Revision(rev))
	if err != nil {
		return fmt.Errorf("%s is no revision of the git repository of %s: %w", rev, dir, err)
	}
	commit, err := repo.CommitObject(*hash)
	if err != nil {
		return fmt.Errorf("reading commit %s: %w", hash, err)
	}
	files, err := commit.Files()
	if err != nil {
		return fmt.Errorf("reading commit %s: %w", hash, err)
	}
	root, err := os.OpenRoot(dest) // nothing is written outside of it
	if err != nil {
		return err
	}
	return errors.Join(files.ForEach(func(f *object.File) error { return writeFile(root, f) }), root.Close())
}

// writeFile writes one file of a revision.
func writeFile(root *os.Root, f *object.File) (err error) {
	name := filepath.FromSlash(f.Name)
	if err := root.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	r, err := f.Reader()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if f.Mode == filemode.Symlink {
		target, err := io.ReadAll(io.LimitReader(r, maxPathLen))
		if err != nil {
			return err
		}
		return root.Symlink(string(target), name)
	}
	mode := os.FileMode(0o644)
	if f.Mode == filemode.Executable {
		mode = 0o755
	}
	w, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	return errors.Join(err, w.Close())
}

// Describe names the commit of the repository that dir is in by its nearest tag,
// as git describe --tags --always does. It walks back through history, which
// takes a while in a long one. Errors are those of [ReadRevision].
func Describe(dir string) (string, error) {
	repo, head, err := openWorktree(dir)
	if err != nil {
		return "", err
	}
	name, err := describe(repo, head.Hash())
	if err != nil {
		return "", fmt.Errorf("describing HEAD of the git repository of %s: %w", dir, err)
	}
	return name, nil
}

func openRepository(dir string) (*git.Repository, error) {
	repo, err := git.PlainOpenWithOptions(dir, &git.PlainOpenOptions{DetectDotGit: true, EnableDotGitCommonDir: true})
	if errors.Is(err, git.ErrRepositoryNotExists) {
		return nil, ErrNoRepository
	}
	if err != nil {
		return nil, fmt.Errorf("opening the git repository of %s: %w", dir, err)
	}
	return repo, nil
}

func openWorktree(dir string) (*git.Repository, *plumbing.Reference, error) {
	repo, err := openRepository(dir)
	if err != nil {
		return nil, nil, err
	}
	head, err := repo.Head()
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return nil, nil, fmt.Errorf("the git repository of %s has no commit yet", dir)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("reading HEAD of the git repository of %s: %w", dir, err)
	}
	return repo, head, nil
}

// describe names a commit by the nearest tag before it: v1.2, or v1.2-3-gabcdef0
// three commits later, or the short commit without a tag.
func describe(repo *git.Repository, head plumbing.Hash) (string, error) {
	tags := map[plumbing.Hash]string{}
	refs, err := repo.Tags()
	if err != nil {
		return "", err
	}
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		h := ref.Hash()
		if t, err := repo.TagObject(h); err == nil {
			h = t.Target
		}
		if old, ok := tags[h]; !ok || ref.Name().Short() > old {
			tags[h] = ref.Name().Short()
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	short := head.String()[:7]
	if len(tags) == 0 {
		return short, nil
	}
	commits, err := repo.Log(&git.LogOptions{From: head})
	if err != nil {
		return "", err
	}
	name, n := short, 0
	err = commits.ForEach(func(c *object.Commit) error {
		if tag, ok := tags[c.Hash]; ok {
			if name = tag; n > 0 {
				name = fmt.Sprintf("%s-%d-g%s", tag, n, short)
			}
			return storer.ErrStop
		}
		if n++; n > describeDepth {
			return storer.ErrStop
		}
		return nil
	})
	// A shallow clone ends where its history was cut; that is no tag found.
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return short, nil
	}
	return name, err
}

// withoutCredentials takes user and password off a remote's URL.
func withoutCredentials(remote string) string {
	if u, err := url.Parse(remote); err == nil && u.Scheme != "" && u.Host != "" {
		if u.Scheme != "ssh" || hasPassword(u) {
			u.User = nil
		}
		return u.String()
	}
	if _, rest, ok := strings.Cut(remote, "@"); ok && strings.Contains(rest, ":") {
		return "ssh://" + strings.Replace(rest, ":", "/", 1)
	}
	return remote
}

func hasPassword(u *url.URL) bool {
	_, ok := u.User.Password()
	return ok
}
