package trust

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"math/big"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"fnb/internal/plain"
)

// The namespaces of OpenSSH's signatures: what is signed for one purpose is not taken for another.
const (
	NamespaceRecord  = "fnb-record"  // a store's records
	NamespaceImage   = "fnb-image"   // statements about images
	NamespaceRelease = "fnb-release" // the checksums of a release of fnb
)

// maxSignature bounds what is read as a signature of OpenSSH's.
const maxSignature = 64 << 10

// A Signer signs with one key. It is made by [Open], and to be closed.
type Signer struct {
	key PublicKey
	how signing
}

// signing makes signatures in OpenSSH's form. The algorithm is that of the key, but for RSA,
// where it says which hash.
type signing interface {
	sign(ctx context.Context, data []byte, algorithm string) (*ssh.Signature, error)
	io.Closer
}

// Key is the public half.
func (s *Signer) Key() PublicKey { return s.key }

// KeyID is the key's fingerprint.
func (s *Signer) KeyID() string { return s.key.Fingerprint() }

// Close lets go of the agent.
func (s *Signer) Close() error { return s.how.Close() }

// Repeats reports whether the same message gets the same signature each time.
func (s *Signer) Repeats() bool {
	_, local := s.how.(localKey)
	return local || s.key.Type() == ssh.KeyAlgoED25519 || s.key.Type() == ssh.KeyAlgoRSA
}

// Sign makes a bare signature of message, as cosign and openssl know it: Ed25519; ECDSA in
// ASN.1 over the hash of the curve's size; RSA of PKCS #1 v1.5 over SHA-256. What is to be
// signed must say itself what it is for. A key in a security token cannot do it.
func (s *Signer) Sign(ctx context.Context, message []byte) ([]byte, error) {
	if s.key.token() {
		_, err := s.key.der()
		return nil, err
	}
	algorithm := s.key.Type()
	if algorithm == ssh.KeyAlgoRSA {
		algorithm = ssh.KeyAlgoRSASHA256
	}
	made, err := s.how.sign(ctx, message, algorithm)
	if err != nil {
		return nil, err
	}
	out := made.Blob
	if _, ok := s.key.crypto().(*ecdsa.PublicKey); ok {
		var point struct{ R, S *big.Int }
		if err := ssh.Unmarshal(made.Blob, &point); err != nil {
			return nil, fmt.Errorf("reading the signature that %s made: %w", s.KeyID(), err)
		}
		if out, err = asn1.Marshal(point); err != nil {
			return nil, err
		}
	}
	if err := s.key.Verify(message, out); err != nil {
		return nil, &SignatureError{Key: s.key, Why: "what was made is not a signature of this key: are its two halves of one pair?"}
	}
	return out, nil
}

// SignSSH makes a signature of OpenSSH's of message in a namespace, in PEM. ssh-keygen
// -Y verify -n NAMESPACE reads it. It has the public key in it.
func (s *Signer) SignSSH(ctx context.Context, namespace string, message []byte) ([]byte, error) {
	made, err := sshsig.Sign(bytes.NewReader(message), &sshSigner{ctx: ctx, Signer: s}, sshsig.HashSHA512, namespace)
	if err != nil {
		return nil, err
	}
	out := sshsig.Armor(made)
	if _, err := VerifySSH(namespace, message, out); err != nil {
		return nil, &SignatureError{Key: s.key, Why: "what was made is not a signature of this key: are its two halves of one pair?"}
	}
	return out, nil
}

// An sshSigner is a Signer as package ssh wants it.
type sshSigner struct {
	ctx context.Context
	*Signer
}

func (s *sshSigner) PublicKey() ssh.PublicKey { return s.key.ssh }

func (s *sshSigner) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	return s.how.sign(s.ctx, data, s.key.Type())
}

func (s *sshSigner) SignWithAlgorithm(_ io.Reader, data []byte, algorithm string) (*ssh.Signature, error) {
	return s.how.sign(s.ctx, data, algorithm)
}

// VerifySSH checks a signature of OpenSSH's of message in a namespace, and returns the key
// that made it. Whether that one may, the caller knows.
func VerifySSH(namespace string, message, signature []byte) (PublicKey, error) {
	if len(signature) > maxSignature {
		return PublicKey{}, &SignatureError{Why: fmt.Sprintf("it has %d bytes, more than the %d of a signature", len(signature), maxSignature)}
	}
	sig, err := sshsig.Unarmor(signature)
	if err != nil {
		return PublicKey{}, &SignatureError{Why: "it is not a signature of OpenSSH's: " + plain.Short(err.Error())}
	}
	key, err := newPublicKey(sig.PublicKey, "")
	if err != nil {
		return key, &SignatureError{Why: err.Error()}
	}
	err = sshsig.Verify(bytes.NewReader(message), sig, sig.PublicKey, sig.HashAlgorithm, namespace)
	switch {
	case errors.Is(err, sshsig.ErrNamespaceMismatch):
		return key, &SignatureError{Key: key, Why: fmt.Sprintf("it was made for %q, not for %q", plain.Short(sig.Namespace), namespace)}
	case err != nil:
		return key, &SignatureError{Key: key, Why: "the signature is not of this content"}
	}
	return key, nil
}

// A localKey is a private key in memory. ECDSA's signatures are made without
// randomness (RFC 6979), so that signing again gives the same.
type localKey struct {
	key crypto.Signer
}

func (l localKey) Close() error { return nil }

func (l localKey) sign(_ context.Context, data []byte, algorithm string) (*ssh.Signature, error) {
	h := hashOf(algorithm)
	if h == 0 {
		blob, err := l.key.Sign(nil, data, h)
		return &ssh.Signature{Format: algorithm, Blob: blob}, err
	}
	made, err := l.key.Sign(nil, digest(h, data), h)
	if err != nil {
		return nil, err
	}
	return fromBare(algorithm, made)
}

// hashOf is the hash that a signature of OpenSSH's is over; 0 for none.
func hashOf(algorithm string) crypto.Hash {
	switch algorithm {
	case ssh.KeyAlgoECDSA256, ssh.KeyAlgoRSASHA256:
		return crypto.SHA256
	case ssh.KeyAlgoECDSA384:
		return crypto.SHA384
	case ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSASHA512:
		return crypto.SHA512
	}
	return 0
}

// fromBare puts a bare signature into OpenSSH's form.
func fromBare(algorithm string, made []byte) (*ssh.Signature, error) {
	out := &ssh.Signature{Format: algorithm, Blob: made}
	switch algorithm {
	case ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		var point struct{ R, S *big.Int }
		if rest, err := asn1.Unmarshal(made, &point); err != nil || len(rest) > 0 {
			return nil, errors.New("it is not an ECDSA signature in ASN.1")
		}
		out.Blob = ssh.Marshal(point)
	}
	return out, nil
}
