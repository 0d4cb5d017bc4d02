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
			got, err := BaseImage([]byte(c.text), c.target, c.args)
			if err != nil || got != c.want {
				t.Errorf("BaseImage = %q, %v; want %q", got, err, c.want)
			}
		})
	}
	got, err := BaseImages([]byte("ARG TAG=12\nFROM debian:${TAG} AS a\nFROM node:1@sha256:00 AS b\nFROM debian:12\nCOPY --from=busybox:1 /x /x\nCOPY --from=a /y /y\nFROM ${OTHER}\n"), map[string]string{"TAG": "13"})
	if want := []string{"debian:13", "debian:12", "busybox:1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("BaseImages = %q, %v; want %q", got, err, want)
	}
	if _, err := BaseImage([]byte("FORM x"), "", nil); err == nil {
		t.Error("a file that is no Dockerfile has a base")
	}
}
