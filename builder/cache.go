package builder

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/ociindex"
)

// String names a cache as a person would: by what it is called.
func (c Cache) String() string {
	for _, k := range []string{"ref", "src", "dest", "scope", "name", "bucket"} {
		if v := c.Attrs[k]; v != "" {
			return c.Type + " " + v
		}
	}
	return c.Type
}

// secrets are attributes of a cache that nobody may see.
func (c Cache) secrets() [][]byte {
	var out [][]byte
	for _, k := range []string{"token", "ghtoken", "access_key_id", "secret_access_key", "session_token"} {
		if v := c.Attrs[k]; v != "" {
			out = append(out, []byte(v))
		}
	}
	return out
}

// cacheWarning turns the failure of an import or an export of build cache,
// which fails no build, into a warning; "" where the step is another.
func cacheWarning(step, why string) string {
	if from, ok := strings.CutPrefix(step, "importing cache manifest from "); ok {
		return "the build cache " + from + " cannot be read: " + cacheProblem(why)
	}
	to, ok := strings.CutPrefix(step, "exporting cache to ")
	if step == "exporting to GitHub Actions Cache" {
		to, ok = strings.CutPrefix(step, "exporting to ")
	}
	if ok {
		return "the build cache cannot be written to " + to + ": " + cacheProblem(why)
	}
	return ""
}

var cacheWrappers = regexp.MustCompile(`^(failed to configure \w+ cache (importer|exporter)|failed to (resolve|do request|push|copy|authorize|fetch \w+)( \S+)?|error writing \S+ blob|rpc error: code = \w+ desc|\S+/\S+:\S+): (= )?`)

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
	return strings.ToValidUTF8(why, "\uFFFD")
}

// readable leaves out the caches in folders that cannot be read, which the client
// would only mention in its log.
func readable(caches []Cache, w *watch) []Cache {
	return slices.DeleteFunc(slices.Clone(caches), func(c Cache) bool {
		if c.Type != "local" {
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
		w.warn(fmt.Sprintf("the build cache %s cannot be read: %v", c, err))
		return true
	})
}

var noCacheExporter = regexp.MustCompile(`unknown cache exporter: "(\w+)"|failed to configure (\w+) cache exporter: (.*)`)

// without takes the caches away that a builder cannot write at all, which it
// says before it begins. It reports whether there were any.
func (c *Client) without(opt *client.SolveOpt, err error, w *watch) bool {
	m := noCacheExporter.FindStringSubmatch(err.Error())
	switch {
	case m == nil:
		return false
	case m[1] != "":
		c.lacks.Store(m[1], true)
		return c.writable(opt, w)
	}
	if !dropExports(opt, m[2]) {
		return false
	}
	w.warn(fmt.Sprintf("the build cache of the type %s cannot be written: %s", m[2], w.redact.clean(m[3])))
	return true
}

// writable takes the caches away of which it is known that the builder cannot
// write them, since finding out takes seconds. It reports whether there were
// any.
func (c *Client) writable(opt *client.SolveOpt, w *watch) bool {
	found := false
	c.lacks.Range(func(typ, _ any) bool {
		if dropExports(opt, fmt.Sprint(typ)) {
			w.warn(fmt.Sprintf("this builder cannot write build cache of the type %s", typ))
			found = true
		}
		return true
	})
	return found
}

func dropExports(opt *client.SolveOpt, typ string) bool {
	had := len(opt.CacheExports)
	opt.CacheExports = slices.DeleteFunc(opt.CacheExports, func(e client.CacheOptionsEntry) bool {
		return e.Type == typ && e.Attrs["ignore-error"] != "false"
	})
	return len(opt.CacheExports) < had
}
