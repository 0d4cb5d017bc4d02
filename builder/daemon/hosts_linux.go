package daemon

import (
	"context"
	"maps"
	"net/http"
	"strconv"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/moby/buildkit/cache/remotecache"
	registryremotecache "github.com/moby/buildkit/cache/remotecache/registry"
	"github.com/moby/buildkit/exporter"
	"github.com/moby/buildkit/exporter/containerimage"
	"github.com/moby/buildkit/exporter/containerimage/exptypes"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/util/resolver"
	resolverconfig "github.com/moby/buildkit/util/resolver/config"
	"github.com/moby/buildkit/worker/base"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/registry/answers"
	"fnb/schema/settings"
)

// registryHosts says how the builder speaks to registries, which it takes as they are.
func registryHosts(rs map[string]settings.Registry) docker.RegistryHosts {
	return asTheyAre(resolver.NewRegistryConfig(registries(rs)))
}

// registries turns fnb's settings into the resolver's.
func registries(rs map[string]settings.Registry) map[string]resolverconfig.RegistryConfig {
	out := map[string]resolverconfig.RegistryConfig{}
	for host, r := range rs {
		c := resolverconfig.RegistryConfig{Mirrors: r.Mirrors, RootCAs: r.CA}
		if r.HTTP {
			c.PlainHTTP = &r.HTTP
		}
		if r.Insecure {
			c.Insecure = &r.Insecure
		}
		out[host] = c
	}
	return out
}

// plainHosts is for the registries that a build calls insecure: HTTPS whose
// certificates are not checked, or plain HTTP. BuildKit's own clients for them take
// fewer registries.
func plainHosts(host string) ([]docker.RegistryHost, error) {
	yes := true
	return asTheyAre(resolver.NewRegistryConfig(map[string]resolverconfig.RegistryConfig{host: {Insecure: &yes, PlainHTTP: &yes}}))(host)
}

// asTheyAre puts the transport that fnb has below its own requests below BuildKit's.
func asTheyAre(hosts docker.RegistryHosts) docker.RegistryHosts {
	return func(host string) ([]docker.RegistryHost, error) {
		hs, err := hosts(host)
		if err != nil {
			return nil, err
		}
		for i := range hs {
			client := http.Client{Transport: http.DefaultTransport}
			if hs[i].Client != nil {
				client = *hs[i].Client
			}
			client.Transport = &answers.Transport{Inner: client.Transport}
			hs[i].Client = &client
		}
		return hs, nil
	}
}

// takeInsecure takes from an exporter's or a cache's attributes that its registry is
// insecure, and reports whether it is. What it cannot read is BuildKit's to refuse.
func takeInsecure(attrs map[string]string) (rest map[string]string, insecure bool) {
	said, ok := attrs[string(exptypes.OptKeyInsecure)]
	if insecure, _ = strconv.ParseBool(said); !ok || !insecure {
		return attrs, false
	}
	rest = maps.Clone(attrs)
	delete(rest, string(exptypes.OptKeyInsecure))
	return rest, true
}

// plainExporter is the worker's exporter of images to insecure registries.
func plainExporter(w *base.Worker, sessions *session.Manager) (exporter.Exporter, error) {
	writer, err := containerimage.NewImageWriter(containerimage.WriterOpt{
		Snapshotter:  w.Snapshotter,
		ContentStore: w.WorkerOpt.ContentStore,
		Applier:      w.Applier,
		Differ:       w.Differ,
	})
	if err != nil {
		return nil, err
	}
	return containerimage.New(containerimage.Opt{
		Images:         w.ImageStore,
		SessionManager: sessions,
		ImageWriter:    writer,
		RegistryHosts:  plainHosts,
		LeaseManager:   w.LeaseManager(),
	})
}

// registryExporter writes build cache to a registry.
func registryExporter(sessions *session.Manager, hosts docker.RegistryHosts) remotecache.ResolveCacheExporterFunc {
	return func(ctx context.Context, g session.Group, attrs map[string]string) (remotecache.Exporter, error) {
		attrs, insecure := takeInsecure(attrs)
		return registryremotecache.ResolveCacheExporterFunc(sessions, either(insecure, hosts))(ctx, g, attrs)
	}
}

// registryImporter reads build cache from a registry.
func registryImporter(sessions *session.Manager, store content.Store, hosts docker.RegistryHosts) remotecache.ResolveCacheImporterFunc {
	return func(ctx context.Context, g session.Group, attrs map[string]string) (remotecache.Importer, ocispecs.Descriptor, error) {
		attrs, insecure := takeInsecure(attrs)
		return registryremotecache.ResolveCacheImporterFunc(sessions, store, either(insecure, hosts))(ctx, g, attrs)
	}
}

func either(insecure bool, hosts docker.RegistryHosts) docker.RegistryHosts {
	if insecure {
		return plainHosts
	}
	return hosts
}
