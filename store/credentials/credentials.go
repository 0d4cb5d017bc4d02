package credentials

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"fnb/internal/plain"
	"fnb/origin"
)

// An AddressError says that nobody is asked for credentials for an address.
type AddressError struct {
	Address string // as it may be shown
	Err     error
}

func (e *AddressError) Error() string { return e.Address + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the address.
func (e *AddressError) Unwrap() error { return e.Err }

// A lookup finds a user and a secret for a server.
type lookup struct{ getenv func(string) string }

// A target is what credentials are looked for.
type target struct {
	origin.Origin
	path string // decoded, without a slash before it
}

type place func(ctx context.Context, to target) (user, secret string, err error)

// places returns where credentials are looked for, in order.
func (l *lookup) places() []place {
	return []place{l.token, l.netrc, l.helper}
}

// Each calls use with each secret that is found for an address, until it says that it
// wants no more. getenv is where tokens and the user's home are looked up.
func Each(ctx context.Context, getenv func(string) string, address string, use func(*origin.Secret) (more bool, err error)) error {
	u, err := origin.Check(address)
	if err != nil {
		return &AddressError{Address: plain.Short(address), Err: err}
	}
	to := target{Origin: origin.Of(u), path: strings.TrimPrefix(u.Path, "/")}
	for _, find := range (&lookup{getenv}).places() {
		user, secret, err := find(ctx, to)
		if err != nil {
			return err
		}
		if secret == "" {
			continue
		}
		if more, err := use(&origin.Secret{For: to.Origin, User: user, Password: secret}); err != nil || !more {
			return err
		}
	}
	return nil
}

// tokenPrefix is what the variables begin with that hold tokens.
const tokenPrefix = "FNB_GIT_TOKEN_"

// TokenVariable returns the environment variable in which the token of a host is looked
// for, with its port where that is not the usual one; "" for what is no host name. No
// two hosts have the same: a dot is _, and a hyphen __, which cannot be two dots.
func TokenVariable(host string) string {
	if origin.CheckHost(host) != nil {
		return ""
	}
	name, port, hasPort := strings.Cut(host, ":")
	if strings.HasPrefix(host, "[") {
		return tokenPrefix + strings.ToUpper(strings.NewReplacer("[", "_", "]", "_", ":", "_").Replace(host))
	}
	labels := strings.Split(name, ".")
	for _, l := range labels {
		if l == "" || strings.HasPrefix(l, "-") || strings.HasSuffix(l, "-") || strings.ContainsFunc(l, isOddInLabel) {
			return ""
		}
	}
	// What ends in a number would be taken for a host with a port.
	if _, err := netip.ParseAddr(name); err != nil && strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		return ""
	}
	variable := strings.NewReplacer(".", "_", "-", "__").Replace(name)
	if hasPort {
		variable += "_" + port
	}
	return tokenPrefix + strings.ToUpper(variable)
}

func isOddInLabel(r rune) bool {
	return r != '-' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
}

// A TokenNameError says that a token was not sent because its variable is that of
// another host.
type TokenNameError struct {
	Host     string // that wants a token
	Variable string // that is set
	Right    string // that would be the host's
}

func (e *TokenNameError) Error() string {
	return fmt.Sprintf("%s is not for %s: each hyphen of a host is two underscores", e.Variable, e.Host)
}

// token looks in the environment: in the host's [TokenVariable], and in what GitHub and
// GitLab give their CI jobs, for their hosts only.
func (l *lookup) token(_ context.Context, to target) (user, secret string, err error) {
	host := to.HostPort()
	if name := TokenVariable(host); name != "" {
		if t := l.getenv(name); t != "" {
			if user, secret, ok := strings.Cut(t, ":"); ok {
				return user, secret, nil
			}
			return "git", t, nil
		}
		alike := strings.ReplaceAll(name, "__", "_")
		if strings.Contains(host, "-") && l.getenv(alike) != "" {
			return "", "", &TokenNameError{Host: host, Variable: alike, Right: name}
		}
	}
	user, secret = l.ciToken(to)
	return user, secret, nil
}

