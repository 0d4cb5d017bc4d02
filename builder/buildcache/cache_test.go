package buildcache

import (
	"maps"
	"strings"
	"testing"
)

func TestNew(t *testing.T) {
	t.Parallel()
	bucket := map[string]string{"AWS_BUCKET": "b", "AWS_DEFAULT_REGION": "r", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key", "AWS_SESSION_TOKEN": "t"}
	actions := map[string]string{"ACTIONS_RUNTIME_TOKEN": "t", "ACTIONS_RESULTS_URL": "https://results/"}
	second := maps.Clone(actions)
	second["ACTIONS_CACHE_SERVICE_V2"] = "True"
	for _, tt := range []struct {
		attrs  string
		export bool
		env    map[string]string
		want   string // attributes, sorted; or the error
	}{
		{"type=registry ref=r.test/a:1", false, nil, "ref=r.test/a:1"},
		{"type=registry ref=r.test/%s mode=max", true, nil, "mode=max ref=r.test/%s"},
		{"type=registry", false, nil, "type=registry: it has no ref; write type=registry,ref=REGISTRY/REPOSITORY:TAG"},
		{"type=registry ref=UPPER/x/", false, nil, "type=registry: ref=UPPER/x/: "},
		{"type=registry ref=a mode=max", false, nil, "type=registry: mode=max: it must be min or max, and is for --cache-to only"},
		{"type=registry ref=a mode=all", true, nil, "type=registry: mode=all: "},
		{"type=registry ref=a ignore-error=1", true, nil, "type=registry: ignore-error=1: it must be true or false, and is for --cache-to only"},
		{"type=registry ref=a bucket=b", false, nil, "type=registry: bucket is not a key of it; the keys are mode, "},
		{"type=local src=d", false, nil, "src=d"},
		{"type=local dest=d", false, nil, "type=local: it has no src; write type=local,src=DIR"},
		{"type=local src=d", true, nil, "type=local: it has no dest; write type=local,dest=DIR"},
		{"type=gha", true, actions, "scope=fnb-%s token=t url=https://results/"},
		{"type=gha scope=main", false, second, "scope=main token=t url=https://results/ url_v2=https://results/"},
		{"type=gha url=https://u/ token=x", false, actions, "scope=fnb-%s token=x url=https://u/"},
		{"type=gha", false, nil, "type=gha: it needs url and token, or ACTIONS_RESULTS_URL"},
		{"type=s3", true, bucket, "access_key_id=id bucket=b name=fnb-%s region=r secret_access_key=key session_token=t"},
		{"type=s3 bucket=c region=q access_key_id=i secret_access_key=k", false, bucket, "access_key_id=i bucket=c name=fnb-%s region=q secret_access_key=k"},
		{"type=s3 bucket=c region=q access_key_id=i", false, bucket, "type=s3: access_key_id and secret_access_key go together"},
		{"type=s3 bucket=c", false, nil, "type=s3: it needs bucket and region, or AWS_BUCKET and AWS_REGION in the environment"},
		{"type=azblob", false, nil, "type=azblob: the types are registry, local, gha and s3"},
		{"ref=a", false, nil, "type=: it has no type; the types are registry, local, gha and s3"},
		{"type=inline", true, nil, "type=inline: the types are registry, local, gha and s3"},
	} {
		attrs := map[string]string{}
		for pair := range strings.FieldsSeq(tt.attrs) {
			k, v, _ := strings.Cut(pair, "=")
			attrs[k] = v
		}
		c, err := New(attrs, tt.export, func(name string) string { return tt.env[name] })
		if err != nil {
			if !strings.HasPrefix(err.Error(), tt.want) || strings.Contains(err.Error(), "=i ") {
				t.Errorf("%s: %v, want %s", tt.attrs, err, tt.want)
			}
			continue
		}
		if got := text(c); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.attrs, got, tt.want)
		}
		if attrs["type"] != string(c.Type) || len(attrs) != strings.Count(tt.attrs, "=") {
			t.Errorf("%s: what was given was changed: %v", tt.attrs, attrs)
		}
	}
}

// text is a cache's attributes, sorted.
func text(c Cache) string {
	var parts []string
	for k, v := range c.Attrs {
		parts = append(parts, k+"="+v)
	}
	for i := range parts {
		for j := range parts[:i] {
			if parts[i] < parts[j] {
				parts[i], parts[j] = parts[j], parts[i]
			}
		}
	}
	return strings.Join(parts, " ")
}

// The table is whole: what names a cache and what is secret are keys of its type, and two
// functions never write over one another.
func TestTypes(t *testing.T) {
	t.Parallel()
	for _, k := range kinds() {
		has := map[string]bool{}
		for _, key := range k.keys {
			has[key] = true
		}
		for _, key := range append([]string{k.key, k.readKey, k.place}, k.secrets...) {
			if key != "" && !has[key] {
				t.Errorf("%s has no key %s", k.typ, key)
			}
		}
		c := Cache{Type: k.typ, Attrs: map[string]string{k.key: "acme/%s"}}
		if c.Key() != k.key || c.For("hello").Attrs[k.key] != "acme/hello" || c.Attrs[k.key] != "acme/%s" {
			t.Errorf("%s: %v for hello", k.typ, c.For("hello"))
		}
		for _, key := range k.secrets {
			if got := (Cache{Type: k.typ, Attrs: map[string]string{key: "s3cret", k.key: "n"}}).Secrets(); len(got) != 1 || string(got[0]) != "s3cret" {
				t.Errorf("%s: the secret %s is %q", k.typ, key, got)
			}
		}
	}
}

// Parts of an image keep their build cache apart, wherever it is.
func TestPart(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		typ           Type
		key, is, want string
	}{
		{Registry, "ref", "registry.test/a", "registry.test/a:latest-linux-arm64"},
		{Registry, "ref", "registry.test:5000/a:1", "registry.test:5000/a:1-linux-arm64"},
		{Registry, "ref", "registry.test/a@sha256:" + strings.Repeat("0", 64), ""},
		{Local, "dest", "cache/", "cache-linux-arm64"},
		{Local, "src", "./cache", "cache-linux-arm64"},
		{GitHub, "scope", "main", "main-linux-arm64"},
		{S3, "name", "a;b", "a-linux-arm64;b-linux-arm64"},
		{S3, "bucket", "b", "b"},
	} {
		before := Cache{Type: tt.typ, Attrs: map[string]string{tt.key: tt.is, "mode": "max"}}
		got, ok := before.Part("linux-arm64")
		if ok != (tt.want != "") || got.Attrs[tt.key] != tt.want || ok && got.Attrs["mode"] != "max" || before.Attrs[tt.key] != tt.is {
			t.Errorf("%s %s: got %v", tt.typ, tt.is, got)
		}
	}
}

func TestString(t *testing.T) {
	t.Parallel()
	for want, c := range map[string]Cache{
		"registry r.test/a": {Registry, map[string]string{"ref": "r.test/a"}},
		"local d":           {Local, map[string]string{"src": "d"}},
		"gha s":             {GitHub, map[string]string{"scope": "s"}},
		"s3 n":              {S3, map[string]string{"name": "n", "bucket": "b"}},
		"s3 b":              {S3, map[string]string{"bucket": "b"}},
		"inline":            {Inline, nil},
	} {
		if got := c.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
