// Package authority has the RUN steps of a build trust a company's certificates, without a
// trace in the image: begin with [Read] and [Step.Trust].
package authority

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"software.sslmate.com/src/go-pkcs12"
)

// Dir is where a step finds what it trusts: below /dev, which is each step's own and in no
// image.
const Dir = "/dev/fnb-trust"

// The files in Dir.
const (
	bundleFile  = "bundle.pem"  // what the image trusts, and the company
	companyFile = "company.pem" // the company alone, for programs that have authorities of their own
	storeFile   = "trust.p12"   // the bundle as a JVM reads it
	aptFile     = "apt.conf"
	wgetFile    = "wgetrc"
)

// MaxBytes is how large a file of certificates may be: what builders take as a secret.
const MaxBytes = 480_000

// Read reads a file with certificates of authorities, in PEM.
func Read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", file)
	}
	if info.Size() > MaxBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes", file, MaxBytes)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	if data, err = Check(data, time.Now()); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return data, nil
}

// Check returns the certificates of a PEM file, each once, and nothing else that is in it.
// A private key is an error, since it was not meant to be given away; and so are a certificate
// that is no authority's, and certificates that have all expired.
func Check(data []byte, now time.Time) ([]byte, error) {
	var out bytes.Buffer
	seen := map[[32]byte]bool{}
	var expired *x509.Certificate
	alive := false
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if strings.Contains(block.Type, "PRIVATE KEY") {
			return nil, errors.New("it has a private key in it; give a file with certificates only")
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d in it is broken: %w", len(seen)+1, err)
		}
		if !cert.IsCA && cert.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) != nil {
			return nil, fmt.Errorf("the certificate of %q in it is not that of an authority", cert.Subject)
		}
		if now.After(cert.NotAfter) {
			expired = cert
		} else {
			alive = true
		}
		if sum := sha256.Sum256(block.Bytes); !seen[sum] {
			seen[sum] = true
			if err := pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: block.Bytes}); err != nil {
				return nil, err
			}
		}
	}
	switch {
	case len(seen) == 0 && len(data) > 0 && data[0] == 0x30:
		return nil, errors.New("it has no certificate in PEM; if it is DER, convert it with: openssl x509 -inform der -in FILE")
	case len(seen) == 0:
		return nil, errors.New("it has no certificate in PEM")
	case !alive:
		return nil, fmt.Errorf("the certificate of %q in it has expired on %s", expired.Subject, expired.NotAfter.UTC().Format(time.DateOnly))
	}
	return out.Bytes(), nil
}

// systemBundles are where systems have the authorities that they trust, the first that is
// there.
func systemBundles() []string {
	return []string{
		"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
		"/etc/pki/tls/cacert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem",
	}
}

// bundleVariables lead programs to a bundle that they trust in the place of another, and
// companyVariables to certificates that they trust beside their own.
func bundleVariables() []string {
	return []string{
		"SSL_CERT_FILE", // OpenSSL, Go, uv, Deno and all that use the system's
		"CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT", "REQUESTS_CA_BUNDLE", "CARGO_HTTP_CAINFO", "AWS_CA_BUNDLE",
		"YARN_HTTPS_CA_FILE_PATH",
	}
}

func companyVariables() []string { return []string{"NODE_EXTRA_CA_CERTS", "DENO_CERT"} }

// A Step is a RUN step as it would run.
type Step struct {
	Env []string
	// File returns a file of the step's root file system; nil where there is none.
	File func(path string) []byte // nil is no file at all
}

// Trusted is what a step gets, to trust a company beside those that it trusts anyway.
type Trusted struct {
	Files map[string][]byte // to be below Dir
	Env   []string          // the step's, all of it
}

