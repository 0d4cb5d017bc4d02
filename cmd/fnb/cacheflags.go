package main

import (
	"os"
	"strings"

	"fnb/builder/buildcache"
)

// parseCaches reads cache specs. A bare reference is a cache in a registry.
func parseCaches(raw []string, export bool) ([]buildcache.Cache, error) {
	var out []buildcache.Cache
	for _, s := range raw {
		if !strings.Contains(s, "=") {
			s = "type=" + string(buildcache.Registry) + ",ref=" + s
		}
		attrs, err := attributes(s)
		if err != nil {
			return nil, err
		}
		c, err := buildcache.New(attrs, export, os.Getenv)
		if err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}
