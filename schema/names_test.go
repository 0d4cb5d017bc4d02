package schema_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/schema"
)

func TestValidateFunctionName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "0", "a-b", "a--b", strings.Repeat("a", 63), "xn--a"} {
		if err := schema.ValidateFunctionName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "-a", "a-", "A", "a_b", "a.b", "a/b", "..", "a\n", "é", strings.Repeat("a", 64)} {
		if schema.ValidateFunctionName(name) == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}

func TestValidateName(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a", "go", "python3-http", "com", "com10", strings.Repeat("a", 40)} {
		if err := schema.ValidateName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", "-a", "a_b", "A", "con", "lpt1", "fnb", "official", "template", strings.Repeat("a", 41)} {
		if schema.ValidateName(name) == nil {
			t.Errorf("%q was accepted", name)
		}
	}
}

func TestParseTemplateRef(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("a", 64)
	tests := map[string]schema.TemplateRef{
		"go":                    {Kind: schema.RefName, Name: "go"},
		"acme/go":               {Kind: schema.RefName, Namespace: "acme", Name: "go"},
		"go@^1":                 {Kind: schema.RefName, Name: "go", Range: "^1", IsSemver: true},
		"go@1.2.3":              {Kind: schema.RefName, Name: "go", Range: "1.2.3", IsSemver: true},
		"go@>=1.2, <2":          {Kind: schema.RefName, Name: "go", Range: ">=1.2, <2", IsSemver: true},
		"acme/go@1 || 3":        {Kind: schema.RefName, Namespace: "acme", Name: "go", Range: "1 || 3", IsSemver: true},
		"go@1.0.0-rc.1":         {Kind: schema.RefName, Name: "go", Range: "1.0.0-rc.1", IsSemver: true},
		"main:acme/go@~1":       {Kind: schema.RefName, Store: "main", Namespace: "acme", Name: "go", Range: "~1", IsSemver: true},
		"official:go":           {Kind: schema.RefName, Store: "official", Name: "go"},
		"go@main":               {Kind: schema.RefName, Name: "go", Range: "main"},
		"go@feature/x_y":        {Kind: schema.RefName, Name: "go", Range: "feature/x_y"},
		"go@sha-0123abc":        {Kind: schema.RefName, Name: "go", Range: "sha-0123abc"},
		"go@sha256:" + sum:      {Kind: schema.RefName, Name: "go", Range: "sha256:" + sum},
		"go@fnb1:sha256:" + sum: {Kind: schema.RefName, Name: "go", Range: "fnb1:sha256:" + sum},

		"https://github.com/acme/t":                {Kind: schema.RefGit, URL: "https://github.com/acme/t"},
		"https://github.com/acme/t.git#v1.0":       {Kind: schema.RefGit, URL: "https://github.com/acme/t.git", Ref: "v1.0"},
		"https://host:8443/t//template/go#sha-0a1": {Kind: schema.RefGit, URL: "https://host:8443/t", Path: "template/go", Ref: "sha-0a1"},
		"ssh://git@host:22/acme/t//go":             {Kind: schema.RefGit, URL: "ssh://git@host:22/acme/t", Path: "go"},
		"git://host/t#main":                        {Kind: schema.RefGit, URL: "git://host/t", Ref: "main"},
		"file:///srv/git/t.git//go#v1":             {Kind: schema.RefGit, URL: "file:///srv/git/t.git", Path: "go", Ref: "v1"},
		"git@github.com:acme/t.git//go#v1":         {Kind: schema.RefGit, URL: "git@github.com:acme/t.git", Path: "go", Ref: "v1"},

		"./go":     {Kind: schema.RefFolder, Dir: "./go"},
		"../go/":   {Kind: schema.RefFolder, Dir: "../go/"},
		"/srv/a b": {Kind: schema.RefFolder, Dir: "/srv/a b"},
		".":        {Kind: schema.RefFolder, Dir: "."},
	}
	for text, want := range tests {
		got, err := schema.ParseTemplateRef(text)
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%q: %v (-want +got):\n%s", text, err, diff)
		}
		if got.String() != text {
			t.Errorf("%q is written %q", text, got)
		}
	}
}

func TestParseTemplateRefRefuses(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", " go", "go ", "go\n", "go@", "@1", "a/b/c", "a/", "a:b:c", "go@--upload-pack=x", "go@a..b", "go@a b",
		"go@x.lock", "con", "go@sha256:abc", "--upload-pack=x", "-u:x", "ext::sh -c x",
		"https://", "https://host", "https://host/", "https:///t", "https://host/t#", "https://host/t#-x", "https://host/t//", "https://host/t//../x",
		"https://host/t///x", "https://host/t?x=y", "https://u:p@host/t", "https://token@host/t", "ssh://u:p@host/t", "ssh://-oProxyCommand=x/t",
		"ssh://-u@host/t", "ftp://host/t", "file://", "file:///", "https://ho st/t", "git@host:", "git@host:-x", "-git@host:t", "git@-host:t", "git@host:/", "https://host/a\\b",
	} {
		if ref, err := schema.ParseTemplateRef(text); err == nil {
			t.Errorf("%q was read as %+v", text, ref)
		}
	}
	for _, ref := range []string{"https://me:secret@host/t", "https://me:p/secret@host/t", "https://secret@host/t", "https://me:a@secret@host/t#v1"} {
		if _, err := schema.ParseTemplateRef(ref); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("the error shows the password: %v", err)
		}
	}
}

func TestParsePlatforms(t *testing.T) {
	t.Parallel()
	tests := map[string]string{
		"linux/amd64": "linux/amd64", "LINUX/AMD64": "linux/amd64", "linux/x86_64": "linux/amd64", "linux/amd64/v1": "linux/amd64", "linux/amd64/v3": "linux/amd64/v3",
		"linux/arm64": "linux/arm64", "linux/arm64/v8": "linux/arm64", "linux/arm64/8": "linux/arm64", "linux/aarch64": "linux/arm64", "arm64": "linux/arm64",
		"linux/arm": "linux/arm/v7", "linux/arm/v7": "linux/arm/v7", "linux/arm/v6": "linux/arm/v6", "linux/armhf": "linux/arm/v7", "armhf": "linux/arm/v7",
		"linux/riscv64": "linux/riscv64", "linux/i386": "linux/386", "windows/amd64": "windows/amd64",
		"":                                 "",
		" linux/arm64 , amd64,linux/amd64": "linux/arm64,linux/amd64",
	}
	for text, want := range tests {
		got, err := schema.ParsePlatforms(text)
		if err != nil || got.String() != want {
			t.Errorf("%q is %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{",", "linux/amd64,", "linux", "linux/", "/amd64", "linux/amd64/v9", "linux/amd64/v2/x", "linux/arm64/v7", "plan9/amd64", "linux/armv9", "linux/é"} {
		if got, err := schema.ParsePlatforms(text); err == nil {
			t.Errorf("%q was read as %q", text, got)
		}
	}
	var p schema.Platform
	if err := p.UnmarshalText([]byte("linux/x86_64")); err != nil || p.String() != "linux/amd64" {
		t.Errorf("got %v, %v", p, err)
	}
}
