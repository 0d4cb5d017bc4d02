package attestation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"fnb/internal/plain"
)

// Types of predicates.
const (
	PredicateSignature    = "https://sigstore.dev/cosign/sign/v1" // says nothing but that the signer has signed
	PredicateProvenance   = "https://slsa.dev/provenance/v1"
	PredicateSPDX         = "https://spdx.dev/Document"
	PredicateCycloneDX    = "https://cyclonedx.org/bom"
	PredicateVerification = "https://slsa.dev/verification_summary/v1"
	PredicateTestResult   = "https://in-toto.io/attestation/test-result/v0.1"
	PredicateVEX          = "https://openvex.dev/ns"
)

// plainType is a type of SBOM without the version of its format, which GitHub's attestations of SPDX have at its end; other
// types are as they were.
func plainType(predicateType string) string {
	for _, p := range []string{PredicateSPDX, PredicateCycloneDX} {
		if version, ok := strings.CutPrefix(predicateType, p+"/v"); ok && strings.Trim(version, "0123456789.") == "" {
			return p
		}
	}
	return predicateType
}

// StatementType is the form of all statements: in-toto's, version 1.
const StatementType = "https://in-toto.io/Statement/v1"

// olderStatement has the same form; tools of before 2023 write it.
const olderStatement = "https://in-toto.io/Statement/v0.1"

// maxSubjects bounds what one statement is about.
const maxSubjects = 1000

// A Statement says something, the predicate, about things that are named by their digests. Its fields
// are those of in-toto's Statement, version 1.
type Statement struct {
	Type          string          `json:"_type"`
	Subject       []Resource      `json:"subject"`
	PredicateType string          `json:"predicateType"`
	Predicate     json.RawMessage `json:"predicate,omitempty"`
}

// A Resource is something that a statement names: in-toto's ResourceDescriptor, which predicates
// use too.
type Resource struct {
	Name             string            `json:"name,omitempty"`
	URI              string            `json:"uri,omitempty"`
	Digest           map[string]string `json:"digest,omitempty"` // hexadecimal by algorithm
	Content          []byte            `json:"content,omitempty"`
	DownloadLocation string            `json:"downloadLocation,omitempty"`
	MediaType        string            `json:"mediaType,omitempty"`
	Annotations      map[string]any    `json:"annotations,omitempty"`
}

// UnmarshalJSON refuses what readers do not agree about.
func (r *Resource) UnmarshalJSON(data []byte) error {
	type plainResource Resource
	if err := json.Unmarshal(data, (*plainResource)(r)); err != nil {
		return err
	}
	return exact(data, "name", "uri", "digest", "content", "downloadLocation", "mediaType", "annotations")
}

// Image is the resource of an image or any content by its digest, such as sha256:….
func Image(digest string) Resource {
	algorithm, hex, _ := strings.Cut(digest, ":")
	return Resource{Digest: map[string]string{algorithm: hex}}
}

// New makes a statement. predicate is written as JSON; its maps are sorted, so equal
// predicates make equal statements.
func New(predicateType string, predicate any, about ...Resource) (*Statement, error) {
	raw, err := marshal(predicate)
	if err != nil {
		return nil, fmt.Errorf("writing a predicate of type %s: %w", predicateType, err)
	}
	return &Statement{Type: StatementType, Subject: about, PredicateType: predicateType, Predicate: raw}, nil
}

// Signature is the statement that a signature of an image is, as cosign sign makes it.
func Signature(digest string) *Statement {
	return &Statement{Type: StatementType, Subject: []Resource{Image(digest)}, PredicateType: PredicateSignature, Predicate: json.RawMessage("{}")}
}

// Bytes is the statement as JSON, which is what is signed.
func (s *Statement) Bytes() ([]byte, error) { return marshal(s) }

// marshal writes JSON without escapes of HTML, and without a line's end.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// ParseStatement reads a statement. Fields that it does not know are left out, and so is the version of a type of SBOM.
func ParseStatement(data []byte) (*Statement, error) {
	var s Statement
	err := json.Unmarshal(data, &s)
	if err == nil {
		err = exact(data, "_type", "subject", "predicateType", "predicate")
	}
	if err != nil {
		return nil, fmt.Errorf("it is not a statement of in-toto: %w", plain.Error(err))
	}
	switch {
	case s.Type != StatementType && s.Type != olderStatement:
		return nil, fmt.Errorf("it is of type %s, not a statement of in-toto", plain.Quoted(s.Type))
	case len(s.Subject) == 0:
		return nil, errors.New("the statement is about nothing")
	case len(s.Subject) > maxSubjects:
		return nil, fmt.Errorf("the statement is about more than %d things", maxSubjects)
	case s.PredicateType == "":
		return nil, errors.New("the statement does not say of what type it is")
	}
	s.PredicateType = plainType(s.PredicateType)
	return &s, nil
}

// About reports whether the statement is about the content of a digest, such as sha256:….
func (s *Statement) About(digest string) bool {
	algorithm, hex, ok := strings.Cut(digest, ":")
	if !ok || hex == "" {
		return false
	}
	for _, r := range s.Subject {
		if r.Digest[algorithm] == hex {
			return true
		}
	}
	return false
}
