package schema_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"fnb/schema"
)

const source = "https://github.com/openfaas/golang-http-template"

func TestAddTemplateSource(t *testing.T) {
	t.Parallel()
	block := "    - name: golang-http\n      source: " + source + "\n"
	for name, c := range map[string]addition{
		"no configuration":       {"version: 1.0 # mine\nfunctions: {}\n", "version: 1.0 # mine\nfunctions: {}\nconfiguration:\n  templates:\n" + block},
		"no end of a line":       {"functions: {}", "functions: {}\nconfiguration:\n  templates:\n" + block},
		"an empty configuration": {"configuration: # mine\nfunctions: {}\n", "configuration: # mine\n  templates:\n" + block + "functions: {}\n"},
		"only copies": {
			"configuration:\n  copy:\n    - ./common # why\n\n# end\nfunctions: {}\n",
			"configuration:\n  copy:\n    - ./common # why\n  templates:\n" + block + "\n# end\nfunctions: {}\n",
		},
		"a list": {
			"configuration:\n  templates:\n    # first\n    - name: a\n      source: ./a # why\n  copy: [./common]\n",
			"configuration:\n  templates:\n    # first\n    - name: a\n      source: ./a # why\n" + block + "  copy: [./common]\n",
		},
		"a list that is not indented": {
			"configuration:\n  templates:\n  - name: a\n    source: ./a\nfunctions: {}\n",
			"configuration:\n  templates:\n  - name: a\n    source: ./a\n" + "  - name: golang-http\n    source: " + source + "\nfunctions: {}\n",
		},
		"a list in brackets": {
			"configuration: {templates: [{name: a, source: ./a}]}\n",
			"configuration: {templates: [{name: a, source: ./a}, {name: golang-http, source: \"" + source + "\"}]}\n",
		},
		"an empty list":     {"configuration:\n  templates: []\n", "configuration:\n  templates: [{name: golang-http, source: \"" + source + "\"}]\n"},
		"templates without": {"configuration:\n  templates:\nfunctions: {}\n", "configuration:\n  templates: [{name: golang-http, source: \"" + source + "\"}]\nfunctions: {}\n"},
		"windows line ends": {"functions: {}\r\n", strings.ReplaceAll("functions: {}\nconfiguration:\n  templates:\n"+block, "\n", "\r\n")},
		"one line":          {"{functions: {}}\n", "{functions: {}, configuration: {templates: [{name: golang-http, source: \"" + source + "\"}]}}\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := schema.AddTemplateSource([]byte(c.old), schema.TemplateSource{Name: "golang-http", Source: source})
			if err != nil || string(got) != c.want {
				t.Errorf("%v\n%s", err, cmp.Diff(c.want, string(got)))
			}
		})
	}
	for name, old := range map[string]string{
		"an alias":  "x-a: &a [{name: a}]\nconfiguration: {templates: *a}\n",
		"an anchor": "configuration: &c\n  templates: [{name: a, source: ./a}]\n",
		"no YAML":   "a: [",
		"a list":    "- a\n",
		"a text":    "configuration: x\n",
	} {
		if got, err := schema.AddTemplateSource([]byte(old), schema.TemplateSource{Name: "golang-http", Source: source}); err == nil {
			t.Errorf("%s: became %q", name, got)
		}
	}
}

func TestCorrectProvider(t *testing.T) {
	t.Parallel()
	for old, want := range map[string]string{
		"provider:\n  name: faas # old\n  gateway: http://x\n": "provider:\n  name: openfaas # old\n  gateway: http://x\n",
		"provider: {name: \"faas\"}\r\n":                       "provider: {name: \"openfaas\"}\r\n",
		"\ufeffprovider: {name: 'faas'}\n":                     "\ufeffprovider: {name: 'openfaas'}\n",
		"provider:\n  name: openfaas\n":                        "provider:\n  name: openfaas\n",
		"provider:\n  name: faas-cloud\n":                      "provider:\n  name: faas-cloud\n",
		"functions:\n  faas: {lang: faas}\n":                   "functions:\n  faas: {lang: faas}\n",
		"provider: [":                                          "provider: [",
	} {
		got, err := schema.CorrectProvider([]byte(old))
		if err != nil || string(got) != want {
			t.Errorf("%q became %q, %v", old, got, err)
		}
	}
	if got, err := schema.CorrectProvider([]byte("x-n: &n faas\nprovider: {name: *n}\n")); err == nil && strings.Contains(string(got), "openfaas") {
		t.Errorf("an alias: %s", got)
	}
}

func TestStackFiles(t *testing.T) {
	t.Parallel()
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	got, err := schema.StackFiles(fstest.MapFS{
		"stack.yml":          file("anything"),
		"hello.yml":          file("provider: {name: faas}\nfunctions:\n  a: {lang: go, handler: ./a, image: a}\n"),
		"b.yaml":             file("functions: {a: {image: x, skip_build: true}}\n"),
		"bad.yml":            file("provider: {name: openfaas}\nfunctions: {a: {lnag: go, image: $X}}\n"),
		"serverless.yml":     file("provider: {name: aws}\nfunctions: {a: {handler: x.y, image: z}}\n"),
		"docker-compose.yml": file("services: {a: {image: x}}\n"),
		"broken.yml":         file("functions: ["),
		"large.yml":          file("functions: {a: {image: x}}\n#" + strings.Repeat("x", 1<<20)),
		"notes.txt":          file("functions: {a: {image: x}}\n"),
		"sub/other.yml":      file("functions: {a: {image: x}}\n"),
	})
	if diff := cmp.Diff([]string{"stack.yml", "b.yaml", "bad.yml", "hello.yml"}, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}
