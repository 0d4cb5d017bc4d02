package trust

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"

	"github.com/secure-systems-lab/go-securesystemslib/encrypted"
	"golang.org/x/crypto/ssh"

	"fnb/internal/plain"
)

// The types of PEM that cosign encrypts private keys in, now and before.
const (
	sigstorePEM = "ENCRYPTED SIGSTORE PRIVATE KEY"
	cosignPEM   = "ENCRYPTED COSIGN PRIVATE KEY"
	openSSHPEM  = "OPENSSH PRIVATE KEY"
)

func isPrivate(data []byte) bool {
	block, _ := pem.Decode(data)
	return block != nil && bytes.HasSuffix([]byte(block.Type), []byte("PRIVATE KEY"))
}

// openPrivate reads a private key; name is how it was named.
func openPrivate(ctx context.Context, name string, data []byte, o Options) (*Signer, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, &KeyError{Key: name, Why: "it is not a key: neither of OpenSSH, nor of cosign, nor PEM"}
	}
	key, err := decode(ctx, name, block, data, o)
	if err != nil {
		return nil, err
	}
	signer, ok := key.(crypto.Signer)
	if e, isPointer := key.(*ed25519.PrivateKey); isPointer { // what package ssh returns
		signer, ok = *e, true
	}
	if !ok {
		return nil, &KeyError{Key: name, Why: "keys of its kind do not sign here: take Ed25519, ECDSA or RSA"}
	}
	pub, err := NewPublicKey(signer.Public())
	if err != nil {
		return nil, &KeyError{Key: name, Why: err.Error()}
	}
	return &Signer{key: pub, how: localKey{signer}}, nil
}

func decode(ctx context.Context, name string, block *pem.Block, data []byte, o Options) (any, error) {
	var key any
	var err error
	switch block.Type {
	case sigstorePEM, cosignPEM:
		return decrypt(ctx, name, o, func(password []byte) (any, error) {
			der, err := encrypted.Decrypt(block.Bytes, password)
			if err != nil {
				return nil, err
			}
			return x509.ParsePKCS8PrivateKey(der)
		})
	case openSSHPEM:
		key, err = ssh.ParseRawPrivateKey(data)
		if _, locked := errors.AsType[*ssh.PassphraseMissingError](err); locked {
			return decrypt(ctx, name, o, func(password []byte) (any, error) {
				return ssh.ParseRawPrivateKeyWithPassphrase(data, password)
			})
		}
	case "PRIVATE KEY":
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	case "EC PRIVATE KEY", "RSA PRIVATE KEY":
		if block.Headers["DEK-Info"] != "" { // encrypted as nobody should any more
			return nil, &KeyError{Key: name, Why: "it is encrypted in PEM's old way, which is not read here"}
		}
		if block.Type == "EC PRIVATE KEY" {
			key, err = x509.ParseECPrivateKey(block.Bytes)
		} else {
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		}
	case "ENCRYPTED PRIVATE KEY":
		return nil, &KeyError{Key: name, Why: "it is encrypted in openssl's way (PKCS #8), which is not read here"}
	case "PUBLIC KEY", "RSA PUBLIC KEY":
		return nil, &KeyError{Key: name, Why: "it is the public half, which signs nothing"}
	default:
		return nil, &KeyError{Key: name, Why: "PEM of type " + plain.Quoted(block.Type) + " is not a private key"}
	}
	if err != nil {
		return nil, &KeyError{Key: name, Why: "reading it", Err: err}
	}
	return key, nil
}

// decrypt opens an encrypted key. Where nobody can be asked, no password is tried: many have none.
func decrypt(ctx context.Context, name string, o Options, open func(password []byte) (any, error)) (any, error) {
	if o.Password == nil {
		if key, err := open(nil); err == nil {
			return key, nil
		}
		return nil, &PasswordError{Key: name}
	}
	password, err := o.Password(ctx, name)
	if err != nil {
		return nil, err
	}
	key, err := open(password)
	if err != nil {
		return nil, &PasswordError{Key: name, Wrong: true}
	}
	return key, nil
}

// publicInside is the public half that OpenSSH's private keys show without their password, or that of
// a key without one.
func publicInside(data []byte) (PublicKey, bool) {
	_, err := ssh.ParseRawPrivateKey(data)
	if locked, ok := errors.AsType[*ssh.PassphraseMissingError](err); ok && locked.PublicKey != nil {
		key, err := newPublicKey(locked.PublicKey, "")
		return key, err == nil
	}
	return PublicKey{}, false
}
