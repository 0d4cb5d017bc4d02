package gitrepo

import (
	"context"
	"net/url"
	"strings"
)

// A Revision is where a user's own git repository stands.
type Revision struct {
	Commit string // 40 hex digits, or 64
	Branch string // "" on a detached HEAD
	Source string // URL of the remote origin, without credentials; "" for none
}

// ReadRevision returns where the repository stands that dir is in. Without one it is
// [ErrNone]; the other errors are those of [Open] and [Repo.Head].
func ReadRevision(ctx context.Context, dir string) (Revision, error) {
	repo, err := Open(ctx, dir, Options{})
	if err != nil {
		return Revision{}, err
	}
	return repo.Revision(ctx)
}

// Revision returns where the repository stands.
func (r *Repo) Revision(ctx context.Context) (Revision, error) {
	head, err := r.Head(ctx)
	if err != nil {
		return Revision{}, err
	}
	at, err := r.Remote(ctx, "origin")
	if err != nil {
		return Revision{}, err
	}
	return Revision{Commit: head.Commit, Branch: head.Branch, Source: WithoutCredentials(at)}, nil
}

// WithoutCredentials takes user and password off a remote's URL.
func WithoutCredentials(remote string) string {
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
