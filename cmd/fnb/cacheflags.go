package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/distribution/reference"

	"fnb/builder"
)

// parseCaches reads cache specs. A bare reference is a cache in a registry. What
// a cache takes from the environment is filled in, as docker build does.
func parseCaches(raw []string, export bool) ([]builder.Cache, error) {
	var out []builder.Cache
	for _, s := range raw {
		if !strings.Contains(s, "=") {
			s = "type=registry,ref=" + s
		}
		attrs, err := attributes(s)
		if err != nil {
			return nil, err
		}
		c := builder.Cache{Type: attrs["type"], Attrs: attrs}
		delete(attrs, "type")
		if err := checkCache(c, export); err != nil {
			// The attributes may hold secrets, so they are not repeated.
			return nil, fmt.Errorf("type=%s: %w", c.Type, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// checkCache refuses a cache that no builder could use.
func checkCache(c builder.Cache, export bool) error {
	if mode := c.Attrs["mode"]; mode != "" && (!export || mode != "min" && mode != "max") {
		return fmt.Errorf("mode=%s: it is min or max, of --cache-to", mode)
	}
	if v := c.Attrs["ignore-error"]; v != "" && (!export || v != "true" && v != "false") {
		return fmt.Errorf("ignore-error=%s: it is true or false, of --cache-to", v)
	}
	if known, ok := cacheKeys(c.Type); ok {
		for _, k := range slices.Sorted(maps.Keys(c.Attrs)) {
			if !slices.Contains(known, k) {
				return fmt.Errorf("%s is not a key of it; the keys are %s", k, strings.Join(known, ", "))
			}
		}
	}
	switch c.Type {
	case "registry":
		if c.Attrs["ref"] == "" {
			return errors.New("it has no ref; write type=registry,ref=REGISTRY/REPOSITORY:TAG")
		}
		if _, err := reference.ParseNormalizedNamed(strings.ReplaceAll(c.Attrs["ref"], "%s", "f")); err != nil {
			return fmt.Errorf("ref=%s: %w", c.Attrs["ref"], err)
		}
		return nil
	case "local":
		if key := map[bool]string{false: "src", true: "dest"}[export]; c.Attrs[key] == "" {
			return fmt.Errorf("it has no %s; write type=local,%s=DIR", key, key)
		}
		return nil
	case "gha":
		return fillGitHub(c.Attrs)
	case "s3":
		return fillS3(c.Attrs)
	case "":
		return errors.New("it has no type; the types are registry, local, gha and s3")
	}
	return errors.New("the types are registry, local, gha and s3")
}

// cacheKeys are the keys of a type of build cache, as BuildKit documents them.
func cacheKeys(typ string) ([]string, bool) {
	form := []string{"mode", "ignore-error", "compression", "compression-level", "force-compression"}
	image := slices.Concat(form, []string{"image-manifest", "oci-mediatypes", "oci-artifact"})
	switch typ {
	case "registry":
		return append(image, "ref", "registry.insecure"), true
	case "local":
		return append(image, "src", "dest", "tag", "digest"), true
	case "gha":
		return append(form, "scope", "url", "url_v2", "token", "version", "timeout", "repository", "ghtoken"), true
	case "s3":
		return append(form, "bucket", "region", "name", "prefix", "blobs_prefix", "manifests_prefix", "endpoint_url", "use_path_style",
			"access_key_id", "secret_access_key", "session_token", "touch_refresh", "upload_parallelism", "retry_mode", "retry_max_attempts",
			"disable_accept_encoding"), true
	}
	return nil, false
}

// fillGitHub takes from the environment where the cache of a GitHub Actions job
// is. The runner gives it to actions, and to steps only when one hands it on. Each
// function has a scope of its own: an index holds what one build knew.
func fillGitHub(attrs map[string]string) error {
	second := attrs["version"] == "2" || attrs["version"] == "" && slices.Contains([]string{"1", "true", "True", "TRUE"}, os.Getenv("ACTIONS_CACHE_SERVICE_V2"))
	attrs["scope"] = cmp.Or(attrs["scope"], "fnb-%s")
	fillFrom(attrs, "token", "ACTIONS_RUNTIME_TOKEN")
	if second {
		fillFrom(attrs, "url_v2", "ACTIONS_RESULTS_URL")
	}
	fillFrom(attrs, "url", "ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL")
	if attrs["token"] == "" || attrs["url"] == "" && attrs["url_v2"] == "" {
		return errors.New("it needs url and token, or ACTIONS_RESULTS_URL and ACTIONS_RUNTIME_TOKEN in the environment, which GitHub gives to actions only; outside of GitHub Actions use type=registry")
	}
	return nil
}

// fillS3 takes from the environment what names and opens a bucket.
func fillS3(attrs map[string]string) error {
	attrs["name"] = cmp.Or(attrs["name"], "fnb-%s")
	fillFrom(attrs, "bucket", "AWS_BUCKET")
	fillFrom(attrs, "region", "AWS_REGION", "AWS_DEFAULT_REGION")
	if attrs["access_key_id"] == "" && attrs["secret_access_key"] == "" {
		fillFrom(attrs, "access_key_id", "AWS_ACCESS_KEY_ID")
		fillFrom(attrs, "secret_access_key", "AWS_SECRET_ACCESS_KEY")
		fillFrom(attrs, "session_token", "AWS_SESSION_TOKEN")
	}
	switch {
	case attrs["bucket"] == "" || attrs["region"] == "":
		return errors.New("it needs bucket and region, or AWS_BUCKET and AWS_REGION in the environment")
	case (attrs["access_key_id"] == "") != (attrs["secret_access_key"] == ""):
		return errors.New("access_key_id and secret_access_key go together")
	}
	return nil
}

// fillFrom sets an attribute that is not given to the first variable that is set.
func fillFrom(attrs map[string]string, key string, variables ...string) {
	for _, name := range variables {
		if v := os.Getenv(name); attrs[key] == "" && v != "" {
			attrs[key] = v
		}
	}
}
