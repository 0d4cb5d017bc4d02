package trust

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"

	"fnb/internal/plain"
)

// minRSA is the shortest RSA key that is taken, in bits.
const minRSA = 2048

// A PublicKey is what the signatures of one key are checked with.
type PublicKey struct {
	ssh     ssh.PublicKey
	comment string
}

// NewPublicKey returns the key of Go's crypto packages. Kinds that nobody should sign
// with are an error.
func NewPublicKey(key crypto.PublicKey) (PublicKey, error) {
	switch k := key.(type) {
	case *rsa.PublicKey, *ecdsa.PublicKey, ed25519.PublicKey:
		pub, err := ssh.NewPublicKey(k)
		if err != nil {
			return PublicKey{}, err
		}
		return newPublicKey(pub, "")
	}
	return PublicKey{}, fmt.Errorf("a key of type %T is neither Ed25519, ECDSA nor RSA", key)
}

func newPublicKey(pub ssh.PublicKey, comment string) (PublicKey, error) {
	k := PublicKey{ssh: pub, comment: plain.Short(comment)}
	switch pub.Type() {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256:
		return k, nil
	case ssh.KeyAlgoRSA:
		key, ok := k.crypto().(*rsa.PublicKey)
		if !ok || key.N.BitLen() < minRSA {
			return k, fmt.Errorf("an RSA key needs %d bits", minRSA)
		}
		return k, nil
	}
	return k, fmt.Errorf("a key of type %s signs nothing here: take ssh-ed25519, ECDSA or RSA", plain.Short(pub.Type()))
}

// ParsePublicKey reads one public key: PEM as openssl and cosign write it, or a line of
// OpenSSH's.
func ParsePublicKey(data []byte) (PublicKey, error) {
	if block, _ := pem.Decode(data); block != nil {
		return parsePublicPEM(block)
	}
	pub, comment, _, _, err := ssh.ParseAuthorizedKey(bytes.TrimSpace(data))
	if err != nil {
		return PublicKey{}, errors.New("it is not a public key: neither PEM nor a line of OpenSSH's")
	}
	return newPublicKey(pub, comment)
}

func parsePublicPEM(block *pem.Block) (PublicKey, error) {
	switch block.Type {
	case "PUBLIC KEY":
		key, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return PublicKey{}, err
		}
		return NewPublicKey(key)
	case "RSA PUBLIC KEY":
		key, err := x509.ParsePKCS1PublicKey(block.Bytes)
		if err != nil {
			return PublicKey{}, err
		}
		return NewPublicKey(key)
	}
	return PublicKey{}, fmt.Errorf("PEM of type %q is not a public key", plain.Short(block.Type))
}

// IsZero reports whether k is no key.
func (k PublicKey) IsZero() bool { return k.ssh == nil }

// Fingerprint is SHA256: and 43 characters, as ssh-keygen -l prints it: how people
// compare keys. It is equal exactly for equal keys, and empty for none.
func (k PublicKey) Fingerprint() string {
	if k.IsZero() {
		return ""
	}
	return ssh.FingerprintSHA256(k.ssh)
}

// Type is OpenSSH's word, such as ssh-ed25519 or ecdsa-sha2-nistp256.
func (k PublicKey) Type() string { return k.ssh.Type() }

// Comment is what stands behind the key in its file; it is nobody's promise.
func (k PublicKey) Comment() string { return k.comment }

// WithComment is k with another comment.
func (k PublicKey) WithComment(comment string) PublicKey {
	k.comment = plain.Short(comment)
	return k
}

// Equal reports whether two keys are the same one, whatever their comments.
func (k PublicKey) Equal(other PublicKey) bool {
	return !k.IsZero() && !other.IsZero() && bytes.Equal(k.ssh.Marshal(), other.ssh.Marshal())
}

// String is the line of OpenSSH's, as in authorized_keys, without the comment. [ParsePublicKey]
// reads it again.
func (k PublicKey) String() string {
	return strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(k.ssh)), "\n")
}

// PEM is the key as cosign.pub and openssl have it. Keys in security tokens have none.
func (k PublicKey) PEM() ([]byte, error) {
	der, err := k.der()
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// Hint is how a sigstore bundle names the key: the checksum of its PEM's content, in
// base64. Keys in security tokens, which sigstore does not know, have their fingerprint.
func (k PublicKey) Hint() string {
	der, err := k.der()
	if err != nil {
		return k.Fingerprint()
	}
	sum := sha256.Sum256(der)
	return base64.StdEncoding.EncodeToString(sum[:])
}

func (k PublicKey) der() ([]byte, error) {
	if k.token() {
		return nil, fmt.Errorf("the key %s is in a security token, whose signatures have a form of their own: it can be written for OpenSSH alone", k.Fingerprint())
	}
	return x509.MarshalPKIXPublicKey(k.crypto())
}

// token reports whether the key is in a security token (FIDO), which signs more than it
// is given.
func (k PublicKey) token() bool {
	return k.ssh.Type() == ssh.KeyAlgoSKED25519 || k.ssh.Type() == ssh.KeyAlgoSKECDSA256
}

func (k PublicKey) crypto() crypto.PublicKey {
	if c, ok := k.ssh.(ssh.CryptoPublicKey); ok {
		return c.CryptoPublicKey()
	}
	return nil
}

// Verify checks a bare signature of message, as [Signer.Sign] makes them. One with Ed25519 may also be of the message's
// hash (Ed25519ph, RFC 8032 section 5.1), as cosign sign makes them.
func (k PublicKey) Verify(message, signature []byte) error {
	ok := false
	switch key := k.crypto().(type) {
	case ed25519.PublicKey:
		ok = ed25519.Verify(key, message, signature) ||
			ed25519.VerifyWithOptions(key, digest(crypto.SHA512, message), signature, &ed25519.Options{Hash: crypto.SHA512}) == nil
	case *ecdsa.PublicKey:
		ok = ecdsa.VerifyASN1(key, digest(curveHash(key.Curve), message), signature)
	case *rsa.PublicKey:
		ok = rsa.VerifyPKCS1v15(key, crypto.SHA256, digest(crypto.SHA256, message), signature) == nil
	}
	if !ok || k.token() {
		return &SignatureError{Key: k, Why: "the signature is not this key's, or not of this content"}
	}
	return nil
}

// curveHash is the hash that goes with a curve, for OpenSSH and sigstore alike.
func curveHash(c elliptic.Curve) crypto.Hash {
	switch bits := c.Params().BitSize; {
	case bits <= 256:
		return crypto.SHA256
	case bits <= 384:
		return crypto.SHA384
	}
	return crypto.SHA512
}

func digest(h crypto.Hash, message []byte) []byte {
	d := h.New()
	d.Write(message)
	return d.Sum(nil)
}
