package attestation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"fnb/internal/plain"
	"fnb/trust"
)

// Media types, which are those of the artifact and of its only layer.
const (
	MediaTypeBundle    = "application/vnd.dev.sigstore.bundle.v0.3+json" // signed
	MediaTypeStatement = "application/vnd.in-toto+json"                  // not signed; the payload's type in an envelope, too
	bundlePrefix       = "application/vnd.dev.sigstore.bundle"
)

// Annotations of an artifact, and so of its entry in the list of an image's referrers.
const (
	AnnotationContent       = "dev.sigstore.bundle.content"
	AnnotationPredicateType = "dev.sigstore.bundle.predicateType"
	AnnotationInToto        = "in-toto.io/predicate-type" // of those that are not signed
)

// MaxBytes bounds a statement, in or out of its bundle.
const MaxBytes = 64 << 20

// opensshSignature is how a signature begins that no bare one can be made instead of.
const opensshSignature = "-----BEGIN SSH SIGNATURE-----"

// An Artifact is what is attached to an image. It has the fields of registry.Attachment.
type Artifact struct {
	ArtifactType string            // of the manifest
	MediaType    string            // of its layer
	Annotations  map[string]string // of the manifest
	Blob         []byte
}

// A bundle is sigstore's, so far as keys need it.
type bundle struct {
	MediaType string    `json:"mediaType"`
	Material  material  `json:"verificationMaterial"`
	Envelope  *envelope `json:"dsseEnvelope,omitempty"`

	MessageSignature json.RawMessage `json:"messageSignature,omitempty"`
}

type material struct {
	PublicKey        *publicKeyHint  `json:"publicKey,omitempty"`
	Certificate      json.RawMessage `json:"certificate,omitempty"`
	CertificateChain json.RawMessage `json:"x509CertificateChain,omitempty"`
}

type publicKeyHint struct {
	Hint string `json:"hint,omitempty"`
}

// An envelope is DSSE's.
type envelope struct {
	Payload     []byte      `json:"payload"`
	PayloadType string      `json:"payloadType"`
	Signatures  []signature `json:"signatures"`
}

type signature struct {
	Sig   []byte `json:"sig"`
	KeyID string `json:"keyid,omitempty"`
}

// encoded is what DSSE has signed: type and content, each with its length before it.
func (e *envelope) encoded() []byte {
	b := make([]byte, 0, len(e.Payload)+len(e.PayloadType)+32)
	b = append(b, "DSSEv1 "+strconv.Itoa(len(e.PayloadType))+" "+e.PayloadType+" "+strconv.Itoa(len(e.Payload))+" "...)
	return append(b, e.Payload...)
}

// Sign signs a statement. The signature is a bare one, as the format has it, which the key's PEM verifies; that of
// a key in a security token is OpenSSH's, in the namespace [trust.NamespaceImage], which fnb alone verifies.
func Sign(ctx context.Context, signer *trust.Signer, s *Statement) (Artifact, error) {
	payload, err := s.Bytes()
	if err != nil {
		return Artifact{}, err
	}
	e := &envelope{Payload: payload, PayloadType: MediaTypeStatement}
	key := signer.Key()
	var made []byte
	if _, perr := key.PEM(); perr == nil {
		made, err = signer.Sign(ctx, e.encoded())
	} else {
		made, err = signer.SignSSH(ctx, trust.NamespaceImage, e.encoded())
	}
	if err != nil {
		return Artifact{}, err
	}
	e.Signatures = []signature{{Sig: made}}
	raw, err := marshal(bundle{MediaType: MediaTypeBundle, Material: material{PublicKey: &publicKeyHint{Hint: key.Hint()}}, Envelope: e})
	if err != nil {
		return Artifact{}, err
	}
	return Artifact{
		ArtifactType: MediaTypeBundle, MediaType: MediaTypeBundle, Blob: raw,
		Annotations: map[string]string{AnnotationContent: "dsse-envelope", AnnotationPredicateType: s.PredicateType},
	}, nil
}

// Unsigned is a statement that nobody has signed.
func Unsigned(s *Statement) (Artifact, error) {
	raw, err := s.Bytes()
	if err != nil {
		return Artifact{}, err
	}
	return Artifact{
		ArtifactType: MediaTypeStatement, MediaType: MediaTypeStatement, Blob: raw,
		Annotations: map[string]string{AnnotationInToto: s.PredicateType},
	}, nil
}

// IsBundle reports whether an artifact of this type is a bundle, of any version.
func IsBundle(artifactType string) bool { return strings.HasPrefix(artifactType, bundlePrefix) }

