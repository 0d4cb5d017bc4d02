package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/distribution/reference"

	"fnb/builder"
	"fnb/packaging"
	"fnb/schema"
	"fnb/templates"
)

// caches are where a function's solve reads and writes build cache: what the
// command line names, with the function's name for %s, and with --cache what fnb
// shares through the function's own registry.
func (p *pipeline) caches(j *job, pl *plan, tmpl *templates.Template, bc *packaging.Context) error {
	req := &pl.req
	req.CacheFrom, req.CacheTo = cachesNamed(p.opts.imports, j.fn.Name), cachesNamed(p.opts.exports, j.fn.Name)
	if p.opts.cache == "" {
		return nil
	}
	ref, err := sharedCache(j, tmpl, bc, req.Platforms)
	if err != nil {
		return err
	}
	pl.shared = ref
	attrs := map[string]string{"ref": ref}
	if p.registry.PlainHTTP(ref) {
		attrs["registry.insecure"] = "true"
	}
	if !p.opts.noCache {
		req.CacheFrom = append(req.CacheFrom, builder.Cache{Type: "registry", Attrs: attrs})
	}
	if p.opts.cache == "auto" {
		write := map[string]string{"mode": "max", "image-manifest": "true", "oci-mediatypes": "true"}
		for k, v := range attrs {
			write[k] = v
		}
		req.CacheTo = append(req.CacheTo, builder.Cache{Type: "registry", Attrs: write})
	}
	return nil
}

// cacheKey is the attribute that keeps one build cache of a type apart from another
// where it is written.
func cacheKey(typ string) string {
	switch typ {
	case "registry":
		return "ref"
	case "local":
		return "dest"
	case "gha":
		return "scope"
	}
	return "name"
}

// cachesNamed puts a function's name into caches.
func cachesNamed(caches []builder.Cache, name string) []builder.Cache {
	var out []builder.Cache
	for _, c := range caches {
		attrs := map[string]string{}
		for k, v := range c.Attrs {
			attrs[k] = v
			if k == cacheKey(c.Type) || k == "src" {
				attrs[k] = strings.ReplaceAll(v, "%s", name)
			}
		}
		out = append(out, builder.Cache{Type: c.Type, Attrs: attrs})
	}
	return out
}

var cacheTag = regexp.MustCompile(`[^a-z0-9_.-]+`)

// sharedCache is the reference of the cache that functions of one template and
// one package list share: fnb-cache beside the function's repository, tagged with
// the template's name and a hash of what the shared steps are made of.
func sharedCache(j *job, tmpl *templates.Template, bc *packaging.Context, platforms []schema.Platform) (string, error) {
	image, err := reference.ParseNormalizedNamed(j.refs[0])
	if err != nil {
		return "", fmt.Errorf("image %q: %w", j.refs[0], err)
	}
	repo := reference.Domain(image)
	if dir := path.Dir(reference.Path(image)); dir != "." {
		repo += "/" + dir
	}
	h := sha256.New()
	line := func(words ...string) { fmt.Fprintln(h, strconv.Quote(strings.Join(words, "\x00"))) }
	line(j.report.Pin.Checksum)
	for _, f := range bc.Files {
		if isPackageList(f.Path, tmpl.Manifest.Packages) {
			line(f.Path, f.Sum)
		}
	}
	for _, name := range slices.Sorted(slices.Values(j.fn.BuildOptions)) {
		line("option", name)
	}
	for _, pl := range platforms {
		line("platform", pl.String())
	}
	name := strings.Trim(cacheTag.ReplaceAllString(strings.ToLower(path.Base(tmpl.Name)), "-"), "-.")
	return fmt.Sprintf("%s/fnb-cache:%.60s-%s", repo, name, hex.EncodeToString(h.Sum(nil)[:6])), nil
}

// isPackageList reports whether a file says which packages are installed: one
// that the template names, or one that the package manager of a language looks
// for.
func isPackageList(file string, lists []schema.PackageList) bool {
	for _, l := range lists {
		if file == path.Clean(l.Manifest) || file == path.Clean(l.Lock) {
			return true
		}
	}
	return templates.IsPackageList(file)
}

// claimCache lets one function of a run write a shared cache; the others would
// only write the same again. What it returns is called with the solve's error.
func (p *pipeline) claimCache(pl *plan) func(error) {
	if pl.shared == "" || p.opts.cache != "auto" {
		return func(error) {}
	}
	if _, claimed := p.claimed.LoadOrStore(pl.shared, true); claimed {
		pl.req.CacheTo = slices.DeleteFunc(slices.Clone(pl.req.CacheTo), func(c builder.Cache) bool { return c.Attrs["ref"] == pl.shared })
		return func(error) {}
	}
	return func(err error) {
		if err != nil {
			p.claimed.Delete(pl.shared)
		}
	}
}

var (
	missingCache = regexp.MustCompile(`^the build cache \S+/fnb-cache:\S+ cannot be read: \S*\s*not found$`)
	lackingCache = regexp.MustCompile(`^this builder has no build cache of the type \w+$`)
)

// otherCache is what to type where a builder lacks a type of cache.
const otherCache = "use the registry with: --cache auto, or a buildkitd that has it with: --builder ADDRESS"

// notable are the warnings of a solve that people need: not that a shared cache is
// not there yet, as before its first use.
func (p *pipeline) notable(warnings []string) []string {
	var out []string
	for _, w := range warnings {
		switch {
		case p.opts.cache != "" && missingCache.MatchString(w):
			continue
		case lackingCache.MatchString(w):
			w += "; " + otherCache
		}
		out = append(out, w)
	}
	return out
}
