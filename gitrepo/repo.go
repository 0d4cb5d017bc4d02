package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// ErrNone says that a folder is in no git repository.
var ErrNone = errors.New("not in a git repository")

// Options say how a repository is opened.
type Options struct {
	// Itself says that the folder has to be the repository, bare or the top of a
	// checkout, and not a folder somewhere below it.
	Itself bool
	// Offline forbids to fetch what a partial clone lacks.
	Offline bool
	// Ahead has what [Repo.Checkout] asks first asked at once.
	Ahead bool
}

// A Repo is a git repository in a folder of this machine. Its methods may be called
// concurrently.
type Repo struct {
	// Root is the folder at the top of the checkout, as the folder that was opened is
	// spelled where that is possible; "" of a bare repository.
	Root string
	// Prefix is the folder that was opened, relative to Root, with slashes; "." for
	// Root itself.
	Prefix string
	// Shallow says that the history was cut when it was cloned.
	Shallow bool

	dir     string // that was opened, absolute
	offline bool
	source  source
}

// A Head is what is checked out.
type Head struct {
	Commit string // 40 hex digits, or 64
	Branch string // "" on a detached HEAD
}

// A source is whom a repository is read by: git itself, or go-git.
type source interface {
	head(ctx context.Context) (Head, error)
	describe(ctx context.Context) (string, error)
	// remote is the URL of a remote; "" where there is none.
	remote(ctx context.Context, name string) (string, error)
	// objects opens what reads objects, until it is closed or ctx ends.
	objects(ctx context.Context) (objects, error)
}

// Open opens the repository that a folder is in. Without one the error is [ErrNone]; one
// that git refuses or cannot read is a [*GitError], one that needs git while there is
// none an [*ExtensionError].
func Open(ctx context.Context, dir string, opts Options) (*Repo, error) {
	full, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	r := &Repo{dir: full, offline: opts.Offline}
	bin, err := exec.LookPath("git")
	if err != nil {
		err = r.read(opts)
	} else {
		err = r.ask(ctx, bin, opts)
	}
	if err != nil {
		return nil, err
	}
	if a, ok := r.source.(*asked); ok && opts.Ahead {
		go func() { _, _ = a.config(ctx) }() // whoever needs it waits, and has the error
	}
	return r, nil
}

// Head returns what is checked out. A repository without a commit is an [*EmptyError].
func (r *Repo) Head(ctx context.Context) (Head, error) { return r.source.head(ctx) }

// Describe names HEAD by its nearest tag, as git describe --tags --always does.
func (r *Repo) Describe(ctx context.Context) (string, error) { return r.source.describe(ctx) }

// Remote returns the URL of a remote as it is configured, with credentials if it has
// any; "" where there is no such remote.
func (r *Repo) Remote(ctx context.Context, name string) (string, error) {
	return r.source.remote(ctx, name)
}

// found reports whether a folder is, or is in, something that looks like a repository. It
// spares a process where there is none.
func found(dir string, itself bool) bool {
	if itself {
		return exists(filepath.Join(dir, ".git")) || isBare(dir)
	}
	for at := dir; ; at = filepath.Dir(at) {
		if exists(filepath.Join(at, ".git")) || isBare(at) {
			return true
		}
		if at == filepath.Dir(at) {
			return false
		}
	}
}

func exists(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

// isBare reports whether a folder is what git keeps a repository in.
func isBare(dir string) bool {
	return exists(filepath.Join(dir, "HEAD")) && exists(filepath.Join(dir, "objects")) && exists(filepath.Join(dir, "refs"))
}

// place notes where the checkout is: top as git says it, with links resolved.
func (r *Repo) place(top string) error {
	real, err := filepath.EvalSymlinks(r.dir)
	if err != nil {
		return err
	}
	if top, err = filepath.EvalSymlinks(top); err != nil {
		return err
	}
	below, err := filepath.Rel(top, real)
	if err != nil || !filepath.IsLocal(below) {
		return fmt.Errorf("the git repository of %s: its checkout is %s", r.dir, top)
	}
	r.Root, r.Prefix = top, filepath.ToSlash(below)
	// Whoever came by a link goes on by it.
	if up := r.dir; below == "." {
		r.Root = up
	} else if rest, ok := strings.CutSuffix(up, string(filepath.Separator)+below); ok && rest != "" {
		if again, err := filepath.EvalSymlinks(rest); err == nil && again == top {
			r.Root = rest
		}
	}
	return nil
}

// Path returns where a path, relative to the folder that was opened, is below Root, with
// slashes; ok is false where it is not below it.
func (r *Repo) Path(name string) (below string, ok bool) {
	below = path.Join(r.Prefix, filepath.ToSlash(name))
	return below, filepath.IsLocal(filepath.FromSlash(below))
}
