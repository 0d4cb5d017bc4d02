package credentials

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"

	"fnb/internal/disk"
)

// A Stored says where [Keychain.Put] put credentials.
type Stored struct {
	File   string // Docker's configuration file, where the credentials are in it, hardly hidden
	Helper string // the credential helper that has them, without "docker-credential-"
}

// Put stores the credentials for a registry where Docker would: with the credential helper that Docker's
// configuration names for it, or in the configuration itself. As Docker does, it takes an identity token as the password of
// user "<token>".
func (k *Keychain) Put(ctx context.Context, registry, user, password string) (Stored, error) {
	if k.config == "" {
		return Stored{}, errors.New("storing the credentials: there is no home folder; set DOCKER_CONFIG")
	}
	f, err := readAuthFile(k.config)
	if err != nil {
		return Stored{}, err
	}
	defer k.Forget()
	key := keysOf(registry)[0]
	if helper := f.helper(registry); helper != "" {
		in, err := json.Marshal(map[string]string{"ServerURL": key, "Username": user, "Secret": password})
		if err == nil {
			_, err = runHelper(ctx, helper, "store", in)
		}
		if err != nil {
			return Stored{}, err
		}
		return Stored{Helper: helper}, nil
	}
	entry := authEntry{Auth: base64.StdEncoding.EncodeToString([]byte(user + ":" + password))}
	if user == tokenUser {
		entry = authEntry{Auth: base64.StdEncoding.EncodeToString([]byte(tokenUser + ":")), IdentityToken: password}
	}
	err = changeAuths(ctx, k.config, func(auths map[string]json.RawMessage) error {
		b, err := json.Marshal(entry)
		auths[key] = b
		return err
	})
	if err != nil {
		return Stored{}, err
	}
	return Stored{File: k.config}, nil
}

// Remove removes the credentials for a registry from where [Keychain.Put] puts them.
// It reports whether there were any.
func (k *Keychain) Remove(ctx context.Context, registry string) (bool, error) {
	f, err := readAuthFile(k.config)
	if err != nil {
		return false, err
	}
	defer k.Forget()
	had := false
	keys := keysOf(registry)
	if helper := f.helper(registry); helper != "" {
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
	for _, key := range keys {
		_, ok := f.Auths[key]
		inFile = inFile || ok
	}
	if !inFile {
		return had, nil
	}
	err = changeAuths(ctx, k.config, func(auths map[string]json.RawMessage) error {
		for _, key := range keys {
			delete(auths, key)
		}
		return nil
	})
	return err == nil, err
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
