package buildcache

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"fnb/schema"
)

// A Type is a kind of place where build cache is kept, in BuildKit's words.
type Type string

// Types of build cache. Inline is kept in the image itself, and is not for users to name.
const (
	Registry Type = "registry"
	Local    Type = "local"
	GitHub   Type = "gha"
	S3       Type = "s3"
	Inline   Type = "inline"
)

// A kind is what fnb knows of a type.
type kind struct {
	typ     Type
	keys    []string // that it has, as BuildKit documents them
	key     string   // tells one cache from another where it is written; it may have %s
	readKey string   // as key, where reading has one of its own; "" is key
	place   string   // what a cache without either is called by; "" is nothing
	secrets []string // keys whose values nobody may see

	// complete fills in what is missing from the environment, and refuses what no
	// builder could use.
	complete func(attrs map[string]string, export bool, environ func(string) string) error
}

// kinds is the table of types: whoever adds one adds it here.
func kinds() []kind {
	form := []string{"mode", "ignore-error", "compression", "compression-level", "force-compression"}
	image := slices.Concat(form, []string{"image-manifest", "oci-mediatypes", "oci-artifact"})
	return []kind{
		{
			typ: Registry, keys: slices.Concat(image, []string{"ref", "registry.insecure"}), key: "ref",
			complete: completeRegistry,
		},
		{
			typ: Local, keys: slices.Concat(image, []string{"src", "dest", "tag", "digest"}), key: "dest", readKey: "src",
			complete: completeLocal,
		},
		{
			typ: GitHub, keys: slices.Concat(form, []string{"scope", "url", "url_v2", "token", "version", "timeout", "repository", "ghtoken"}), key: "scope",
			secrets: []string{"token", "ghtoken"}, complete: completeGitHub,
		},
		{
			typ: S3, key: "name", place: "bucket",
			keys: slices.Concat(form, []string{
				"bucket", "region", "name", "prefix", "blobs_prefix", "manifests_prefix", "endpoint_url", "use_path_style",
				"access_key_id", "secret_access_key", "session_token", "touch_refresh", "upload_parallelism", "retry_mode", "retry_max_attempts",
				"disable_accept_encoding",
			}),
			secrets: []string{"access_key_id", "secret_access_key", "session_token"}, complete: completeS3,
		},
	}
}

// kindOf is what is known of a type; false where that is nothing.
func kindOf(t Type) (kind, bool) {
	for _, k := range kinds() {
		if k.typ == t {
			return k, true
		}
	}
	return kind{}, false
}

func completeRegistry(attrs map[string]string, _ bool, _ func(string) string) error {
	if attrs["ref"] == "" {
		return errors.New("it has no ref; write type=registry,ref=REGISTRY/REPOSITORY:TAG")
	}
	if err := schema.ValidateImage(strings.ReplaceAll(attrs["ref"], "%s", "f")); err != nil {
		return fmt.Errorf("ref=%s: %w", attrs["ref"], err)
	}
	return nil
}

func completeLocal(attrs map[string]string, export bool, _ func(string) string) error {
	key := "src"
	if export {
		key = "dest"
	}
	if attrs[key] == "" {
		return fmt.Errorf("it has no %s; write type=local,%s=DIR", key, key)
	}
	return nil
}

// completeGitHub takes from the environment where the cache of a GitHub Actions job
// is. The runner gives it to actions, and to steps only when one hands it on. Each
// function has a scope of its own: an index holds what one build knew.
func completeGitHub(attrs map[string]string, _ bool, environ func(string) string) error {
	second := attrs["version"] == "2" || attrs["version"] == "" && slices.Contains([]string{"1", "true", "True", "TRUE"}, environ("ACTIONS_CACHE_SERVICE_V2"))
	attrs["scope"] = cmp.Or(attrs["scope"], "fnb-%s")
	fill(attrs, environ, "token", "ACTIONS_RUNTIME_TOKEN")
	if second {
		fill(attrs, environ, "url_v2", "ACTIONS_RESULTS_URL")
	}
	fill(attrs, environ, "url", "ACTIONS_CACHE_URL", "ACTIONS_RESULTS_URL")
	if attrs["token"] == "" || attrs["url"] == "" && attrs["url_v2"] == "" {
		return errors.New("it needs url and token, or ACTIONS_RESULTS_URL and ACTIONS_RUNTIME_TOKEN in the environment, which GitHub gives to actions only; outside of GitHub Actions use type=registry")
	}
	return nil
}

// completeS3 takes from the environment what names and opens a bucket.
func completeS3(attrs map[string]string, _ bool, environ func(string) string) error {
	attrs["name"] = cmp.Or(attrs["name"], "fnb-%s")
	fill(attrs, environ, "bucket", "AWS_BUCKET")
	fill(attrs, environ, "region", "AWS_REGION", "AWS_DEFAULT_REGION")
	if attrs["access_key_id"] == "" && attrs["secret_access_key"] == "" {
		fill(attrs, environ, "access_key_id", "AWS_ACCESS_KEY_ID")
		fill(attrs, environ, "secret_access_key", "AWS_SECRET_ACCESS_KEY")
		fill(attrs, environ, "session_token", "AWS_SESSION_TOKEN")
	}
	switch {
	case attrs["bucket"] == "" || attrs["region"] == "":
		return errors.New("it needs bucket and region, or AWS_BUCKET and AWS_REGION in the environment")
	case (attrs["access_key_id"] == "") != (attrs["secret_access_key"] == ""):
		return errors.New("access_key_id and secret_access_key go together")
	}
	return nil
}

// fill sets an attribute that is not given to the first variable that is set.
func fill(attrs map[string]string, environ func(string) string, key string, variables ...string) {
	for _, name := range variables {
		if v := environ(name); attrs[key] == "" && v != "" {
			attrs[key] = v
		}
	}
}
