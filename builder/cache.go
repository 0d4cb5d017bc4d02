package builder

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/ociindex"

	"fnb/builder/buildcache"
	"fnb/internal/lazyregexp"
)

// cacheWarning turns the failure of an import or an export of build cache,
// which fails no build, into a warning; false where the step is another. Of the caches
// that were to be read it takes the name.
func cacheWarning(step, why string, read []buildcache.Cache) (Warning, bool) {
	if from, ok := strings.CutPrefix(step, "importing cache manifest from "); ok {
		if m := noCacheImporter.FindStringSubmatch(why); m != nil {
			return unsupported(&CacheTypeError{Type: m[1]}), true
		}
		if m := numberedCache.FindStringSubmatch(from); m != nil {
			from = called(m[1], read)
		}
		return unreadable(from, cacheProblem(why)), true
	}
	to, ok := strings.CutPrefix(step, "exporting cache to ")
	if step == "exporting to GitHub Actions Cache" {
		to, ok = strings.CutPrefix(step, "exporting to ")
	}
	if ok {
		return unwritten(to, cacheProblem(why)), true
	}
	return Warning{}, false
}

// absentCache is what is left of BuildKit's message where a registry does not have a
// build cache.
var absentCache = lazyregexp.New(`^\S*\s*not found$`)

// numberedCache is what BuildKit calls a cache that has no reference.
var numberedCache = lazyregexp.New(`^(\w+):\d+$`)

// called is the name of the cache of a type, or the type where there are several.
func called(typ string, caches []buildcache.Cache) string {
	name := typ
	for _, c := range caches {
		if string(c.Type) != typ {
			continue
		}
		if name != typ {
			return typ
		}
		name = c.String()
	}
	return name
}

var cacheWrappers = lazyregexp.New(`^(failed to configure \w+ cache (importer|exporter)|failed to (resolve|do request|push|copy|authorize|fetch \w+)( \S+)?|error writing \S+ blob|rpc error: code = \w+ desc|\S+/\S+:\S+): (= )?`)

// signedURL is an address with a query, which may hold a signature that opens it.
var signedURL = lazyregexp.New(`(https?://[^\s"?]+)\?[^\s"]*`)

// cacheProblem is the part of BuildKit's message that says what happened.
func cacheProblem(why string) string {
	for {
		t := cacheWrappers.ReplaceAllString(why, "")
		if t == why {
			break
		}
		why = t
	}
	why, _, _ = strings.Cut(why, "\n")
	why = signedURL.ReplaceAllString(why, "$1")
	return strings.ToValidUTF8(why, "\uFFFD")
}

// readable leaves out the caches in folders that cannot be read, which the client
// would only mention in its log.
func readable(caches []buildcache.Cache, w *watch) []buildcache.Cache {
	return slices.DeleteFunc(slices.Clone(caches), func(c buildcache.Cache) bool {
		if c.Type != buildcache.Local {
			return false
		}
		tag := cmp.Or(c.Attrs["tag"], "latest")
		desc, err := ociindex.NewStoreIndex(c.Attrs["src"]).Get(tag)
		if err == nil && (desc != nil || c.Attrs["digest"] != "") {
			return false
		}
		if err == nil {
			err = fmt.Errorf("it has no %s", tag)
		}
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		w.warn(unreadable(c.String(), err.Error()))
		return true
	})
}

// writable leaves out the caches in folders that cannot be made or written, where
// they fail no build.
func writable(caches []client.CacheOptionsEntry, w *watch) []client.CacheOptionsEntry {
	return slices.DeleteFunc(caches, func(c client.CacheOptionsEntry) bool {
		if c.Type != string(buildcache.Local) || c.Attrs["ignore-error"] == "false" {
			return false
		}
		err := os.MkdirAll(c.Attrs["dest"], 0o755)
		if err == nil {
			var probe *os.File
			if probe, err = os.CreateTemp(c.Attrs["dest"], ".fnb-*"); err == nil {
				err = errors.Join(probe.Close(), os.Remove(probe.Name()))
			}
		}
		if err == nil {
			return false
		}
		var pe *os.PathError
		if errors.As(err, &pe) {
			err = pe.Err
		}
		w.warn(unwritten(c.Attrs["dest"], err.Error()))
		return true
	})
}

// A CacheTypeError says that a builder has no build cache of a type, where one
// had to be written.
type CacheTypeError struct{ Type string }

func (e *CacheTypeError) Error() string {
	return "this builder has no build cache of the type " + e.Type
}

// lacksCache reports whether it is known that the builder has no build cache of a
// type. Asking it takes seconds.
func (c *Client) lacksCache(typ string) bool {
	_, refused := c.lacks.Load(typ)
	return refused || c.caches != nil && !slices.Contains(c.caches, typ)
}

// dropLackingCaches takes the caches away that the builder lacks.
func (c *Client) dropLackingCaches(opt *client.SolveOpt, w *watch) error {
	var err error
	lacking := func(e client.CacheOptionsEntry) bool {
		if !c.lacksCache(e.Type) {
			return false
		}
		lack := &CacheTypeError{Type: e.Type}
		if e.Attrs["ignore-error"] == "false" {
			err = lack
		}
		w.warn(unsupported(lack))
		return true
	}
	opt.CacheImports = slices.DeleteFunc(opt.CacheImports, lacking)
	opt.CacheExports = slices.DeleteFunc(opt.CacheExports, lacking)
	return err
}

var (
	noCacheExporter = lazyregexp.New(`unknown cache exporter: "(\w+)"|failed to configure (\w+) cache exporter: (.*)`)
	noCacheImporter = lazyregexp.New(`^unknown cache importer: (\w+)`)
)

// dropRefusedCache learns from why a solve did not begin which cache the builder cannot
// write. It reports whether it may begin without.
func (c *Client) dropRefusedCache(opt *client.SolveOpt, err error, w *watch) bool {
	m := noCacheExporter.FindStringSubmatch(err.Error())
	switch {
	case m == nil:
		return false
	case m[1] != "":
		_, known := c.lacks.Swap(m[1], true)
		return !known
	}
	had := len(opt.CacheExports)
	opt.CacheExports = slices.DeleteFunc(opt.CacheExports, func(e client.CacheOptionsEntry) bool {
		return e.Type == m[2] && e.Attrs["ignore-error"] != "false"
	})
	if len(opt.CacheExports) == had {
		return false
	}
	w.warn(Warning{Text: fmt.Sprintf("the build cache of the type %s cannot be written: %s", m[2], w.redact.clean(m[3]))})
	return true
}
