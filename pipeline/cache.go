package pipeline

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"fnb/builder"
	"fnb/builder/buildcache"
	"fnb/internal/lazyregexp"
	"fnb/schema"
	"fnb/schema/languages"
)

// caches are where a function's solve reads and writes build cache: what the
// command line names, with the function's name for %s, and with --cache what fnb
// shares through the function's own registry.
func (p *Pipeline) caches(pl *Plan) {
	req, name := &pl.req, pl.Job.Function.Name
	req.CacheFrom, req.CacheTo = cachesNamed(p.settings.Cache.Imports, name), cachesNamed(p.settings.Cache.Exports, name)
	if p.settings.Cache.Share == ShareNothing || len(pl.Job.Refs) == 0 {
		return
	}
	ref := sharedCache(pl)
	pl.shared = ref
	attrs := map[string]string{"ref": ref}
	if p.Registry.PlainHTTP(ref) {
		attrs["registry.insecure"] = "true"
	}
	if !p.settings.NoCache {
		req.CacheFrom = append(req.CacheFrom, buildcache.Cache{Type: buildcache.Registry, Attrs: attrs})
	}
	if p.settings.Cache.Share == ShareAuto {
		write := map[string]string{"mode": "max", "image-manifest": "true", "oci-mediatypes": "true"}
		for k, v := range attrs {
			write[k] = v
		}
		req.CacheTo = append(req.CacheTo, buildcache.Cache{Type: buildcache.Registry, Attrs: write})
	}
}

// cachesNamed puts a function's name into caches.
func cachesNamed(caches []buildcache.Cache, name string) []buildcache.Cache {
	var out []buildcache.Cache
	for _, c := range caches {
		out = append(out, c.For(name))
	}
	return out
}

var cacheTag = lazyregexp.New(`[^a-z0-9_.-]+`)

// sharedCache is the reference of the cache that functions of one template and
// one package list share: fnb-cache beside the function's repository, tagged with
// the template's name and a hash of what the shared steps are made of.
func sharedCache(pl *Plan) string {
	image := pl.Job.Refs[0].Says
	repo := image.Registry
	if dir := path.Dir(image.Repository); dir != "." {
		repo += "/" + dir
	}
	h := sha256.New()
	line := func(words ...string) { fmt.Fprintln(h, strconv.Quote(strings.Join(words, "\x00"))) }
	line(pl.Pin.Checksum)
	known := languages.PackageLists()
	for _, f := range pl.context.Files {
		if isPackageList(f.Path, pl.Template.Manifest.Packages) || slices.Contains(known, path.Base(f.Path)) {
			line(f.Path, f.Sum)
		}
	}
	for _, name := range slices.Sorted(slices.Values(pl.Job.Function.BuildOptions)) {
		line("option", name)
	}
	for _, platform := range pl.req.Platforms {
		line("platform", platform.String())
	}
	name := strings.Trim(cacheTag.ReplaceAllString(strings.ToLower(path.Base(pl.Template.Name)), "-"), "-.")
	return fmt.Sprintf("%s/fnb-cache:%.60s-%s", repo, name, hex.EncodeToString(h.Sum(nil)[:6]))
}

// isPackageList reports whether a template names a file as one that says which packages
// are installed.
func isPackageList(file string, lists []schema.PackageList) bool {
	return slices.ContainsFunc(lists, func(l schema.PackageList) bool {
		return file == path.Clean(l.Manifest) || file == path.Clean(l.Lock)
	})
}

// claimCache lets one function of a run write a shared cache; the others would
// only write the same again. What it returns is called with the solve's error.
func (p *Pipeline) claimCache(pl *Plan) func(error) {
	if pl.shared == "" || p.settings.Cache.Share != ShareAuto {
		return func(error) {}
	}
	if _, claimed := p.claimed.LoadOrStore(pl.shared, true); claimed {
		pl.req.CacheTo = slices.DeleteFunc(slices.Clone(pl.req.CacheTo), func(c buildcache.Cache) bool { return c.Attrs["ref"] == pl.shared })
		return func(error) {}
	}
	return func(err error) {
		if err != nil {
			p.claimed.Delete(pl.shared)
		}
	}
}

// notable are the warnings of a solve that people need: not that a shared cache is
// not there yet, as before its first use.
func notable(warnings []builder.Warning, pl *Plan) []Note {
	var out []Note
	for _, w := range warnings {
		switch {
		case w.Kind == builder.CacheAbsent && pl.shared != "" && strings.HasPrefix(w.Cache, pl.shared):
		case w.Kind == builder.CacheUnsupported:
			out = append(out, Note{NoteCacheType, w.Text})
		default:
			out = append(out, Note{Text: w.Text})
		}
	}
	return out
}
