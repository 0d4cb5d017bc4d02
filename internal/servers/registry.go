package servers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

var registryListens = regexp.MustCompile(`listening on (127\.0\.0\.1:\d+)|serving on port (\d+)`)

// RegistryOptions say how a registry is started. The zero value is an empty
// registry in a temporary folder, in plain HTTP, open to everybody.
type RegistryOptions struct {
	// Dir is where the registry keeps its blobs. Empty means a temporary folder
	// that Close removes.
	Dir string
	// User and Password, when set, are asked for by basic authentication.
	User, Password string
	// TLS, when set, makes the registry speak HTTPS with its server certificate.
	TLS *Certs
	// Program is "" for that of the distribution project as it is now, "docker-registry"
	// for Debian's older one, or "crane" for go-containerregistry's, which has the first
	// two options only of those here.
	Program string
	// Absolute has the registry name whole addresses where it can name paths.
	Absolute bool
	// Proxy puts a reverse proxy in front of the registry, which records the
	// requests and can break them: see [Registry.Requests] and [Registry.Fail].
	Proxy bool
}

// A Registry is a running OCI registry: the program of the distribution
// project with its filesystem storage.
type Registry struct {
	// Host is "127.0.0.1:port", to be put before a repository's name.
	Host string
	// URL is "http://" or "https://" and Host.
	URL string

	proc   *process
	proxy  *faultProxy
	server *httptest.Server
	temp   string
}

// StartRegistry starts a registry and returns when it accepts connections.
func StartRegistry(ctx context.Context, opts RegistryOptions) (_ *Registry, err error) {
	r := &Registry{}
	if r.temp, err = os.MkdirTemp("", "fnb-registry-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.Close())
		}
	}()
	cmd, err := registryCommand(ctx, r.temp, opts)
	if err != nil {
		return nil, err
	}
	if r.proc, err = startProcess("registry", cmd); err != nil {
		return nil, err
	}
	m, err := r.proc.awaitLine(ctx, registryListens, 30*time.Second)
	if err != nil {
		return nil, err
	}
	r.Host = cmp.Or(m[1], "127.0.0.1:"+m[2])
	r.URL = "http://" + r.Host
	if opts.TLS != nil {
		r.URL = "https://" + r.Host
	}
	if opts.Proxy {
		r.startProxy(opts.TLS)
	}
	return r, nil
}

// registryCommand is what starts a registry, whose files are in dir.
func registryCommand(ctx context.Context, dir string, opts RegistryOptions) (*exec.Cmd, error) {
	ctx = context.WithoutCancel(ctx) // the registry outlives the call, not the program; Close stops it
	if opts.Program == "crane" {
		bin, err := Tool(ctx, "crane")
		return exec.CommandContext(ctx, bin, "registry", "serve", "--address", "127.0.0.1:0", "--disk", cmp.Or(opts.Dir, dir)), err
	}
	bin, err := exec.LookPath("docker-registry")
	if opts.Program == "" {
		bin, err = Tool(ctx, "registry")
	}
	if err != nil {
		return nil, err
	}
	text, err := registryConfig(dir, opts)
	if err != nil {
		return nil, err
	}
	conf := filepath.Join(dir, "config.yml")
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, bin, "serve", conf)
	cmd.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	return cmd, nil
}

// startProxy puts the proxy in front; it ends TLS itself.
func (r *Registry) startProxy(certs *Certs) {
	r.proxy = newFaultProxy(&url.URL{Scheme: "http", Host: r.Host})
	r.server = httptest.NewUnstartedServer(r.proxy)
	r.server.Config.ErrorLog = discardLog()
	if certs != nil {
		r.server.TLS = certs.serverConfig()
		r.server.StartTLS()
	} else {
		r.server.Start()
	}
	r.URL = r.server.URL
	r.Host = r.server.Listener.Addr().String()
}

// registryConfig writes the files that the configuration names into dir, and
// returns the configuration.
func registryConfig(dir string, opts RegistryOptions) (string, error) {
	storage := opts.Dir
	if storage == "" {
		storage = filepath.Join(dir, "storage")
	}
	text := fmt.Sprintf(`version: 0.1
log:
  level: info
storage:
  filesystem:
    rootdirectory: %q
    maxthreads: 100
  delete:
    enabled: true
http:
  addr: 127.0.0.1:0
  relativeurls: %t
  secret: fnb
`, storage, !opts.Absolute)
	if opts.TLS != nil && !opts.Proxy {
		text += fmt.Sprintf("  tls:\n    certificate: %q\n    key: %q\n", opts.TLS.ServerCert, opts.TLS.ServerKey)
	}
	if opts.User == "" {
		return text, nil
	}
	hash, err := bcrypt.GenerateFromPassword([]byte(opts.Password), bcrypt.MinCost)
	if err != nil {
		return "", fmt.Errorf("hashing the registry's password: %w", err)
	}
	file := filepath.Join(dir, "htpasswd")
	if err := os.WriteFile(file, []byte(opts.User+":"+string(hash)+"\n"), 0o600); err != nil {
		return "", err
	}
	return text + fmt.Sprintf("auth:\n  htpasswd:\n    realm: fnb\n    path: %q\n", file), nil
}

// Fail breaks requests that come from now on; it needs RegistryOptions.Proxy.
// Of several faults that match a request, the one given first answers. What it
// returns forgets these faults and no others.
func (r *Registry) Fail(faults ...Fault) (heal func()) { return r.proxy.add(faults) }

// Heal forgets all faults.
func (r *Registry) Heal() { r.proxy.reset() }

// Requests returns what was asked for since the last call, in order; it needs
// RegistryOptions.Proxy.
func (r *Registry) Requests() []Request { return r.proxy.takeRequests() }

// RequestsOf is [Registry.Requests] for those whose path matches alone.
func (r *Registry) RequestsOf(path *regexp.Regexp) []Request { return r.proxy.takeRequestsOf(path) }

// Log returns what the registry has printed.
func (r *Registry) Log() string { return r.proc.log.String() }

// Client returns an HTTP client for [Registry.URL] that trusts the registry's
// certificate.
func (r *Registry) Client(certs *Certs) *http.Client {
	tr := &http.Transport{}
	if certs != nil {
		tr.TLSClientConfig = certs.clientConfig()
	}
	return &http.Client{Transport: tr, Timeout: 30 * time.Second}
}

// Close stops the registry and removes its temporary folder.
func (r *Registry) Close() error {
	var errs []error
	if r.server != nil {
		r.server.CloseClientConnections()
		r.server.Close()
	}
	if r.proc != nil {
		errs = append(errs, r.proc.stop(10*time.Second))
	}
	return errors.Join(append(errs, os.RemoveAll(r.temp))...)
}

// RegistryFor starts a registry for one test.
func RegistryFor(tb testing.TB, opts RegistryOptions) *Registry {
	tb.Helper()
	r, err := StartRegistry(tb.Context(), opts)
	if opts.Program == "docker-registry" {
		Require(tb, "registries", err)
	}
	Require(tb, "registry", err)
	closeAtEnd(tb, r.Close)
	return r
}

// closeAtEnd closes a server when the test ends, and reports what went wrong.
func closeAtEnd(tb testing.TB, closeServer func() error) {
	tb.Helper()
	tb.Cleanup(func() {
		if err := closeServer(); err != nil {
			tb.Error(err)
		}
	})
}
