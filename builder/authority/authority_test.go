package authority_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"software.sslmate.com/src/go-pkcs12"

	"fnb/builder/authority"
)

// An issuer makes certificates.
type issuer struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// issue makes a certificate in PEM, signed by itself where by is nil.
func issue(t *testing.T, name string, by *issuer, isCA bool, until time.Time) (string, *issuer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		IsCA: isCA, BasicConstraintsValid: true,
	}
	if by == nil {
		by = &issuer{cert, key}
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, by.cert, key.Public(), by.key)
	if err != nil {
		t.Fatal(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), &issuer{cert, key}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	now := time.Now()
	later, earlier := now.Add(time.Hour), now.Add(-time.Hour)
	ca, by := issue(t, "company", nil, true, later)
	other, _ := issue(t, "other", nil, true, later)
	old, _ := issue(t, "old", nil, true, earlier)
	alone, _ := issue(t, "alone", nil, false, later)
	leaf, _ := issue(t, "server", by, false, later)
	block, _ := pem.Decode([]byte(ca))
	key := string(pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: []byte("x")}))
	for name, tt := range map[string]struct{ data, want, err string }{
		"one":              {ca, ca, ""},
		"several":          {"# ours\n" + ca + "\r\n" + other, ca + other, ""},
		"twice":            {ca + ca, ca, ""},
		"an old one too":   {old + ca, old + ca, ""},
		"windows":          {strings.ReplaceAll(ca, "\n", "\r\n"), ca, ""},
		"signed by itself": {alone, alone, ""},
		"an old one":       {old, "", `the certificate of "CN=old" in it has expired on ` + earlier.UTC().Format(time.DateOnly)},
		"a server's":       {leaf, "", `the certificate of "CN=server" in it is not that of an authority`},
		"a key":            {ca + key, "", "it has a private key in it; give a file with certificates only"},
		"nothing":          {"", "", "it has no certificate in PEM"},
		"text":             {"hello", "", "it has no certificate in PEM"},
		"cut short":        {ca[:len(ca)-30], "", "it has no certificate in PEM"},
		"DER":              {string(block.Bytes), "", "if it is DER, convert it with: openssl x509 -inform der"},
		"broken":           {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})), "", "certificate 1 in it is broken"},
	} {
		got, err := authority.Check([]byte(tt.data), now)
		if tt.err == "" && (err != nil || string(got) != tt.want) {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
		if tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
			t.Errorf("%s: got %v, want %q", name, err, tt.err)
		}
	}
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := authority.Read(dir); err == nil || !strings.Contains(err.Error(), "is not a file") {
		t.Errorf("a folder: %v", err)
	}
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, authority.MaxBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := authority.Read(large); err == nil || !strings.Contains(err.Error(), "is larger than") {
		t.Errorf("a large file: %v", err)
	}
}

// A step goes on to trust what it trusted: its system's bundle, and files to which its
// variables lead already. What it is told otherwise stays.
func TestTrust(t *testing.T) {
	t.Parallel()
	until := time.Now().Add(time.Hour)
	company, _ := issue(t, "company", nil, true, until)
	system, _ := issue(t, "system", nil, true, until)
	pip, _ := issue(t, "pip", nil, true, until)
	node, _ := issue(t, "node", nil, true, until)
	files := map[string]string{
		"/etc/ssl/certs/ca-certificates.crt": "# the system's\n" + system, "/etc/pip.pem": pip, "/etc/node.pem": strings.TrimSpace(node), "/etc/wgetrc": "timeout = 5",
	}
	step := authority.Step{
		Env:  []string{"PATH=/bin", "PIP_CERT=/etc/pip.pem", "NODE_EXTRA_CA_CERTS=/etc/node.pem", "JAVA_TOOL_OPTIONS=-Xmx1g", "APT_CONFIG=/etc/own", "CURL_CA_BUNDLE=/no/such"},
		File: func(name string) []byte { return []byte(files[name]) },
	}
	got, err := step.Trust([]byte(company))
	if err != nil {
		t.Fatal(err)
	}
	if want := system + pip + node + company; string(got.Files["bundle.pem"]) != want {
		t.Errorf("the bundle is %s", got.Files["bundle.pem"])
	}
	if want := node + company; string(got.Files["company.pem"]) != want {
		t.Errorf("the company's are %s", got.Files["company.pem"])
	}
	if want := "timeout = 5\nca_certificate = /dev/fnb-trust/bundle.pem\n"; string(got.Files["wgetrc"]) != want {
		t.Errorf("wgetrc is %q", got.Files["wgetrc"])
	}
	certs, err := pkcs12.DecodeTrustStore(got.Files["trust.p12"], "")
	if err != nil || len(certs) != 4 {
		t.Errorf("Java trusts %d: %v", len(certs), err)
	}
	for _, want := range []string{
		"PATH=/bin", "APT_CONFIG=/etc/own", "SSL_CERT_FILE=/dev/fnb-trust/bundle.pem", "PIP_CERT=/dev/fnb-trust/bundle.pem", "NODE_EXTRA_CA_CERTS=/dev/fnb-trust/company.pem",
		"JAVA_TOOL_OPTIONS=-Xmx1g -Djavax.net.ssl.trustStore=/dev/fnb-trust/trust.p12 -Djavax.net.ssl.trustStoreType=PKCS12",
	} {
		if !slices.Contains(got.Env, want) {
			t.Errorf("%q lacks %q", got.Env, want)
		}
	}
	if slices.Contains(got.Env, "PIP_CERT=/etc/pip.pem") || !slices.Contains(step.Env, "PIP_CERT=/etc/pip.pem") {
		t.Errorf("the step had %q and has %q", step.Env, got.Env)
	}
}
