package trust

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"

	"fnb/internal/lazyregexp"
)

var validName = lazyregexp.New(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// ValidName reports whether a key may be called so.
func ValidName(name string) bool { return validName.MatchString(name) }

// NewKey makes a key pair as cosign's generate-key-pair does, ECDSA over P-256, encrypted with the
// password, and keeps it in a folder under a name: NAME.key, for the user alone, and NAME.pub. A
// pair of that name is left alone, and an error that wraps [fs.ErrExist].
func NewKey(folder, name string, password []byte) (PublicKey, error) {
	if !ValidName(name) {
		return PublicKey{}, &KeyError{Key: name, Why: "a key's name has letters, digits, dots, hyphens and underscores, 64 at most"}
	}
	private := filepath.Join(folder, name+privateFile)
	if _, err := os.Lstat(private); err == nil {
		return PublicKey{}, fmt.Errorf("writing the key %s: %w", name, fs.ErrExist)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return PublicKey{}, err
	}
	pub, err := NewPublicKey(&key.PublicKey)
	if err != nil {
		return PublicKey{}, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return PublicKey{}, err
	}
	sealed, err := encrypted.Encrypt(der, password)
	if err != nil {
		return PublicKey{}, err
	}
	open, err := pub.PEM()
	if err != nil {
		return PublicKey{}, err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return PublicKey{}, err
	}
	if err := create(private, pem.EncodeToMemory(&pem.Block{Type: sigstorePEM, Bytes: sealed}), 0o600); err != nil {
		return PublicKey{}, fmt.Errorf("writing the key %s: %w", name, err)
	}
	if err := create(filepath.Join(folder, name+publicFile), open, 0o644); err != nil {
		return PublicKey{}, errors.Join(fmt.Errorf("writing the key %s: %w", name, err), os.Remove(private))
	}
	return pub.WithComment(name), nil
}

// create writes a file that is not there yet.
func create(file string, data []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(file))
	}
	return nil
}

// A NamedKey is a key in a folder.
type NamedKey struct {
	Name    string
	Public  PublicKey
	Private bool // its private half is there
}

// Keys are the keys in a folder, sorted by name; a folder that is not there has none.
func Keys(folder string) ([]NamedKey, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []NamedKey
	for _, e := range entries {
		name, is := strings.CutSuffix(e.Name(), publicFile)
		if !is || !ValidName(name) {
			continue
		}
		data, err := readFile(filepath.Join(folder, e.Name()))
		if err != nil {
			return nil, err
		}
		key, err := ParsePublicKey(data)
		if err != nil {
			return nil, &KeyError{Key: name, Why: "reading " + filepath.Join(folder, e.Name()), Err: err}
		}
		_, err = os.Stat(filepath.Join(folder, name+privateFile))
		out = append(out, NamedKey{Name: name, Public: key.WithComment(name), Private: err == nil})
	}
	return out, nil
}
