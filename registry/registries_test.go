package registry

import (
	"crypto/x509"
	"os"
	"strings"
	"testing"

	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/internal/servers/front"
)

// TestRegistries does what fnb does with a registry with those that there are.
func TestRegistries(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"", "docker-registry", "crane"} {
		t.Run("program "+program, func(t *testing.T) {
			t.Parallel()
			reg := servers.RegistryFor(t, servers.RegistryOptions{Program: program})
			useRegistry(t, reg.Host+"/acme", Options{})
		})
		t.Run("prefix "+program, func(t *testing.T) {
			t.Parallel()
			reg := servers.RegistryFor(t, servers.RegistryOptions{Program: program})
			useRegistry(t, servers.NginxFor(t, reg, servers.NginxOptions{Prefix: "team/images"})+"/acme", Options{})
		})
	}
}

// TestRegistryBehindNginx has nginx end TLS without a word to the registry, and send
// whoever fetches a blob elsewhere.
func TestRegistryBehindNginx(t *testing.T) {
	t.Parallel()
	certs, err := servers.MakeCerts(t.TempDir())
	fixture.Must(t, err)
	pem, err := os.ReadFile(certs.CA)
	fixture.Must(t, err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	reg := servers.RegistryFor(t, servers.RegistryOptions{Absolute: true})
	useRegistry(t, servers.NginxFor(t, reg, servers.NginxOptions{TLS: certs})+"/tls", Options{RootCAs: pool})

	blobs := front.For(t, reg, front.Quirk{}).Other
	if !strings.HasPrefix(blobs, "127.0.0.2:") {
		t.Fatalf("blobs are at %s", blobs)
	}
	useRegistry(t, servers.NginxFor(t, reg, servers.NginxOptions{Blobs: blobs})+"/blobs", Options{})
}
