package pipeline

import (
	"strings"
	"testing"

	"fnb/packaging"
	"fnb/schema"
	"fnb/schema/checksum"
	"fnb/templates"
)

// Functions share build cache when, and only when, they have template, package list,
// options and platforms in common.
func TestSharedCache(t *testing.T) {
	t.Parallel()
	type inputs struct {
		image, checksum, list, handler string
		options                        []string
		platforms                      []schema.Platform
	}
	at := func(change func(*inputs)) string {
		t.Helper()
		in := inputs{
			image: "registry.test/acme/hello:1", checksum: "fnb1:sha256:1", list: "1", handler: "1",
			platforms: []schema.Platform{{OS: "linux", Architecture: "amd64"}},
		}
		change(&in)
		pl := &Plan{Job: &Job{Function: schema.Function{BuildOptions: in.options}, Refs: []Reference{mustRef(t, in.image)}}}
		pl.Pin.Checksum = in.checksum
		pl.Template = &templates.Template{Template: schema.Template{Name: "acme/Py thon"}}
		pl.context = &packaging.Context{Files: []checksum.FileSum{{Path: "function/handler.py", Sum: in.handler}, {Path: "function/requirements.txt", Sum: in.list}}}
		pl.req.Platforms = in.platforms
		return sharedCache(pl)
	}
	one := at(func(*inputs) {})
	if !strings.HasPrefix(one, "registry.test/acme/fnb-cache:py-thon-") {
		t.Errorf("it is %s", one)
	}
	for name, change := range map[string]func(*inputs){
		"another function": func(in *inputs) { in.image = "registry.test/acme/other:2" },
		"another handler":  func(in *inputs) { in.handler = "2" },
	} {
		if got := at(change); got != one {
			t.Errorf("%s has %s and not %s", name, got, one)
		}
	}
	for name, change := range map[string]func(*inputs){
		"another owner":        func(in *inputs) { in.image = "registry.test/other/hello:1" },
		"another registry":     func(in *inputs) { in.image = "else.test/acme/hello:1" },
		"another template":     func(in *inputs) { in.checksum = "fnb1:sha256:2" },
		"another package list": func(in *inputs) { in.list = "2" },
		"an option":            func(in *inputs) { in.options = []string{"dev"} },
		"another platform": func(in *inputs) {
			in.platforms = append(in.platforms, schema.Platform{OS: "linux", Architecture: "arm64"})
		},
	} {
		if at(change) == one {
			t.Errorf("%s has the same", name)
		}
	}
}
