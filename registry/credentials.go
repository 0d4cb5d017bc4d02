package registry

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"

	"fnb/internal/plain"
	"fnb/origin"
)

// dockerHubKey is Docker Hub's name in credential files and helpers.
const dockerHubKey = "https://index.docker.io/v1/"

// tokenUser is the user name under which helpers keep an identity token.
const tokenUser = "<token>"

var helperName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// An authFile is what fnb reads of a credential file: Docker's config.json or
// Podman's auth.json.
type authFile struct {
	path        string
	Auths       map[string]authEntry `json:"auths"`
	CredsStore  string               `json:"credsStore"`
	CredHelpers map[string]string    `json:"credHelpers"`
}

type authEntry struct {
	Auth          string `json:"auth,omitempty"`
	Username      string `json:"username,omitempty"`
	Password      string `json:"password,omitempty"`
	IdentityToken string `json:"identitytoken,omitempty"`
	RegistryToken string `json:"registrytoken,omitempty"`
}

// A keychain finds credentials in files and helpers. It remembers what it found,
// because a helper is a program.
type keychain struct {
	files []string // in order of preference
	text  string   // a credential file by value: $DOCKER_AUTH_CONFIG

	mu    sync.Mutex
	known map[string]authn.AuthConfig
}

// Resolve implements [authn.Keychain].
func (k *keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), r)
}