// Trust returns what a step needs to trust a company's authorities: those that the image
// trusts, or where it has none of its own those of this machine, stay trusted.
func (s Step) Trust(company []byte) (Trusted, error) {
	base := s.system()
	own := append(ended(s.named(companyVariables())), company...)
	bundle := join(base, s.named(bundleVariables()), own)
	store, err := javaStore(bundle)
	if err != nil {
		return Trusted{}, fmt.Errorf("making a trust store for Java: %w", err)
	}
	return Trusted{
		Files: map[string][]byte{
			bundleFile: bundle, companyFile: join(own), storeFile: store,
			aptFile:  []byte("Acquire::https::CaInfo \"" + path.Join(Dir, bundleFile) + "\";\n"),
			wgetFile: append(ended(s.read("/etc/wgetrc")), "ca_certificate = "+path.Join(Dir, bundleFile)+"\n"...),
		},
		Env: s.environment(),
	}, nil
}

// environment is the step's, with the variables that lead to what it trusts. Programs that
// take a whole configuration from one variable keep the one that they have.
func (s Step) environment() []string {
	env := append([]string{}, s.Env...)
	for _, name := range bundleVariables() {
		env = set(env, name, path.Join(Dir, bundleFile))
	}
	for _, name := range companyVariables() {
		env = set(env, name, path.Join(Dir, companyFile))
	}
	java := "-Djavax.net.ssl.trustStore=" + path.Join(Dir, storeFile) + " -Djavax.net.ssl.trustStoreType=PKCS12"
	env = set(env, "JAVA_TOOL_OPTIONS", strings.TrimSpace(s.value("JAVA_TOOL_OPTIONS")+" "+java))
	if s.value("APT_CONFIG") == "" {
		env = set(env, "APT_CONFIG", path.Join(Dir, aptFile))
	}
	if s.value("SYSTEM_WGETRC") == "" {
		env = set(env, "SYSTEM_WGETRC", path.Join(Dir, wgetFile))
	}
	return env
}

// system are the authorities of the step's system, or else of this machine's.
func (s Step) system() []byte {
	for _, read := range []func(string) []byte{s.read, here} {
		for _, file := range systemBundles() {
			if data := read(file); len(data) > 0 {
				return data
			}
		}
	}
	return nil
}

// here reads a file of this machine; nil where there is none.
func here(file string) []byte {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	return data
}

// named are the certificates of files to which variables of the step lead already.
func (s Step) named(variables []string) []byte {
	var out []byte
	seen := map[string]bool{"": true}
	for _, name := range variables {
		if file := s.value(name); !seen[file] {
			seen[file] = true
			out = append(ended(out), s.read(file)...)
		}
	}
	return out
}

func (s Step) value(name string) (value string) {
	for _, v := range s.Env {
		if k, after, _ := strings.Cut(v, "="); k == name {
			value = after
		}
	}
	return value
}

// set gives a variable a value, and no other.
func set(env []string, name, value string) []string {
	out := slices.DeleteFunc(env, func(v string) bool { return strings.HasPrefix(v, name+"=") })
	return append(out, name+"="+value)
}

// read reads a file of the step; nil where there is none.
func (s Step) read(file string) []byte {
	if s.File == nil {
		return nil
	}
	return s.File(file)
}

// ended is text that ends with a line's end.
func ended(text []byte) []byte {
	if len(text) > 0 && text[len(text)-1] != '\n' {
		return append(text[:len(text):len(text)], '\n')
	}
	return text
}

// join makes one bundle of several, with each certificate once.
func join(parts ...[]byte) []byte {
	var out bytes.Buffer
	seen := map[[32]byte]bool{}
	for _, part := range parts {
		for block, rest := pem.Decode(part); block != nil; block, rest = pem.Decode(rest) {
			sum := sha256.Sum256(block.Bytes)
			if block.Type != "CERTIFICATE" || seen[sum] {
				continue
			}
			seen[sum] = true
			_ = pem.Encode(&out, &pem.Block{Type: block.Type, Bytes: block.Bytes}) // into memory
		}
	}
	return out.Bytes()
}

// javaStore makes the trust store of a bundle that every JVM since 2021 reads, without a
// password. What Go cannot read of it is left out.
func javaStore(bundle []byte) ([]byte, error) {
	var entries []pkcs12.TrustStoreEntry
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil {
			entries = append(entries, pkcs12.TrustStoreEntry{Cert: cert, FriendlyName: "fnb" + strconv.Itoa(len(entries))})
		}
	}
	return pkcs12.Passwordless.EncodeTrustStoreEntries(entries, "")
}
