package registry

import (
	"context"
	"errors"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"fnb/images"
	"fnb/registry/credentials"
)

// A Stored says where [Client.Login] put the credentials.
type Stored = credentials.Stored

// Login asks the registry whether it knows the user and then stores the
// credentials, as [credentials.Keychain.Put] does. When the
// registry refuses, the error is an [*AuthError] and nothing is stored.
func (c *Client) Login(ctx context.Context, host, user, password string) (Stored, error) {
	if user == "" || password == "" {
		return Stored{}, errors.New("logging in needs a user and a password")
	}
	reg, err := c.registry(host)
	if err != nil {
		return Stored{}, err
	}
	if err := c.check(ctx, reg, user, password); err != nil {
		return Stored{}, c.asked(explain(ctx, err, hostName(reg.RegistryStr()), ""), reg.RegistryStr())
	}
	stored, err := c.keys.Put(ctx, reg.RegistryStr(), user, password)
	if err != nil {
		return Stored{}, err
	}
	return stored, c.reset()
}

// Logout removes the credentials for a host from where [Client.Login] puts them.
// It reports whether there were any.
func (c *Client) Logout(ctx context.Context, host string) (bool, error) {
	reg, err := c.registry(host)
	if err != nil {
		return false, err
	}
	had, err := c.keys.Remove(ctx, reg.RegistryStr())
	if err != nil {
		return false, err
	}
	return had, c.reset()
}

// Credentials returns the user and the secret for a registry's host, both "" when
// there are none. For an identity token the user is "". It has the shape that a
// builder wants for its own pulls and pushes.
func (c *Client) Credentials(ctx context.Context, host string) (user, secret string, err error) {
	found, err := c.keys.Find(ctx, credentials.RegistryOf(host), "")
	if err != nil {
		return "", "", err
	}
	if found.IdentityToken != "" {
		return "", found.IdentityToken, nil
	}
	return found.Username, found.Password, nil
}

func (c *Client) registry(host string) (name.Registry, error) {
	var opts []name.Option
	if c.plain(host) {
		opts = append(opts, name.Insecure)
	}
	reg, err := name.NewRegistry(host, append(opts, name.StrictValidation)...)
	if err != nil {
		return name.Registry{}, images.BadReference(host, "want the host of a registry, such as ghcr.io or localhost:5000")
	}
	c.trans.lead.name(reg.RegistryStr())
	return reg, nil
}

// check asks the registry for its root, with a token first where it wants one.
func (c *Client) check(ctx context.Context, reg name.Registry, user, password string) error {
	ctx, _ = withBudget(ctx)
	auth := authn.FromConfig(credentials.Of(user, password))
	tr, err := transport.NewWithContext(ctx, reg, auth, transport.NewUserAgent(&pingTransport{inner: c.reader}, c.opts.UserAgent), nil)
	if err != nil {
		return err
	}
	url := reg.Scheme() + "://" + reg.RegistryStr() + "/v2/"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }() // it was only read from
	return transport.CheckError(resp, http.StatusOK)
}
