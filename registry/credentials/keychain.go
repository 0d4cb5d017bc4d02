// Package credentials knows who the user is to a registry: a [Keychain] reads the files of Docker and Podman, asks
// credential helpers, and writes what the user logs in with.
package credentials

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/authn"

	"fnb/internal/plain"
	"fnb/origin"
)

// tokenUser is the user name under which helpers keep an identity token.
const tokenUser = "<token>"

// Options say where credentials are. The zero value is the usual places.
type Options struct {
	// DockerConfig is the folder of Docker's config.json, which is read, and which Put writes; "" means
	// $DOCKER_CONFIG or ~/.docker.
	DockerConfig string
	// AuthFiles are further files, read where Docker's has nothing for a registry; nil means the places of
	// Podman, and none is an empty slice.
	AuthFiles []string
	// Anonymous means that nothing is looked for.
	Anonymous bool
}

// A Keychain finds credentials in files and helpers. It remembers what it found,
// because a helper is a program. It is safe for concurrent use.
type Keychain struct {
	config string   // Docker's config.json; "" where there is no home folder
	files  []string // in order of preference
	text   string   // a credential file by value: $DOCKER_AUTH_CONFIG

	mu    sync.Mutex
	known map[string]authn.AuthConfig
}

// New returns a keychain. It has read nothing yet.
func New(o Options) *Keychain {
	k := &Keychain{config: dockerConfig(o.DockerConfig)}
	if o.Anonymous {
		return k
	}
	k.text = os.Getenv("DOCKER_AUTH_CONFIG")
	if k.config != "" {
		k.files = append(k.files, k.config)
	}
	if o.AuthFiles == nil {
		o.AuthFiles = podmanFiles()
	}
	k.files = append(k.files, o.AuthFiles...)
	return k
}

// Of are the credentials of a user. As Docker does, it takes an identity token as the password of user "<token>".
func Of(user, password string) authn.AuthConfig {
	if user == tokenUser {
		return authn.AuthConfig{Username: user, IdentityToken: password}
	}
	return authn.AuthConfig{Username: user, Password: password}
}

// Resolve implements [authn.Keychain].
func (k *Keychain) Resolve(r authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), r)
}

// ResolveContext implements [authn.ContextKeychain].
func (k *Keychain) ResolveContext(ctx context.Context, r authn.Resource) (authn.Authenticator, error) {
	c, err := k.Find(ctx, r.RegistryStr(), strings.TrimPrefix(r.String(), r.RegistryStr()+"/"))
	if err != nil {
		return nil, err
	}
	if c == (authn.AuthConfig{}) {
		return authn.Anonymous, nil
	}
	return authn.FromConfig(c), nil
}

// Find returns the credentials for a repository of a registry, the zero value
// where there are none. repository is "" for the registry itself.
func (k *Keychain) Find(ctx context.Context, registry, repository string) (authn.AuthConfig, error) {
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

// Forget makes the next [Keychain.Find] look again.
func (k *Keychain) Forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.known = nil
}

func (k *Keychain) read() ([]*authFile, error) {
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
