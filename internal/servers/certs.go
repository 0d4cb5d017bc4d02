package servers

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// Certs are the files of a certificate authority made for one test, with a
// server certificate for 127.0.0.1, ::1 and localhost, and a client certificate.
type Certs struct {
	CA                    string // PEM file of the authority
	ServerCert, ServerKey string // PEM files
	ClientCert, ClientKey string // PEM files

	pool           *x509.CertPool
	server, client tls.Certificate
}

// MakeCerts makes the certificates in dir; they are good for a day.
func MakeCerts(dir string) (*Certs, error) {
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	caCert := certTemplate("fnb test authority")
	caCert.IsCA, caCert.BasicConstraintsValid = true, true
	caCert.KeyUsage = x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, caCert, caCert, caKey.Public(), caKey)
	if err != nil {
		return nil, err
	}
	c := &Certs{CA: filepath.Join(dir, "ca.pem"), pool: x509.NewCertPool()}
	caPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	c.pool.AppendCertsFromPEM(caPEM)
	if err := os.WriteFile(c.CA, caPEM, 0o600); err != nil {
		return nil, err
	}
	issue := func(name string) (cert, key string, pair tls.Certificate, err error) {
		leaf := certTemplate(name)
		leaf.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
		leaf.DNSNames = []string{"localhost"}
		leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
		cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+"-key.pem")
		pair, err = writePair(leaf, caCert, caKey, cert, key)
		return cert, key, pair, err
	}
	if c.ServerCert, c.ServerKey, c.server, err = issue("server"); err != nil {
		return nil, err
	}
	c.ClientCert, c.ClientKey, c.client, err = issue("client")
	return c, err
}

// writePair signs a certificate with the authority's key and writes it and its
// own key to two PEM files.
func writePair(leaf, ca *x509.Certificate, caKey *ecdsa.PrivateKey, cert, key string) (tls.Certificate, error) {
	fail := func(err error) (tls.Certificate, error) {
		return tls.Certificate{}, fmt.Errorf("making %s: %w", cert, err)
	}
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fail(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, ca, k.Public(), caKey)
	if err != nil {
		return fail(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return fail(err)
	}
	certPEM := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	keyPEM := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	if err := os.WriteFile(cert, certPEM, 0o600); err != nil {
		return fail(err)
	}
	if err := os.WriteFile(key, keyPEM, 0o600); err != nil {
		return fail(err)
	}
	return tls.X509KeyPair(certPEM, keyPEM)
}

func certTemplate(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		panic(err) // rand.Reader never fails
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
}

func (c *Certs) serverConfig() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{c.server}, MinVersion: tls.VersionTLS12}
}

func (c *Certs) clientConfig() *tls.Config {
	return &tls.Config{RootCAs: c.pool, Certificates: []tls.Certificate{c.client}, MinVersion: tls.VersionTLS12}
}

// Mutual is the server's side of TLS that lets those in who show the client's certificate.
func (c *Certs) Mutual() *tls.Config {
	config := c.serverConfig()
	config.ClientCAs, config.ClientAuth = c.pool, tls.RequireAndVerifyClientCert
	return config
}
