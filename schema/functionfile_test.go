package schema_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/schema"
)

func TestParseFunctionFile(t *testing.T) {
	t.Parallel()
	got, err := schema.ParseFunctionFile("function.yml", readTestFile(t, "testdata/function/valid/full.yml"))
	want := schema.FunctionFile{
		Title: "Shorten", Description: "Makes long text short", Version: "1.0.0", Lang: "go@^1", Categories: []string{"text", "data"},
		Icon: "icon.svg", License: "MIT", Author: "Ann Example", Secrets: []string{"api-key"},
		Try: &schema.Trial{Environment: map[string]string{"LANGUAGE": "en"}, Secrets: map[string]string{"api-key": "only-for-the-examples"}},
		Examples: []schema.Example{
			{Title: "a long text", Body: "a very long text", Contains: "a"},
			{Method: "GET", Path: "/?n=3", Headers: map[string]string{"Accept": "text/plain"}, Status: 400, Equals: "no text"},
		},
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for text, want := range map[string]string{
		"titel: x":                                            `function.yml:1:1: titel: is not a known key (did you mean "title"?)`,
		"title: " + strings.Repeat("x", 300):                  "has 300 bytes",
		"version: 1":                                          "is not a version such as 1.2.3",
		"categories: [Text]":                                  "is not a category",
		"icon: ../icon.png":                                   "nor an https: URL",
		"icon: icon.exe":                                      "nor an https: URL",
		"icon: http://example.com/i":                          "nor an https: URL",
		"examples: [{status: many}]":                          `status: "many" is not a number`,
		"examples: [{status: 99}]":                            "examples[0].status: 99 is not the status of an answer",
		"examples: [{path: x}]":                               "does not begin with one /",
		"examples: [{contain: x}]":                            `did you mean "contains"`,
		`examples: [{body: {"item": 7}}]`:                     "examples[0].body: is a mapping, but must be a string in quotes",
		"examples: [{body: [7]}]":                             "examples[0].body: is a list, but must be a string in quotes",
		"examples: [{method: HEAD, contains: x}]":             "says what the answer to HEAD has in it, and such an answer has no body",
		"examples: [{method: HEAD, equals: x}]":               "such an answer has no body",
		"examples: [{headers: {content-length: '3'}}]":        `examples[0].headers: "content-length" cannot be chosen: fnb sets it to fit the body`,
		"examples: [{headers: {Transfer-Encoding: chunked}}]": `"Transfer-Encoding" cannot be chosen`,
		"examples: x":                                         "a list",
		"secrets: [a/b]":                                      `"a/b" cannot be the name of a secret`,
		"try: {secrets: {../a: x}}":                           `"../a" cannot be the name of a secret`,
		"try: {environment: {a=b: x}}":                        `"a=b" cannot be a variable`,
		"try: {secret: {a: x}}":                               `did you mean "secrets"`,
		"lang: ['x']":                                         "lang",
	} {
		if _, err := schema.ParseFunctionFile("function.yml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40s: %v, want %q", text, err, want)
		}
	}
}
