package builder

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/docker/cli/cli/config/types"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/auth/authprovider"

	"fnb/builder/buildcache"
	"fnb/schema"
)

// dockerHub is the host that Docker's credentials of docker.io are under.
const dockerHub = "index.docker.io"

// registries are the hosts that a builder may have credentials for: those of the images
// that it is asked to read and write, of its build caches, and those that Registries
// names. What is in the way of a builder may ask for any; what its answers say, such as
// the ONBUILD steps of a base image, adds none.
func (r *Request) registries(more ...string) []string {
	refs := slices.Concat(r.Images, r.Output.Push, more, slices.Sorted(maps.Keys(r.Bases)))
	if r.Watchdog.Reference != "" {
		refs = append(refs, r.Watchdog.Reference)
	}
	for _, c := range slices.Concat(r.CacheFrom, r.CacheTo) {
		if c.Type == buildcache.Registry {
			refs = append(refs, c.Attrs["ref"])
		}
	}
	hosts := slices.Clone(r.Registries)
	for _, ref := range refs {
		if host := registryOf(ref); host != "" {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	return slices.Compact(hosts)
}

// registryOf is the host of an image reference; "" where it is not known, as in $BASE.
func registryOf(ref string) string {
	host, path, found := strings.Cut(ref, "/")
	if strings.Contains(host, "$") {
		return ""
	}
	if found && strings.Contains(path, "$") { // only the host matters, as in ghcr.io/acme/$NAME
		ref = host + "/x"
	}
	image, err := schema.ParseImageRef(ref)
	if err != nil {
		return ""
	}
	return image.Registry
}

// credentials gives the builder those that it may have. All that asks for them comes
// by here: passwords, tokens that the client fetches, and the keys of their cache.
func (r *Request) credentials(more ...string) session.Attachable {
	hosts := r.registries(more...)
	return authprovider.NewDockerAuthProvider(authprovider.DockerAuthProviderConfig{
		AuthConfigProvider: func(ctx context.Context, host string, _ []string, _ authprovider.ExpireCachedAuthCheck) (types.AuthConfig, error) {
			named := host
			if host == authprovider.DockerHubRegistryHost {
				host, named = dockerHub, "docker.io"
			}
			if !slices.Contains(hosts, named) {
				return types.AuthConfig{}, nil
			}
			user, secret, err := r.Credentials(ctx, host)
			if err != nil {
				return types.AuthConfig{}, err
			}
			if user == "<token>" { // Docker's mark of an identity token
				return types.AuthConfig{ServerAddress: host, IdentityToken: secret}, nil
			}
			return types.AuthConfig{ServerAddress: host, Username: user, Password: secret}, nil
		},
	})
}
