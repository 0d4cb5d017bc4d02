package daemon

import (
	"maps"
	"slices"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/containerd/containerd/v2/core/remotes/docker"
	"github.com/moby/buildkit/cache/remotecache"
	inlineremotecache "github.com/moby/buildkit/cache/remotecache/inline"
	localremotecache "github.com/moby/buildkit/cache/remotecache/local"
	"github.com/moby/buildkit/session"

	"fnb/builder/buildcache"
)

// An objectStore is a type of build cache that is kept as objects.
type objectStore struct {
	step string // what BuildKit calls the writing of it, by which clients know it
	open func(attrs map[string]string) (objects, error)
}

// objectStores are the types of build cache that this builder has code of its own for:
// whoever adds one adds it here.
func objectStores() map[buildcache.Type]objectStore {
	return map[buildcache.Type]objectStore{
		buildcache.GitHub: {"exporting to GitHub Actions Cache", openActions},
		buildcache.S3:     {"exporting cache to Amazon S3", openBucket},
	}
}

// cacheExporters are the types of build cache that this builder writes.
func cacheExporters(sessions *session.Manager, hosts docker.RegistryHosts) map[string]remotecache.ResolveCacheExporterFunc {
	all := map[string]remotecache.ResolveCacheExporterFunc{
		string(buildcache.Registry): registryExporter(sessions, hosts),
		string(buildcache.Local):    localremotecache.ResolveCacheExporterFunc(sessions),
		string(buildcache.Inline):   inlineremotecache.ResolveCacheExporterFunc(),
	}
	for typ, s := range objectStores() {
		all[string(typ)] = objectExporter(s.step, s.open)
	}
	return all
}

// cacheImporters are the types of build cache that this builder reads.
func cacheImporters(sessions *session.Manager, store content.Store, hosts docker.RegistryHosts) map[string]remotecache.ResolveCacheImporterFunc {
	all := map[string]remotecache.ResolveCacheImporterFunc{
		string(buildcache.Registry): registryImporter(sessions, store, hosts),
		string(buildcache.Local):    localremotecache.ResolveCacheImporterFunc(sessions),
	}
	for typ, s := range objectStores() {
		all[string(typ)] = objectImporter(s.open)
	}
	return all
}

// cacheTypes are the types that this builder writes, which it tells its clients.
func cacheTypes() []string { return slices.Sorted(maps.Keys(cacheExporters(nil, nil))) }
