package templates

import (
	"slices"
	"testing"
)

func TestBaseImage(t *testing.T) {
	t.Parallel()
	const stages = "ARG TAG=12\nARG OS\nFROM debian:${TAG} AS base\nFROM base AS build\nFROM alpine:${OS}\nFROM base AS last\n"
	for _, c := range []struct {
		name, text, target string
		args               map[string]string
		want               string
	}{
		{"the last stage's", stages, "", nil, "debian:12"},
		{"a build arg wins over its default", stages, "", map[string]string{"TAG": "13"}, "debian:13"},
		{"an arg that is not declared is nothing", "FROM debian:12\nARG TAG\n", "", map[string]string{"TAG": "13"}, "debian:12"},
		{"a stage that is named", "FROM a:1 AS one\nFROM b:2\n", "ONE", nil, "a:1"},
		{"a stage that is not there", stages, "nowhere", nil, ""},
		{"scratch is none", "FROM scratch\n", "", nil, ""},
		{"what depends on the platform is not known", "FROM debian:${TARGETARCH}\n", "", nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := readDockerfile(t, c.text, c.args).Base(c.target); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	bases := readDockerfile(t, "ARG TAG=12\nFROM debian:${TAG} AS a\nFROM node:1@sha256:00 AS b\nFROM debian:12\nCOPY --from=busybox:1 /x /x\nCOPY --from=a /y /y\nFROM ${OTHER}\n", map[string]string{"TAG": "13"}).Summary().Bases
	if want := []string{"debian:13", "node:1@sha256:00", "debian:12", "busybox:1", "${OTHER}"}; !slices.Equal(bases, want) {
		t.Errorf("the bases are %q, not %q", bases, want)
	}
}
