package attestation_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/internal/servers/checkers"
	"fnb/internal/servers/tried"
	"fnb/trust"
	"fnb/trust/attestation"
)

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func signer(t *testing.T) *trust.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("FNB_TEST_KEY", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	s, err := trust.Open(t.Context(), "env:FNB_TEST_KEY", trust.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestBundle signs, reads and verifies, and signs the same again.
func TestBundle(t *testing.T) {
	s, stranger := signer(t), signer(t)
	a, err := attestation.Sign(t.Context(), s, attestation.Signature(digest))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := attestation.Sign(t.Context(), s, attestation.Signature(digest)); err != nil || !bytes.Equal(a.Blob, again.Blob) {
		t.Errorf("signed again it has other bytes (%v)", err)
	}
	if got := attestation.PredicateOf(a.Annotations); got != attestation.PredicateSignature {
		t.Errorf("it announces %s", got)
	}
	f, err := attestation.Read(a.ArtifactType, a.Blob)
	if err != nil {
		t.Fatal(err)
	}
	trusted := []trust.TrustedKey{{PublicKey: stranger.Key()}, {PublicKey: s.Key()}}
	if by, err := f.Verify(trusted, time.Now()); err != nil || !by.Equal(s.Key()) {
		t.Errorf("verified by %v, %v", by, err)
	}
	refused(t, "none of the given keys", second(f.Verify(trusted[:1], time.Now())))
	expired := trust.TrustedKey{PublicKey: s.Key(), Before: time.Unix(0, 0)}
	refused(t, "has expired", second(f.Verify([]trust.TrustedKey{expired}, time.Now())))
	if err := f.Says(digest, attestation.PredicateSignature); err != nil {
		t.Error(err)
	}
	refused(t, "it says https://sigstore.dev/cosign/sign/v1, and not https://spdx.dev/Document", f.Says(digest, attestation.PredicateSPDX))
	refused(t, "about another image", f.Says("sha256:00", attestation.PredicateSignature))
}

// TestOthers has Sigstore's library for JavaScript verify what is signed here, with keys of the kinds that it knows.
func TestOthers(t *testing.T) {
	node, program, err := checkers.Sigstore()
	servers.Require(t, "sigstore", err)
	_, err = exec.LookPath("openssl")
	servers.Require(t, "openssl", err)
	dir := t.TempDir()
	kinds := map[string][]string{
		"ed25519": {"genpkey", "-algorithm", "ed25519"}, "p256": {"ecparam", "-genkey", "-noout", "-name", "prime256v1"},
		"rsa": {"genpkey", "-algorithm", "rsa", "-pkeyopt", "rsa_keygen_bits:3072"},
	}
	verify := func(blob []byte, key string) (string, error) {
		c := exec.CommandContext(t.Context(), node, program, filepath.Join(dir, key+".pub"))
		c.Stdin = bytes.NewReader(blob)
		out, err := c.CombinedOutput()
		return string(out), err
	}
	made := map[string]attestation.Artifact{}
	for kind, args := range kinds {
		file := filepath.Join(dir, kind)
		if out, err := exec.CommandContext(t.Context(), "openssl", append(args, "-out", file)...).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		s, err := trust.Open(t.Context(), file, trust.Options{})
		fixture.Must(t, err)
		pub, err := s.Key().PEM()
		fixture.Must(t, err)
		fixture.Must(t, os.WriteFile(file+".pub", pub, 0o600))
		made[kind], err = attestation.Sign(t.Context(), s, attestation.Signature(digest))
		fixture.Must(t, err)
	}
	want := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + digest[7:] + `"}}],"predicateType":"https://sigstore.dev/cosign/sign/v1","predicate":{}}`
	for kind := range kinds {
		if out, err := verify(made[kind].Blob, kind); err != nil || out != want {
			t.Errorf("%s: %v\n%s", kind, err, out)
		}
	}
	if out, err := verify(made["p256"].Blob, "ed25519"); err == nil || !strings.Contains(out, "signature verification failed") {
		t.Errorf("with another key: %v\n%s", err, out)
	}
	version, err := os.ReadFile(filepath.Join(filepath.Dir(program), "node_modules", "@sigstore", "verify", "package.json"))
	fixture.Must(t, err)
	var says struct{ Version string }
	fixture.Must(t, json.Unmarshal(version, &says))
	fixture.Must(t, tried.Record(t.Context(), "@sigstore/verify", says.Version, "TestOthers"))
}

// TestTampered changes what was signed, byte by byte of its structure.
func TestTampered(t *testing.T) {
	s := signer(t)
	a, err := attestation.Sign(t.Context(), s, attestation.Signature(digest))
	if err != nil {
		t.Fatal(err)
	}
	other, err := attestation.Sign(t.Context(), s, attestation.Signature("sha256:00"))
	if err != nil {
		t.Fatal(err)
	}
	field := func(blob []byte) (whole, envelope map[string]any) {
		if err := json.Unmarshal(blob, &whole); err != nil {
			t.Fatal(err)
		}
		envelope, _ = whole["dsseEnvelope"].(map[string]any)
		return whole, envelope
	}
	_, foreign := field(other.Blob)
	for words, change := range map[string]func(whole, envelope map[string]any){
		"none of the given keys":      func(_, e map[string]any) { e["payload"] = foreign["payload"] },
		"has 2 signatures":            func(_, e map[string]any) { e["signatures"] = []any{map[string]any{}, map[string]any{}} },
		"has 0 signatures":            func(_, e map[string]any) { e["signatures"] = []any{} },
		"not a statement of in-toto":  func(_, e map[string]any) { e["payloadType"] = "text/plain" },
		"signs a file":                func(w, _ map[string]any) { delete(w, "dsseEnvelope"); w["messageSignature"] = map[string]any{} },
		"nothing in it":               func(w, _ map[string]any) { delete(w, "dsseEnvelope") },
		"it is not a bundle":          func(w, _ map[string]any) { w["mediaType"] = "text/plain" },
		"it is not a bundle of sigst": func(w, _ map[string]any) { w["dsseEnvelope"] = "x" },
	} {
		w, e := field(a.Blob)
		change(w, e)
		raw, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		f, err := attestation.Read(a.ArtifactType, raw)
		if err == nil {
			_, err = f.Verify([]trust.TrustedKey{{PublicKey: s.Key()}}, time.Now())
		}
		refused(t, words, err)
	}
}

// TestUnsigned reads a statement that nobody has signed.
func TestUnsigned(t *testing.T) {
	st, err := attestation.New(attestation.PredicateSPDX, map[string]string{"b": "<1>", "a": "2"}, attestation.Image(digest))
	if err != nil {
		t.Fatal(err)
	}
	a, err := attestation.Unsigned(st)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"` + digest[7:] + `"}}],"predicateType":"https://spdx.dev/Document","predicate":{"a":"2","b":"<1>"}}`
	if string(a.Blob) != want {
		t.Errorf("got %s", a.Blob)
	}
	f, err := attestation.Read(a.ArtifactType, a.Blob)
	if err != nil || f.Signed {
		t.Fatalf("%+v, %v", f, err)
	}
	refused(t, "nobody has signed", second(f.Verify(nil, time.Now())))
	for words, text := range map[string]string{
		"not a statement of in-toto":    `{"_type":"x"}`,
		"about nothing":                 `{"_type":"https://in-toto.io/Statement/v1"}`,
		"does not say of what":          `{"_type":"https://in-toto.io/Statement/v1","subject":[{}]}`,
		"more than 1000 things":         `{"_type":"https://in-toto.io/Statement/v1","subject":[{}` + strings.Repeat(",{}", 1000) + `]}`,
		"it is not a statement of in":   `[`,
		`it says "predicateType" twice`: `{"_type":"https://in-toto.io/Statement/v1","subject":[{}],"predicateType":"a","predicateType":"b"}`,
		`it says "PredicateType" where others read "predicateType" alone`: `{"_type":"https://in-toto.io/Statement/v1","subject":[{}],"predicateType":"a","PredicateType":"b"}`,
		`where others read "subject" alone`:                               `{"_type":"https://in-toto.io/Statement/v1","subject":[{}],"ſubject":[{"digest":{"sha256":"00"}}],"predicateType":"a"}`,
		`it says "Digest" where others read "digest"`:                     `{"_type":"https://in-toto.io/Statement/v1","subject":[{"digest":{"sha256":"00"},"Digest":{"sha256":"01"}}],"predicateType":"a"}`,
	} {
		_, err := attestation.Read(attestation.MediaTypeStatement, []byte(text))
		refused(t, words, err)
	}
}

func second(_ trust.TrustedKey, err error) error { return err }

func refused(t *testing.T, words string, err error) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("got %v, want %q", err, words)
	}
}
