package schema_test

import (
	"strings"
	"testing"

	"fnb/schema"
)

const unsetStack = `version: ${V:-1.0}
provider: {name: openfaas, gateway: "${GATEWAY}"}
functions:
  a:
    lang: go
    handler: ./a
    image: ${REGISTRY}/a:1
    platforms: ["${PLATFORM}"]
    environment: {TOKEN: "${TOKEN}"}
    labels: {team: "${TEAM}"}
    limits: {memory: "${MEMORY}"}
    skip_build: ${SKIP}
  b:
    lang: ${LANG_B}
    handler: ./b
    image: b:1
configuration:
  copy: ["${COPY}"]
`

// A variable that is not set is missed where its value is used, and nowhere else.
func TestNeeds(t *testing.T) {
	t.Parallel()
	stack, err := schema.ParseStack("stack.yaml", []byte(unsetStack), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		functions []schema.Function
		keys      []string
		want      string
	}{
		"nothing used": {stack.Functions, nil, ""},
		"build a":      {stack.Functions[:1], schema.BuildKeys(), "REGISTRY PLATFORM SKIP COPY"},
		"build b":      {stack.Functions[1:], schema.BuildKeys(), "LANG_B COPY"},
		"run a":        {stack.Functions[:1], schema.RunKeys(), "PLATFORM TOKEN SKIP COPY"},
		"deploy all":   {stack.Functions, schema.DeployKeys(), "REGISTRY TOKEN TEAM MEMORY"},
		"push a":       {stack.Functions[:1], []string{"image"}, "REGISTRY"},
	} {
		err := stack.Needs(test.functions, test.keys)
		var got []string
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				_, rest, ok := strings.Cut(line, ": the environment variable ")
				if !ok || !strings.HasPrefix(line, "stack.yaml:") {
					t.Errorf("%s: %q has no place, or no variable", name, line)
				}
				variable, _, _ := strings.Cut(rest, " ")
				got = append(got, variable)
			}
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v is missed, want %s", name, got, test.want)
		}
	}
}

// A function's name with a hyphen is told from its keys.
func TestNeedsOddName(t *testing.T) {
	t.Parallel()
	stack, err := schema.ParseStack("s", []byte("functions:\n  a-b:\n    lang: go\n    handler: h\n    image: \"${X}\"\n"), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	if err := stack.Needs(stack.Functions, schema.BuildKeys()); err == nil || !strings.Contains(err.Error(), "functions.a-b.image") {
		t.Errorf("%v, want the image to be missed", err)
	}
}
