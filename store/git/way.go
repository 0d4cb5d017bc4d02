package git

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"

	"fnb/internal/plain"
	"fnb/origin"
	"fnb/store/gitconfig"
)

// A way is where a repository is asked for, and how: at its URL, or where git's
// configuration has it instead. All that is kept has the URL as it was written.
type way struct {
	address string         // without a secret
	key     string         // insteadOf or pushInsteadOf, where it is another one than the URL
	secret  *origin.Secret // that the configuration has in the address
	ep      *transport.Endpoint
	config  *gitconfig.Config
	// settings are those of HTTP; nil for all else.
	settings   *gitconfig.HTTP
	unfollowed []string
}

// findWay asks git's configuration about the repository.
func (r *Remote) findWay(ctx context.Context) error {
	if r.way != nil {
		return nil
	}
	config, err := r.client.gitConfig(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return &UnreachableError{URL: r.url, Err: err}
	}
	w := &way{config: config}
	w.address, w.key = config.Rewrite(r.url, r.push)
	if err := w.parse(); err != nil {
		return &UnreachableError{URL: r.url, Err: w.placed(err)}
	}
	r.way = w
	if w.ep.Protocol == "http" || w.ep.Protocol == "https" {
		u, err := url.Parse(w.address)
		if err == nil {
			w.settings, err = config.HTTP(u)
		}
		if err != nil {
			return r.unreachable(err)
		}
		w.unfollowed = w.settings.Unfollowed
	}
	if _, ok := config.Last("core", "gitproxy"); ok && w.ep.Protocol == "git" {
		w.unfollowed = append(w.unfollowed, "core.gitProxy")
	}
	if config.Forbids(w.ep.Protocol) {
		return r.unreachable(fmt.Errorf("git's configuration says never to speak %s", w.ep.Protocol))
	}
	return nil
}

// parse reads the address, and takes a secret out of it.
func (w *way) parse() error {
	if filepath.IsAbs(w.address) {
		w.address = "file://" + filepath.ToSlash(w.address)
	}
	if strings.Contains(w.address, "://") {
		u, err := origin.Check(w.address)
		if err != nil {
			w.address = "an address that cannot be read"
			return err
		}
		if password, ok := u.User.Password(); u.User != nil && u.Scheme != "ssh" {
			user := u.User.Username()
			if !ok {
				user, password = "git", user
			}
			if u.User = nil; password != "" {
				w.secret = &origin.Secret{For: origin.Of(u), User: user, Password: password}
			}
			w.address = u.String()
		} else if ok {
			u.User = url.User(u.User.Username())
			w.address = u.String()
		}
	}
	ep, err := transport.NewEndpoint(w.address)
	if err != nil {
		return plain.Error(err)
	}
	if strings.HasPrefix(ep.Host, "-") || strings.HasPrefix(ep.User, "-") || strings.HasPrefix(ep.Path, "-") {
		return errors.New("its parts may not begin with a hyphen")
	}
	if !strings.Contains(w.address, "://") && ep.Port == 22 {
		ep.Port = 0 // which is go-git's for none; ssh's configuration may have another
	}
	w.ep = ep
	return nil
}

// placed says where an error is from, if that is not the URL.
func (w *way) placed(err error) error {
	if w == nil || w.key == "" {
		return err
	}
	return fmt.Errorf("at %s, which git's configuration has %s it: %w", plain.Short(w.address), w.key, err)
}

func (r *Remote) placed(err error) error { return r.way.placed(err) }

func (r *Remote) unreachable(err error) error {
	return &UnreachableError{URL: r.url, Err: plain.Error(r.placed(err))}
}

// withUnfollowed adds to an error what may be its reason.
func (r *Remote) withUnfollowed(err error) error {
	if err == nil || len(r.way.unfollowed) == 0 {
		return err
	}
	return &UnfollowedError{Keys: slices.Compact(slices.Sorted(slices.Values(r.way.unfollowed))), Err: err}
}

// least is how far away whoever is asked must be. Where the user's own configuration
// leads, nobody else does.
func (r *Remote) least() origin.Reach {
	if r.way != nil && r.way.key != "" {
		return origin.Machine
	}
	return r.client.opts.Restraint.Least
}

// address is what is asked.
func (r *Remote) address() string {
	if r.way == nil {
		return r.url
	}
	return r.way.address
}

// origin is whom the user speaks to.
func (w *way) origin() origin.Origin {
	u, err := url.Parse(w.address)
	if err != nil {
		return origin.Origin{}
	}
	return origin.Of(u)
}

// host is who is asked, as a URL has it.
func (r *Remote) host() string {
	return (&way{address: r.address()}).origin().HostPort()
}

// mayAuthenticate reports whether the repository may be told who asks.
func (r *Remote) mayAuthenticate() bool {
	return r.client.opts.Restraint.MaySend == nil || r.client.opts.Restraint.MaySend(r.url)
}

// mayShow is mayAuthenticate for what is shown without being asked for, and tells of it.
func (r *Remote) mayShow() bool {
	may := r.mayAuthenticate()
	if may && r.client.opts.Restraint.Sent != nil {
		r.client.opts.Restraint.Sent(r.url)
	}
	return may
}
