package main

import (
	"reflect"
	"strings"
	"testing"
)

func TestReadBoot(t *testing.T) {
	t.Parallel()
	got, err := readBoot("arg \"/usr/bin/fwatchdog\"\narg \"two words\"\nenv \"A=it's \\\"x\\\"\\n\"\nlater \"unknown\"\ndirectory \"/home\"\nuser \"app:1\"\n")
	want := boot{args: []string{"/usr/bin/fwatchdog", "two words"}, env: []string{"A=it's \"x\"\n"}, directory: "/home", user: "app:1"}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for text, want := range map[string]string{
		"":             "names no program",
		"user \"app\"": "names no program",
		"arg /bin/a":   "/bin/a is not a string",
		"arg \"a\nb\"": "is not a string",
	} {
		if _, err := readBoot(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	env, path := environment("/home/app", []string{"A=1", "PATH=/bin", "B=2"}, []string{"A=3", "C="})
	if want := []string{"PATH=/bin", "HOME=/home/app", "A=3", "B=2", "C="}; !reflect.DeepEqual(env, want) || path != "/bin" {
		t.Errorf("%q, %q", env, path)
	}
	env, path = environment("/", nil, []string{"HOME=/tmp"})
	if want := []string{"PATH=" + path, "HOME=/tmp"}; !reflect.DeepEqual(env, want) || !strings.HasSuffix(path, ":/bin") {
		t.Errorf("%q, %q", env, path)
	}
}
