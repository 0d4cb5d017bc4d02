package ownership

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"fnb/schema"
)

// What is signed, in the words of in-toto.
const (
	PayloadType   = "application/vnd.in-toto+json"
	statementType = "https://in-toto.io/Statement/v1"
	PredicateType = "urn:fnb:store-file:v1" // of each file of a store that is signed
)

// An Envelope is the contents of a file with signatures, which is beside what they are for.
type Envelope struct {
	PayloadType string      `json:"payloadType"`
	Payload     []byte      `json:"payload"` // the statement that is signed
	Signatures  []Signature `json:"signatures"`
}

// A Signature is one of an [Envelope].
type Signature struct {
	KeyID string `json:"keyid"` // the fingerprint of the key, such as SHA256:…
	Sig   string `json:"sig"`   // of the payload as it is, in OpenSSH's form: ssh-keygen -Y verify -n fnb-record
}

// A Statement is what is signed: an in-toto statement.
type Statement struct {
	Type          string     `json:"_type"`
	Subject       []Artifact `json:"subject"` // the file itself, and what it stands for
	PredicateType string     `json:"predicateType"`
	Predicate     Predicate  `json:"predicate"`
}

// An Artifact is something with a digest.
type Artifact struct {
	Name   string            `json:"name"`
	Digest map[string]string `json:"digest"`
}

// A Predicate is where and when a file of a store was signed.
type Predicate struct {
	Origin string    `json:"origin"` // of the store, as its store.json has it: the signature counts in no other
	Signed time.Time `json:"signed"`
}

// A File is one of a store that is signed.
type File struct {
	Name string // in the store, slash-separated
	Data []byte
	// Stands is what else the signature is for: the files of a template, the image of a function.
	Stands []Artifact
}

// RecordFile is the file of a record, with what it stands for.
func RecordFile(name string, data []byte, rec schema.Record) File {
	f := File{Name: name, Data: data}
	title := rec.Name + "@" + rec.Version
	if kind, sum, ok := strings.Cut(rec.Checksum, ":sha256:"); ok {
		f.Stands = append(f.Stands, Artifact{Name: title, Digest: map[string]string{kind: sum}})
	}
	if rec.Image != nil {
		if kind, sum, ok := strings.Cut(rec.Image.Digest, ":"); ok {
			f.Stands = append(f.Stands, Artifact{Name: rec.Image.Ref, Digest: map[string]string{kind: sum}})
		}
	}
	return f
}

// Sum is the SHA-256 of a file in hex.
func Sum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// NewStatement says of a file that it belongs into the store with the origin.
func NewStatement(f File, origin string, at time.Time) Statement {
	return Statement{
		Type: statementType, PredicateType: PredicateType,
		Subject:   append([]Artifact{{Name: f.Name, Digest: map[string]string{"sha256": Sum(f.Data)}}}, f.Stands...),
		Predicate: Predicate{Origin: origin, Signed: at.UTC().Truncate(time.Second)},
	}
}

// Marshal returns the bytes that are signed.
func (s Statement) Marshal() ([]byte, error) { return json.Marshal(s) }

// Is reports whether a statement is of a file, wherever it was signed.
func (s Statement) Is(f File) bool {
	want := NewStatement(f, "", time.Time{})
	if s.Type != want.Type || s.PredicateType != want.PredicateType || len(s.Subject) != len(want.Subject) {
		return false
	}
	for i, w := range want.Subject {
		h := s.Subject[i]
		if h.Name != w.Name || len(h.Digest) != len(w.Digest) {
			return false
		}
		for kind, sum := range w.Digest {
			if h.Digest[kind] != sum {
				return false
			}
		}
	}
	return true
}

// Marshal returns the contents of the file.
func (e Envelope) Marshal() ([]byte, error) { return indented(e) }

// ParseEnvelope reads a file of signatures, and the statement that they are for.
func ParseEnvelope(file string, data []byte) (Envelope, Statement, error) {
	var e Envelope
	var s Statement
	c := &checker{file: file}
	if err := c.decode(data, &e); err != nil {
		return e, s, err
	}
	switch {
	case e.PayloadType != PayloadType:
		c.fail("payloadType", "is %q, and must be %s", short(e.PayloadType), PayloadType)
	case len(e.Signatures) == 0:
		c.fail("signatures", "are missing")
	case len(e.Signatures) > maxSignatures:
		c.fail("signatures", "are more than %d", maxSignatures)
	}
	if err := c.err(); err != nil {
		return e, s, err
	}
	if err := json.Unmarshal(e.Payload, &s); err != nil {
		c.fail("payload", "is not a statement: %s", strings.TrimPrefix(err.Error(), "json: "))
	} else if s.Type != statementType || s.PredicateType != PredicateType {
		c.fail("payload", "is a statement of another kind: %q", short(s.PredicateType))
	}
	return e, s, c.err()
}

// short is a text in an error.
func short(s string) string {
	if len(s) > maxText {
		return s[:maxText] + "…"
	}
	return s
}

// String says who signed.
func (s Subject) String() string { return fmt.Sprintf("%s at %s", s.Subject, s.Issuer) }
