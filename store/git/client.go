package git

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"os"
	"strings"
	"time"

	"fnb/origin"
	"fnb/store/credentials"
	"fnb/store/gitconfig"
)

// Options say how a [Client] works. The zero value works.
type Options struct {
	// Insecure are hosts, with their ports, that may be spoken to in plain HTTP or
	// by the git protocol. This machine always may.
	Insecure []string
	// RootCAs are the certificate authorities; nil means the system's.
	RootCAs *x509.CertPool
	// Limits bound what is taken from a repository; zero values are the defaults.
	Limits Limits
	// Timeout is how long a server may keep silent; 0 means a minute.
	Timeout time.Duration
	// Getenv is where tokens and the like are looked up; nil means the process'
	// environment.
	Getenv func(string) string
	// Restraint keeps the client from places and secrets; zero is none.
	Restraint Restraint
}

// A Restraint is what holds for places that somebody else names.
type Restraint struct {
	// Least is how far away whoever is asked has to be at least.
	Least origin.Reach
	// MaySend says whether credentials may be sent to a repository; nil is yes.
	MaySend func(url string) bool
	// Sent is told where they were; may be nil.
	Sent func(url string)
}

// Limits bound what is taken from a repository.
type Limits struct {
	Download int64 // bytes that are fetched; 0 means 256 MiB
	Unpacked int64 // bytes of all objects that were fetched; 0 means 1 GiB
	File     int64 // bytes of one file; 0 means 32 MiB
	Template int64 // bytes of the files that are written; 0 means 128 MiB
	Files    int64 // files that are written; 0 means 10 000
	Objects  int64 // objects that are fetched; 0 means 200 000
}

func (l Limits) withDefaults() Limits {
	return Limits{
		Download: cmp.Or(l.Download, 256<<20),
		Unpacked: cmp.Or(l.Unpacked, 1<<30),
		File:     cmp.Or(l.File, 32<<20),
		Template: cmp.Or(l.Template, 128<<20),
		Files:    cmp.Or(l.Files, 10_000),
		Objects:  cmp.Or(l.Objects, 200_000),
	}
}

// A Client speaks to git servers and to repositories in folders. It is safe for
// concurrent use.
type Client struct {
	opts   Options
	config *gitconfig.Reader
}

// New returns a client. It touches neither disk nor network yet.
func New(opts Options) *Client {
	if opts.Getenv == nil {
		opts.Getenv = os.Getenv
	}
	opts.Limits = opts.Limits.withDefaults()
	opts.Timeout = cmp.Or(opts.Timeout, time.Minute)
	return &Client{opts: opts, config: &gitconfig.Reader{}}
}

// Restrain is the client for what somebody else names: with r beside what holds for the
// client already.
func (c *Client) Restrain(r Restraint) *Client {
	near := *c
	own := &near.opts.Restraint
	own.Least = max(own.Least, r.Least)
	if r.MaySend != nil {
		own.MaySend = r.MaySend
	}
	if r.Sent != nil {
		own.Sent = r.Sent
	}
	return &near
}

// Limits are those of the client.
func (c *Client) Limits() Limits { return c.opts.Limits }

// WithLimits is the client with other limits.
func (c *Client) WithLimits(l Limits) *Client {
	other := *c
	other.opts.Limits = l.withDefaults()
	return &other
}

// Open returns the repository at a URL, which is not asked for anything yet.
func (c *Client) Open(url string) *Remote { return &Remote{client: c, url: url} }

// IsLocal reports whether the repository of a URL is in a folder of this machine.
func IsLocal(url string) bool { return strings.HasPrefix(url, "file://") }

// gitConfig is what git is told on this machine.
func (c *Client) gitConfig(ctx context.Context) (*gitconfig.Config, error) {
	return c.config.Config(ctx, c.opts.Getenv)
}

// secrets calls use with each secret that may be sent to a repository, until it says that
// it wants no more, and tells of them. Sent is true where there was one. url is what the
// address was written as.
func (c *Client) secrets(ctx context.Context, url, address string, use func(*origin.Secret) (more bool, err error)) (sent bool, err error) {
	r := c.opts.Restraint
	if r.MaySend != nil && !r.MaySend(url) {
		return false, nil
	}
	err = credentials.Each(ctx, c.opts.Getenv, address, func(secret *origin.Secret) (more bool, err error) {
		if sent = true; r.Sent != nil {
			r.Sent(url)
		}
		return use(secret)
	})
	if e, ok := errors.AsType[*credentials.AddressError](err); ok {
		err = &UnreachableError{URL: e.Address, Err: e.Err}
	}
	return sent, err
}
