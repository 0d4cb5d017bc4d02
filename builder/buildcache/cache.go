package buildcache

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"fnb/schema"
)

// A Cache is a place to import build cache from or export it to, in BuildKit's
// words: a type and its attributes. Where a fleet solves an image's platforms on several
// builders the first is there, and each other one has a place of its own, with the platform
// behind its name: REF-linux-arm64.
type Cache struct {
	Type  Type
	Attrs map[string]string
}

// New is the cache of attributes such as type=registry and ref=REF, to be read, or written
// with export. What a type takes from the environment is filled in, as docker build does.
func New(attrs map[string]string, export bool, environ func(string) string) (Cache, error) {
	c := Cache{Type: Type(attrs["type"]), Attrs: maps.Clone(attrs)}
	delete(c.Attrs, "type")
	if err := c.complete(export, environ); err != nil {
		// The attributes may hold secrets, so they are not repeated.
		return Cache{}, fmt.Errorf("type=%s: %w", c.Type, err)
	}
	return c, nil
}

// complete refuses a cache that no builder could use, and fills in what is missing.
func (c Cache) complete(export bool, environ func(string) string) error {
	if mode := c.Attrs["mode"]; mode != "" && (!export || mode != "min" && mode != "max") {
		return fmt.Errorf("mode=%s: it must be min or max, and is for --cache-to only", mode)
	}
	if v := c.Attrs["ignore-error"]; v != "" && (!export || v != "true" && v != "false") {
		return fmt.Errorf("ignore-error=%s: it must be true or false, and is for --cache-to only", v)
	}
	k, ok := kindOf(c.Type)
	switch {
	case c.Type == "":
		return errors.New("it has no type; the types are " + typeList())
	case !ok:
		return errors.New("the types are " + typeList())
	}
	for _, key := range slices.Sorted(maps.Keys(c.Attrs)) {
		if !slices.Contains(k.keys, key) {
			return fmt.Errorf("%s is not a key of it; the keys are %s", key, strings.Join(k.keys, ", "))
		}
	}
	return k.complete(c.Attrs, export, environ)
}

// typeList is the names of the types, as a sentence has them.
func typeList() string {
	var names []string
	for _, k := range kinds() {
		names = append(names, string(k.typ))
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// String names a cache as a person would: by what it is called.
func (c Cache) String() string {
	k, _ := kindOf(c.Type)
	for _, key := range []string{k.key, k.readKey, k.place} {
		if v := c.Attrs[key]; v != "" {
			return string(c.Type) + " " + v
		}
	}
	return string(c.Type)
}

// Secrets are attributes of a cache that nobody may see.
func (c Cache) Secrets() [][]byte {
	k, _ := kindOf(c.Type)
	var out [][]byte
	for _, key := range k.secrets {
		if v := c.Attrs[key]; v != "" {
			out = append(out, []byte(v))
		}
	}
	return out
}

// Key is the attribute that keeps one cache of a type apart from another where it is
// written.
func (c Cache) Key() string {
	k, _ := kindOf(c.Type)
	return k.key
}

// For is the cache of a function, whose name goes in the place of %s.
func (c Cache) For(function string) Cache {
	k, _ := kindOf(c.Type)
	out := Cache{Type: c.Type, Attrs: maps.Clone(c.Attrs)}
	for _, key := range []string{k.key, k.readKey} {
		if v, ok := out.Attrs[key]; ok {
			out.Attrs[key] = strings.ReplaceAll(v, "%s", function)
		}
	}
	return out
}

// Part is a cache of its own beside another one: of a part of what that is for. A
// reference with a digest has no parts, for which it is false.
func (c Cache) Part(name string) (Cache, bool) {
	if strings.Contains(c.Attrs["ref"], "@") {
		return Cache{}, false
	}
	k, _ := kindOf(c.Type)
	out := Cache{Type: c.Type, Attrs: maps.Clone(c.Attrs)}
	for _, key := range []string{k.key, k.readKey} {
		if v := out.Attrs[key]; v != "" {
			out.Attrs[key] = withSuffix(key, v, "-"+name)
		}
	}
	return out, true
}

// withSuffix puts a suffix behind where a cache is: behind the tag of a reference, and
// behind each of several names.
func withSuffix(key, value, suffix string) string {
	switch key {
	case "ref":
		ref, err := schema.ParseImageRef(value)
		if err != nil {
			return value // the solve says what is wrong with it
		}
		return ref.Full().String() + suffix
	case "src", "dest":
		return filepath.Clean(value) + suffix
	}
	return strings.ReplaceAll(value, ";", suffix+";") + suffix
}
