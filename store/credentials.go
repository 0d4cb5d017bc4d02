package store

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/transport"
)

// credentials finds a user and a secret for a git server.
type credentials struct {
	getenv func(string) string
	sent   bool
}

type finder func(ctx context.Context, ep *transport.Endpoint) (user, secret string, err error)

// places returns where credentials are looked for, in order.
func (c *credentials) places() []finder {
	return []finder{c.token, c.netrc, c.helper}
}

// hostPort is an endpoint's host, with its port where it has one.
func hostPort(ep *transport.Endpoint) string {
	if ep.Port == 0 {
		return ep.Host
	}
	return fmt.Sprintf("%s:%d", ep.Host, ep.Port)
}

// token looks in the environment: FNB_GIT_TOKEN_HOST, with each character of the
// host that is no letter or digit as _, and what GitHub and GitLab give their CI
// jobs, for their hosts only.
func (c *credentials) token(_ context.Context, ep *transport.Endpoint) (user, secret string, err error) {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return '_'
	}, hostPort(ep))
	if t := c.getenv("FNB_GIT_TOKEN_" + strings.ToUpper(name)); t != "" {
		if user, secret, ok := strings.Cut(t, ":"); ok {
			return user, secret, nil
		}
		return "git", t, nil
	}
	switch ep.Host {
	case "github.com":
		for _, v := range []string{"GH_TOKEN", "GITHUB_TOKEN"} {
			if t := c.getenv(v); t != "" {
				return "x-access-token", t, nil
			}
		}
	case "gitlab.com":
		if t := c.getenv("GITLAB_TOKEN"); t != "" {
			return "oauth2", t, nil
		}
	}
	if t := c.getenv("CI_JOB_TOKEN"); t != "" && c.getenv("CI_SERVER_HOST") == ep.Host {
		return "gitlab-ci-token", t, nil
	}
	return "", "", nil
}

// netrc looks in $NETRC or ~/.netrc.
func (c *credentials) netrc(_ context.Context, ep *transport.Endpoint) (user, secret string, err error) {
	path := c.getenv("NETRC")
	if path == "" {
		home := c.getenv("HOME")
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
	return readNetrc(f, ep.Host)
}

// readNetrc returns the login and password of the first entry for host, or of the
// default one.
func readNetrc(f *os.File, host string) (user, secret string, err error) {
	words := bufio.NewScanner(f)
	words.Split(bufio.ScanWords)
	matches, done := false, false
	for words.Scan() {
		next := func() string {
			if words.Scan() {
				return words.Text()
			}
			return ""
		}
		switch words.Text() {
		case "machine":
			done = done || matches && secret != ""
			matches = next() == host
		case "default":
			done = done || matches && secret != ""
			matches = true
		case "macdef":
			// A macro ends with an empty line, which words do not show; such files
			// are read up to there.
			done = true
		case "login":
			if v := next(); matches && !done {
				user = v
			}
		case "password":
			if v := next(); matches && !done {
				secret = v
			}
		}
		if done {
			break
		}
	}
	if err := words.Err(); err != nil {
		return "", "", fmt.Errorf("reading credentials: %w", err)
	}
	return user, secret, nil
}

// helper asks git's credential helpers, which the user has configured. Nobody is
// asked at the terminal. Without git there are none.
func (c *credentials) helper(ctx context.Context, ep *transport.Endpoint) (user, secret string, err error) {
	bin, err := exec.LookPath("git")
	if err != nil {
		return "", "", nil //nolint:nilerr // without git there are no helpers
	}
	cmd := exec.CommandContext(ctx, bin, "credential", "fill")
	cmd.Env = append(os.Environ(), "GIT_TERMINAL_PROMPT=0", "GIT_ASKPASS=true", "SSH_ASKPASS=true")
	if home := c.getenv("HOME"); home != "" {
		cmd.Env = append(cmd.Env, "HOME="+home)
	}
	cmd.Dir = string(filepath.Separator) // the configuration of a repository that happens to be here does not count
	cmd.Stdin = strings.NewReader(fmt.Sprintf("protocol=%s\nhost=%s\npath=%s\n\n", ep.Protocol, hostPort(ep), strings.TrimPrefix(ep.Path, "/")))
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", "", ctx.Err()
	}
	if err != nil {
		// That is how git says that no helper knows anything.
		return "", "", nil //nolint:nilerr // see above
	}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), "=")
		switch key {
		case "username":
			user = value
		case "password":
			secret = value
		}
	}
	return user, secret, nil
}
