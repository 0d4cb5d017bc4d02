package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"fnb/images"
	"fnb/internal/disk"
)

// A Stored says where [Client.Login] put the credentials.
type Stored struct {
	File   string // Docker's configuration file, where the credentials are in it, hardly hidden
	Helper string // the credential helper that has them, without "docker-credential-"
}

// Login asks the registry whether it knows the user and then stores the
// credentials where Docker would: with the credential helper that Docker's
// configuration names for the host, or in the configuration itself. When the
// registry refuses, the error is an [*AuthError] and nothing is stored. As
// Docker does, Login takes an identity token as the password of user "<token>".
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
	path := dockerConfig(c.opts)
	if path == "" {
		return Stored{}, errors.New("storing the credentials: there is no home folder; set DOCKER_CONFIG")
	}
	f, err := readAuthFile(path)
	if err != nil {
		return Stored{}, err
	}
	key := keysOf(reg.RegistryStr())[0]
	if helper := f.helper(reg.RegistryStr()); helper != "" {
		in, err := json.Marshal(map[string]string{"ServerURL": key, "Username": user, "Secret": password})
		if err != nil {
			return Stored{}, err
		}
		if _, err = runHelper(ctx, helper, "store", in); err != nil {
			return Stored{}, err
		}
		return Stored{Helper: helper}, c.reset()
	}
	entry := authEntry{Auth: base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}
	if user == tokenUser {
		entry = authEntry{Auth: base64.StdEncoding.EncodeToString([]byte(tokenUser + ":")), IdentityToken: password}
	}
	err = changeAuths(ctx, path, func(auths map[string]json.RawMessage) error {
		b, err := json.Marshal(entry)
		auths[key] = b
		return err
	})
	if err != nil {
		return Stored{}, err
	}
	return Stored{File: path}, c.reset()
}

// Logout removes the credentials for a host from where [Client.Login] puts them.
// It reports whether there were any.
func (c *Client) Logout(ctx context.Context, host string) (bool, error) {
	reg, err := c.registry(host)
	if err != nil {
		return false, err
	}
	path := dockerConfig(c.opts)
	f, err := readAuthFile(path)
	if err != nil {
		return false, err
	}
	had := false
	keys := keysOf(reg.RegistryStr())
	if helper := f.helper(reg.RegistryStr()); helper != "" {
		known, err := askHelper(ctx, helper, keys[0])
		if err != nil {
			return false, err
		}
		if had = known != (authn.AuthConfig{}); had {
			if _, err := runHelper(ctx, helper, "erase", []byte(keys[0])); err != nil {
				return false, err
			}
		}
	}
	inFile := false
	for _, k := range keys {
		_, ok := f.Auths[k]
		inFile = inFile || ok
	}
	if !inFile {
		return had, c.reset()
	}
	err = changeAuths(ctx, path, func(auths map[string]json.RawMessage) error {
		for _, k := range keys {
			delete(auths, k)
		}
		return nil
	})
	if err != nil {
		return false, err
	}
	return true, c.reset()
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
	auth := authn.FromConfig(authn.AuthConfig{Username: user, Password: password})
	if user == tokenUser {
		auth = authn.FromConfig(authn.AuthConfig{Username: user, IdentityToken: password})
	}
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

// changeAuths changes the entries of a Docker configuration file in one step and
// keeps everything else in it. The file is made when it is not there; it is
// readable by its owner only. Where it is a symbolic link, its target is changed.
func changeAuths(ctx context.Context, path string, change func(auths map[string]json.RawMessage) error) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("storing the credentials: %w", err)
	}
	if target, err := filepath.EvalSymlinks(path); err == nil {
		path = target
	}
	unlock, err := disk.Lock(ctx, path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("storing the credentials: %w", err)
	}
	all, err := decodeObject(b)
	if err != nil {
		return fmt.Errorf("storing the credentials: %s is not a JSON object", path)
	}
	auths, err := decodeObject(all["auths"])
	if err != nil {
		return fmt.Errorf("storing the credentials: auths in %s is not a JSON object", path)
	}
	if err := change(auths); err != nil {
		return err
	}
	if all["auths"], err = json.Marshal(auths); err != nil {
		return fmt.Errorf("storing the credentials: %w", err)
	}
	out, err := json.MarshalIndent(all, "", "\t")
	if err != nil {
		return fmt.Errorf("storing the credentials: %w", err)
	}
	if b != nil { // it may have been readable by others
		if err := os.Chmod(path, 0o600); err != nil {
			return fmt.Errorf("storing the credentials: %w", err)
		}
	}
	return disk.ReplaceFile(path, append(out, '\n'), 0o600)
}

// decodeObject reads a JSON object whose values stay as they are written.
func decodeObject(b []byte) (map[string]json.RawMessage, error) {
	m := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(b)) == 0 || string(b) == "null" {
		return m, nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if err := d.Decode(&m); err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return m, nil
}
