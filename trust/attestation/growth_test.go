package attestation_test

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"fnb/internal/growth"
	"fnb/trust/attestation"
)

// growthSize is below the limit of a bundle, which nothing here comes near in a test of seconds.
const growthSize = attestation.MaxBytes / 16

// TestGrowth reads what whoever may push would attach to an image: the time grows with its length.
func TestGrowth(t *testing.T) {
	statement := `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://spdx.dev/Document","subject":[{"digest":{"sha256":"00"}}]`
	bundle := func(payload string) string {
		return `{"mediaType":"` + attestation.MediaTypeBundle + `","verificationMaterial":{"publicKey":{"hint":"x"}},"dsseEnvelope":{"payloadType":"` + attestation.MediaTypeStatement +
			`","signatures":[{"sig":"AAAA"}],"payload":"` + base64.StdEncoding.EncodeToString([]byte(payload)) + `"}}`
	}
	var readers []growth.Reader
	for _, c := range []struct{ what, before, part, after string }{
		{"a predicate", statement + `,"predicate":{"a":"`, "x", `"}}`},
		{"subjects", strings.TrimSuffix(statement, "]"), `,{"digest":{"sha256":"#"}}`, `]}`},
		{"digests", strings.TrimSuffix(statement, "}}]") + `,"a":"b"`, `,"a#":"b"`, `}}]}`},
		{"nested", statement + `,"predicate":`, "[", ""},
		{"keys", statement, `,"k#":1`, `}`},
	} {
		for kind, wrap := range map[string]func(string) string{attestation.MediaTypeBundle: bundle, attestation.MediaTypeStatement: func(s string) string { return s }} {
			readers = append(readers, growth.Reader{Name: c.what + " in " + kind, Size: growthSize, Begin: func(size int) func() {
				data := []byte(wrap(c.before + growth.Numbered(c.part, size/2-len(c.before)-len(c.after)-len(c.part)) + c.after))
				return func() {
					if f, err := attestation.Read(kind, data); err == nil {
						_, _ = f.Verify(nil, time.Now())
						_ = f.Says(digest, attestation.PredicateSPDX)
					}
				}
			}})
		}
	}
	growth.Check(t, readers...)
}

// FuzzRead reads any bytes as a bundle, and as a statement.
func FuzzRead(f *testing.F) {
	statement := `{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://spdx.dev/Document","subject":[{"digest":{"sha256":"00"}}]}`
	f.Add([]byte(statement))
	f.Add([]byte(`{"mediaType":"` + attestation.MediaTypeBundle + `","dsseEnvelope":{"payloadType":"` + attestation.MediaTypeStatement + `","signatures":[{"sig":"AAAA"}],"payload":"` + base64.StdEncoding.EncodeToString([]byte(statement)) + `"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, kind := range []string{attestation.MediaTypeBundle, attestation.MediaTypeStatement} {
			found, err := attestation.Read(kind, data)
			if (found == nil) == (err == nil) {
				t.Fatalf("%+v, %v", found, err)
			}
			if err != nil {
				continue
			}
			if _, err := found.Verify(nil, time.Now()); err == nil {
				t.Error("nobody has signed it, and it is verified")
			}
			_ = found.Says(digest, attestation.PredicateSignature)
		}
	})
}