// ResolveContext implements [authn.ContextKeychain].
func (k *keychain) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) {
	c, err := k.find(ctx, r.RegistryStr(), strings.TrimPrefix(r.String(), r.RegistryStr()+"/"))
	if err != nil {
		return nil, err
	}
	if c == (authn.AuthConfig{}) {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(c), nil
}

// find returns the credentials for a repository of a registry, the zero value
// where there are none. repository is "" for the registry itself.
func (k *keychain) find(ctx context.Context, registry, repository string) (authn.AuthConfig, error) {
	if repository == registry {
		repository = ""
	}
	// A helper reads lines; the host may be a builder's or a server's word.
	if err := origin.CheckHost(registry); err != nil {
		return authn.AuthConfig{}, fmt.Errorf("looking for credentials for %q: %w", plain.Short(registry), err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	id := registry + " " + repository
	if c, ok := k.known[id]; ok {
		return c, nil
	}
	files, err := k.read()
	if err != nil {
		return authn.AuthConfig{}, err
	}
	var found authn.AuthConfig
	for _, f := range files {
		found, err = f.find(ctx, registry, repository)
		if err != nil {
			return authn.AuthConfig{}, err
		}
		if found != (authn.AuthConfig{}) {
			break
		}
	}
	if k.known == nil {
		k.known = map[string]authn.AuthConfig{}
	}
	k.known[id] = found
	return found, nil
}

// forget makes the next find look again.
func (k *keychain) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known = nil
}

func (k *keychain) read() ([]*authFile, error) {
	var files []*authFile
	if k.text != "" {
		f := &authFile{path: "DOCKER_AUTH_CONFIG"}
		if err := json.Unmarshal([]byte(k.text), f); err != nil {
			return nil, errors.New("reading credentials: DOCKER_AUTH_CONFIG is not JSON")
		}
		files = append(files, f)
	}
	for _, path := range k.files {
		f, err := readAuthFile(path)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	return files, nil
}

// readAuthFile reads a credential file; one that is not there is empty.
func readAuthFile(path string) (*authFile, error) {
	f := &authFile{path: path}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading credentials: %w", err)
	}
	if len(bytes.TrimSpace(b)) == 0 {
		return f, nil
	}
	if err := json.Unmarshal(b, f); err != nil {
		// The error may quote the content, so it is not passed on.
		return nil, fmt.Errorf("reading credentials: %s is not the JSON of a Docker configuration", path)
	}
	return f, nil
}

// helper returns the name of the credential helper for a registry, "" for none.
func (f *authFile) helper(registry string) string {
	for _, key := range keysOf(registry) {
		if h, ok := f.CredHelpers[key]; ok {
			return h
		}
	}
	return f.CredsStore
}

// keysOf returns the names under which credentials for a registry are kept, the
// usual one first.
func keysOf(registry string) []string {
	switch registry {
	case name.DefaultRegistry, "docker.io", "registry-1.docker.io":
		return []string{dockerHubKey, "index.docker.io", "docker.io", "registry-1.docker.io"}
	}
	return []string{registry}
}

func (f *authFile) find(ctx context.Context, registry, repository string) (authn.AuthConfig, error) {
	if h := f.helper(registry); h != "" {
		c, err := askHelper(ctx, h, keysOf(registry)[0])
		if err != nil || c != (authn.AuthConfig{}) {
			return c, err
		}
	}
	// Podman's file may name a repository, or a part of one, of a registry.
	for p := repository; p != ""; {
		if e, ok := f.Auths[registry+"/"+p]; ok {
			return f.config(registry, e)
		}
		i := strings.LastIndexByte(p, '/')
		p = p[:max(i, 0)]
	}
	for _, key := range keysOf(registry) {
		if e, ok := f.Auths[key]; ok {
			return f.config(registry, e)
		}
	}
	// Old files have URLs for keys.
	for key, e := range f.Auths {
		_, rest, isURL := strings.Cut(key, "://")
		host, path, _ := strings.Cut(rest, "/")
		if isURL && host == registry && (path == "" || path == "v1/" || path == "v2/") {
			return f.config(registry, e)
		}
	}
	return authn.AuthConfig{}, nil
}

func (f *authFile) config(registry string, e authEntry) (authn.AuthConfig, error) {
	c := authn.AuthConfig{
		Username: e.Username, Password: e.Password,
		IdentityToken: e.IdentityToken, RegistryToken: e.RegistryToken,
	}
	if e.Auth == "" {
		return c, nil
	}
	b, err := base64.StdEncoding.DecodeString(e.Auth)
	user, password, ok := strings.Cut(string(b), ":")
	if err != nil || !ok {
		return c, fmt.Errorf("reading credentials: the entry of %s in %s is malformed", registry, f.path)
	}
	c.Username, c.Password = user, strings.TrimRight(password, "\x00")
	return c, nil
}

// askHelper gets the credentials for a key from docker-credential-NAME; none is
// the zero value.
func askHelper(ctx context.Context, helper, key string) (authn.AuthConfig, error) {
	out, err := runHelper(ctx, helper, "get", []byte(key))
	if err != nil {
		if e, ok := errors.AsType[*helperError](err); ok && strings.Contains(e.said, "credentials not found") {
			return authn.AuthConfig{}, nil
		}
		return authn.AuthConfig{}, err
	}
	var c struct{ Username, Secret string }
	if err := json.Unmarshal(out, &c); err != nil {
		return authn.AuthConfig{}, &helperError{name: helper, action: "get", said: "its answer is not JSON"}
	}
	if c.Username == tokenUser {
		return authn.AuthConfig{Username: c.Username, IdentityToken: c.Secret}, nil
	}
	return authn.AuthConfig{Username: c.Username, Password: c.Secret}, nil
}

// A helperError says that a credential helper failed. It never holds a secret.
type helperError struct {
	name, action, said string
	err                error
}

func (e *helperError) Error() string {
	s := "credential helper docker-credential-" + e.name + " " + e.action
	if e.said != "" {
		return s + ": " + e.said
	}
	return s + ": " + e.err.Error()
}

func (e *helperError) Unwrap() error { return e.err }

// runHelper runs docker-credential-NAME ACTION with input, and returns what it
// wrote. The secrets pass through pipes only.
func runHelper(ctx context.Context, helper, action string, input []byte) ([]byte, error) {
	if !helperName.MatchString(helper) {
		return nil, fmt.Errorf("credential helper %q: this is not the name of one", plain.Short(helper))
	}
	cmd := exec.CommandContext(ctx, "docker-credential-"+helper, action)
	cmd.Stdin = bytes.NewReader(input)
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		e := &helperError{name: helper, action: action, err: err}
		if errors.Is(err, exec.ErrNotFound) {
			e.said = "is not installed"
			return nil, e
		}
		// Helpers explain themselves on standard output when they fail.
		e.said = plain.Short(string(out))
		return nil, e
	}
	return out, nil
}

// Credentials returns the user and the secret for a registry's host, both "" when
// there are none. For an identity token the user is "". It has the shape that a
// builder wants for its own pulls and pushes.
func (c *Client) Credentials(ctx context.Context, host string) (user, secret string, err error) {
	found, err := c.keys.find(ctx, registryOf(host), "")
	if err != nil {
		return "", "", err
	}
	if found.IdentityToken != "" {
		return "", found.IdentityToken, nil
	}
	return found.Username, found.Password, nil
}

// registryOf is go-containerregistry's name for a host that people or BuildKit
// name.
func registryOf(host string) string {
	switch host {
	case "docker.io", "registry-1.docker.io", dockerHubKey:
		return name.DefaultRegistry
	}
	return host
}

// dockerConfig returns the path of Docker's config.json.
func dockerConfig(opts Options) string {
	dir := opts.DockerConfig
	if dir == "" {
		dir = os.Getenv("DOCKER_CONFIG")
	}
	if dir == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		dir = filepath.Join(home, ".docker")
	}
	return filepath.Join(dir, "config.json")
}

// podmanFiles returns where Podman keeps credentials.
func podmanFiles() []string {
	var files []string
	if f := os.Getenv("REGISTRY_AUTH_FILE"); f != "" {
		files = append(files, f)
	}
	if d := os.Getenv("XDG_RUNTIME_DIR"); d != "" {
		files = append(files, filepath.Join(d, "containers", "auth.json"))
	}
	if d, err := os.UserConfigDir(); err == nil {
		files = append(files, filepath.Join(d, "containers", "auth.json"))
	}
	return files
}
