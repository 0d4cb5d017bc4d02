package credentials

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
)

// dockerHubKey is Docker Hub's name in credential files and helpers.
const dockerHubKey = "https://index.docker.io/v1/"

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

// RegistryOf is go-containerregistry's name for a host that people or BuildKit
// name.
func RegistryOf(host string) string {
	switch host {
	case "docker.io", "registry-1.docker.io", dockerHubKey:
		return name.DefaultRegistry
	}
	return host
}

// dockerConfig returns the path of Docker's config.json in a folder, "" for the usual one.
func dockerConfig(dir string) string {
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