// Carries reports whether an artifact of this type has a statement that [Read] reads.
func Carries(artifactType string) bool {
	return IsBundle(artifactType) || artifactType == MediaTypeStatement
}

// PredicateOf is the predicate that an artifact's annotations announce, as [ParseStatement] has it; "" where they say nothing.
// It is a hint for choosing what to fetch.
func PredicateOf(annotations map[string]string) string {
	return plainType(cmp.Or(annotations[AnnotationPredicateType], annotations[AnnotationInToto]))
}

// A Found is a statement that was found at an image.
type Found struct {
	Statement *Statement
	Signed    bool   // it has a signature, whosever
	Hint      string // which key the signature says it is of; "" where none

	envelope *envelope
	keyless  bool
}

// Read reads the content of an artifact: a bundle with one signature, or a statement without any.
// A SignatureError of the room trust says what is wrong with it.
func Read(artifactType string, data []byte) (*Found, error) {
	if len(data) > MaxBytes {
		return nil, &trust.SignatureError{Why: fmt.Sprintf("it has %s, more than the %s allowed", plain.Size(int64(len(data))), plain.Size(MaxBytes))}
	}
	found, err := read(artifactType, data)
	if err != nil {
		return nil, &trust.SignatureError{Why: err.Error()}
	}
	return found, nil
}

func read(artifactType string, data []byte) (*Found, error) {
	if artifactType == MediaTypeStatement {
		s, err := ParseStatement(data)
		return &Found{Statement: s}, err
	}
	if !IsBundle(artifactType) {
		return nil, fmt.Errorf("it is of type %s, which is not read here", plain.Quoted(artifactType))
	}
	var b bundle
	if err := json.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("it is not a bundle of sigstore: %w", plain.Error(err))
	}
	switch {
	case !IsBundle(b.MediaType):
		return nil, errors.New("it is not a bundle of sigstore")
	case b.Envelope == nil && b.MessageSignature != nil:
		return nil, errors.New("the bundle signs a file and not a statement")
	case b.Envelope == nil:
		return nil, errors.New("the bundle has nothing in it")
	case len(b.Envelope.Signatures) != 1:
		return nil, fmt.Errorf("the bundle has %s where it must have one", plain.Count(len(b.Envelope.Signatures), "signature", "signatures"))
	case b.Envelope.PayloadType != MediaTypeStatement:
		return nil, fmt.Errorf("the bundle has %s in it, not a statement of in-toto", plain.Quoted(b.Envelope.PayloadType))
	}
	s, err := ParseStatement(b.Envelope.Payload)
	if err != nil {
		return nil, err
	}
	f := &Found{Statement: s, Signed: true, envelope: b.Envelope, keyless: b.Material.Certificate != nil || b.Material.CertificateChain != nil}
	if b.Material.PublicKey != nil {
		f.Hint = plain.Short(b.Material.PublicKey.Hint)
	}
	return f, nil
}

// Verify returns the one of the keys that has signed the statement. Where none has, the error says
// why: a SignatureError, or a TimeError for a key that has signed and is not valid now.
func (f *Found) Verify(keys []trust.TrustedKey, now time.Time) (trust.TrustedKey, error) {
	if !f.Signed {
		return trust.TrustedKey{}, &trust.SignatureError{Why: "nobody has signed it"}
	}
	for _, k := range keys {
		if f.by(k.PublicKey) {
			return k, k.Check(trust.NamespaceImage, now)
		}
	}
	if f.keyless {
		return trust.TrustedKey{}, &trust.SignatureError{Why: "it is signed with a certificate of sigstore's, and none of the given keys has signed it"}
	}
	return trust.TrustedKey{}, &trust.SignatureError{Why: "none of the given keys has signed it"}
}

// by reports whether a key has signed the statement.
func (f *Found) by(key trust.PublicKey) bool {
	sig, message := f.envelope.Signatures[0].Sig, f.envelope.encoded()
	if strings.HasPrefix(string(sig), opensshSignature) {
		made, err := trust.VerifySSH(trust.NamespaceImage, message, sig)
		return err == nil && made.Equal(key)
	}
	return key.Verify(message, sig) == nil
}

// Says reports whether the statement is of one of the types of predicate, and about the
// content of a digest; if not, a SignatureError says what it is instead.
func (f *Found) Says(digest string, predicateTypes ...string) error {
	if !f.Statement.About(digest) {
		return &trust.SignatureError{Why: "it is about another image, not " + digest}
	}
	for _, p := range predicateTypes {
		if f.Statement.PredicateType == p {
			return nil
		}
	}
	return &trust.SignatureError{Why: fmt.Sprintf("it says %s, and not %s", plain.Short(f.Statement.PredicateType), strings.Join(predicateTypes, " or "))}
}