// ciToken is what GitHub and GitLab give their CI jobs and command lines.
func (l *lookup) ciToken(to target) (user, secret string) {
	usual := to.Scheme == "https" && to.IsUsualPort()
	switch {
	case usual && to.Host == "github.com":
		user, secret = "x-access-token", cmp.Or(l.getenv("GH_TOKEN"), l.getenv("GITHUB_TOKEN"))
	case usual && to.Host == "gitlab.com":
		user, secret = "oauth2", l.getenv("GITLAB_TOKEN")
	}
	port := l.getenv("CI_SERVER_PORT")
	if secret == "" && l.getenv("CI_SERVER_HOST") == to.Host && to.Scheme == cmp.Or(l.getenv("CI_SERVER_PROTOCOL"), "https") &&
		(port == to.Port || port == "" && to.IsUsualPort()) {
		user, secret = "gitlab-ci-token", l.getenv("CI_JOB_TOKEN")
	}
	return user, secret
}

// netrc looks in $NETRC or ~/.netrc, which know hosts but no ports.
func (l *lookup) netrc(_ context.Context, to target) (user, secret string, err error) {
	path := l.getenv("NETRC")
	if path == "" {
		home := l.getenv("HOME")
		if home == "" {
			return "", "", nil
		}
		path = filepath.Join(home, ".netrc")
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", "", nil
	}
	if err != nil {
		return "", "", fmt.Errorf("reading credentials: %w", err)
	}
	defer func() { _ = f.Close() }() // it was only read from
	return readNetrc(f, to.Host)
}

// helper asks git's credential helpers, which the user has configured. Nobody is
// asked at the terminal. Without git there are none.
func (l *lookup) helper(ctx context.Context, to target) (user, secret string, err error) {
	bin, err := exec.LookPath("git")
	if err != nil {
		return "", "", nil //nolint:nilerr // without git there are no helpers
	}
	question, err := to.question()
	if err != nil {
		return "", "", err
	}
	cmd := exec.CommandContext(ctx, bin, "credential", "fill")
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "SSH_ASKPASS=true")
	if home := l.getenv("HOME"); home != "" {
		cmd.Env = append(cmd.Env, "HOME="+home)
	}
	cmd.Dir = string(filepath.Separator) // the configuration of a repository that happens to be here does not count
	cmd.Stdin = strings.NewReader(question)
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	if err != nil {
		// That is how git says that no helper knows anything.
		return "", "", nil //nolint:nilerr // see above
	}
	return readAnswer(string(out), to)
}

// question is what git is asked: three lines. One more would be one more thing that is
// asked, of another host.
func (to target) question() (string, error) {
	text := fmt.Sprintf("protocol=%s\nhost=%s\npath=%s\n", to.Scheme, to.HostPort(), to.path)
	if strings.Count(text, "\n") != 3 || strings.ContainsAny(text, "\r\x00") {
		return "", &AddressError{Address: plain.Short(to.HostPort()), Err: origin.ErrControl}
	}
	if to.Host == "" || to.Scheme == "" {
		return "", &AddressError{Address: plain.Short(to.HostPort()), Err: origin.ErrNoHost}
	}
	return text + "\n", nil
}

// readAnswer reads what git says, which has to be of the host that was asked for: a
// helper may name another one.
func readAnswer(out string, to target) (user, secret string, err error) {
	for line := range strings.Lines(out) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		switch {
		case key == "username":
			user = value
		case key == "password":
			secret = value
		case key == "protocol" && value != to.Scheme, key == "host" && value != to.HostPort():
			return "", "", fmt.Errorf("asking git's credential helper for %s: it answered for another host", plain.Short(to.HostPort()))
		}
	}
	return user, secret, nil
}
