package packaging

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"fnb/schema"
	"fnb/schema/words"
)

// inputFormat changes with each release of fnb that makes other images of the
// same inputs.
const inputFormat = "3"

// Settings are what decides an image beside its build context.
type Settings struct {
	Platforms []schema.Platform
	Target    string
	Bases     map[string]string // digest of each image that the build reads, by its full reference
	// Labels are those of the image, without those that say where the source came from:
	// with them, a commit anywhere in a repository would make every image of it anew.
	Labels  map[string]string
	Secrets []string // ids; never the values
	SSH     []string // ids
	Epoch   int64
}

// Inputs are everything that decides an image, in a sorted list. They are made
// without a builder and without a network.
type Inputs []InputEntry

// An InputEntry is one thing that decides an image. Names begin with the kind:
// "file function/handler.py", "build arg DEBUG", "base docker.io/library/golang:1.26".
type InputEntry struct {
	Name string `json:"name"`
	// Value identifies the content. What may be private, such as a build arg, is
	// only there as its SHA-256.
	Value string `json:"value"`
}

// Inputs returns what decides the image of a context.
func (c *Context) Inputs(s Settings) (Inputs, error) {
	in := Inputs{{"format", inputFormat}, {"dockerfile", c.Dockerfile.File}, {"target", s.Target}, {"epoch", strconv.FormatInt(s.Epoch, 10)}}
	for _, f := range c.Files {
		in = append(in, InputEntry{"file " + f.Path, f.Mode + " " + f.Sum})
	}
	for _, set := range []struct {
		kind   string
		values map[string]string
	}{{"build arg", c.BuildArgs}, {"label", s.Labels}, {"variable", c.Config.Env}} {
		for name, value := range set.values {
			in = append(in, InputEntry{set.kind + " " + name, hashed(value)})
		}
	}
	for ref, digest := range s.Bases {
		in = append(in, InputEntry{"base " + ref, digest})
	}
	for _, id := range s.Secrets {
		in = append(in, InputEntry{"secret " + id, ""})
	}
	for _, id := range s.SSH {
		in = append(in, InputEntry{"ssh " + id, ""})
	}
	in = append(in, InputEntry{"entrypoint", hashed(strings.Join(c.Config.Entrypoint, "\x00"))})
	in = append(in, InputEntry{"health check", hashed(strings.Join(c.Config.Healthcheck, "\x00"))})
	var names []string
	for _, p := range s.Platforms {
		names = append(names, p.String())
	}
	in = append(in, InputEntry{"platforms", strings.Join(names, ",")})
	layers, err := c.watchdogInputs(names)
	if err != nil {
		return nil, err
	}
	in = append(in, layers...)
	slices.SortFunc(in, func(a, b InputEntry) int { return cmp.Compare(a.Name, b.Name) })
	return in, nil
}

// watchdogInputs are the watchdog's layers, one a platform. Of one that is an
// image, Bases has the digest.
func (c *Context) watchdogInputs(platforms []string) (Inputs, error) {
	in := Inputs{{"watchdog", cmp.Or(c.Watchdog, words.WatchdogNone)}}
	if c.Watchdog != words.WatchdogDefault {
		return in, nil
	}
	w, err := Watchdog()
	if err != nil {
		return nil, err
	}
	for _, p := range platforms {
		in = append(in, InputEntry{"watchdog " + p, w.Layers[p]})
	}
	return in, nil
}

func hashed(s string) string {
	sum := sha256.Sum256([]byte(s))
	return "sha256:" + hex.EncodeToString(sum[:])
}

// Digest returns the input digest, "sha256:" and 64 hex digits.
func (in Inputs) Digest() string {
	h := sha256.New()
	for _, e := range in {
		h.Write([]byte(strconv.Quote(e.Name) + " " + strconv.Quote(e.Value) + "\n"))
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// InputTag is the tag under which a registry keeps the image of an input digest.
func InputTag(digest string) string {
	return "fnb-in-" + strings.TrimPrefix(digest, "sha256:")[:32]
}

// Since returns how the inputs differ from earlier ones, by name.
func (in Inputs) Since(old Inputs) []schema.InputChange {
	before := make(map[string]string, len(old))
	for _, e := range old {
		before[e.Name] = e.Value
	}
	var out []schema.InputChange
	for _, e := range in {
		was, ok := before[e.Name]
		delete(before, e.Name)
		switch {
		case !ok:
			out = append(out, schema.InputChange{Name: e.Name, How: "added"})
		case was != e.Value:
			out = append(out, schema.InputChange{Name: e.Name, How: "changed"})
		}
	}
	for name := range before {
		out = append(out, schema.InputChange{Name: name, How: "removed"})
	}
	slices.SortFunc(out, func(a, b schema.InputChange) int { return cmp.Compare(a.Name, b.Name) })
	return out
}
