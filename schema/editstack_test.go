package schema_test

import (
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/schema"
	"fnb/schema/document"
)

func hello() schema.Function {
	return schema.Function{Name: "hello", Lang: "go@^1", Handler: "./hello", Image: "ghcr.io/acme/hello:0.1.0"}
}

const helloBlock = `  hello:
    lang: go@^1
    handler: ./hello
    image: ghcr.io/acme/hello:0.1.0
`

// An addition is a stack file before and after [hello] was added.
type addition struct{ old, want string }

const helloFlow = `hello: {lang: go@^1, handler: ./hello, image: "ghcr.io/acme/hello:0.1.0"}`

// emptyAdditions are additions to files that say little.
func emptyAdditions() map[string]addition {
	return map[string]addition{
		"no functions key":             {"version: 1.0\n", "version: 1.0\nfunctions:\n" + helloBlock},
		"an empty file":                {"", "functions:\n" + helloBlock},
		"only a comment":               {"# mine\n", "# mine\nfunctions:\n" + helloBlock},
		"functions without":            {"functions:\n", "functions:\n" + helloBlock},
		"functions: {}":                {"functions: {} # mine\nversion: 1.0\n", "functions: # mine\n" + helloBlock + "version: 1.0\n"},
		"functions: null":              {"functions: null\nversion: 1.0\n", "functions:\n" + helloBlock + "version: 1.0\n"},
		"functions: ~":                 {"functions: ~", "functions:\n" + helloBlock},
		"no newline at end":            {"functions:\n  a: {lang: x}", "functions:\n  a: {lang: x}\n" + helloBlock},
		"windows line ends":            {"functions:\r\n  a:\r\n    lang: x\r\n", "functions:\r\n  a:\r\n    lang: x\r\n" + strings.ReplaceAll(helloBlock, "\n", "\r\n")},
		"a byte order mark":            {"\ufefffunctions:\n  a: {lang: x}\n", "\ufefffunctions:\n  a: {lang: x}\n" + helloBlock},
		"document markers":             {"---\nfunctions:\n  a: {lang: x}\n...\n", "---\nfunctions:\n  a: {lang: x}\n" + helloBlock + "...\n"},
		"markers, no functions":        {"---\nversion: 1.0\n...\n", "---\nversion: 1.0\nfunctions:\n" + helloBlock + "...\n"},
		"values that are not set here": {"functions:\n  a:\n    image: ${REG}/x\n", "functions:\n  a:\n    image: ${REG}/x\n" + helloBlock},
		"functions first in the file":  {"functions:\n# c\n  a: {lang: x}\nversion: 1.0\n", "functions:\n# c\n  a: {lang: x}\n" + helloBlock + "version: 1.0\n"},
	}
}

// blockAdditions are additions to files in block style.
func blockAdditions() map[string]addition {
	return map[string]addition{
		"followed by configuration": {
			"functions:\n  a:\n    lang: x # why\n\n# where templates are\nconfiguration:\n  copy: [./common]\n",
			"functions:\n  a:\n    lang: x # why\n" + helloBlock + "\n# where templates are\nconfiguration:\n  copy: [./common]\n",
		},
		"blank lines between": {
			"functions:\n\n  a:\n    lang: x\n\n  b:\n    lang: x\n\nversion: 1.0\n",
			"functions:\n\n  a:\n    lang: x\n\n  b:\n    lang: x\n\n" + helloBlock + "\nversion: 1.0\n",
		},
		"comments at the end of functions": {
			"functions:\n  a:\n    lang: x\n  # b:\n  #   lang: x\n\n# end\n",
			"functions:\n  a:\n    lang: x\n  # b:\n  #   lang: x\n" + helloBlock + "\n# end\n",
		},
		"four spaces": {
			"functions:\n    a:\n        lang: x\n",
			"functions:\n    a:\n        lang: x\n    hello:\n        lang: go@^1\n        handler: ./hello\n        image: ghcr.io/acme/hello:0.1.0\n",
		},
		"an indented document": {
			"  version: 1.0\n  functions:\n    a: {lang: x}\n",
			"  version: 1.0\n  functions:\n    a: {lang: x}\n    hello:\n      lang: go@^1\n      handler: ./hello\n      image: ghcr.io/acme/hello:0.1.0\n",
		},
		"a block text at the end": {
			"functions:\n  a:\n    fprocess: |\n      x\n      # not a comment\nversion: 1.0\n",
			"functions:\n  a:\n    fprocess: |\n      x\n      # not a comment\n" + helloBlock + "version: 1.0\n",
		},
		"a block text that keeps its line ends": {
			"functions:\n  a:\n    fprocess: |+\n      x\n\n\nversion: 1.0\n",
			"functions:\n  a:\n    fprocess: |+\n      x\n\n\n" + helloBlock + "version: 1.0\n",
		},
		"anchors, aliases and quotes": {
			"functions:\n  a: &a\n    lang: 'x'\n    build_args: {V: \"1\"}\n  b:\n    <<: *a\n",
			"functions:\n  a: &a\n    lang: 'x'\n    build_args: {V: \"1\"}\n  b:\n    <<: *a\n" + helloBlock,
		},
		"a list at the key's column": {
			"functions:\n  a:\n    secrets:\n    - x\n    - y\n",
			"functions:\n  a:\n    secrets:\n    - x\n    - y\n" + helloBlock,
		},
	}
}

// flowAdditions are additions to files in flow style.
func flowAdditions() map[string]addition {
	return map[string]addition{
		"flow functions":             {"functions: {a: {lang: x}}\n", "functions: {a: {lang: x}, " + helloFlow + "}\n"},
		"flow with a trailing comma": {"functions: {a: {lang: x},}\n", "functions: {a: {lang: x}," + helloFlow + "}\n"},
		"flow over lines":            {"functions: {\n  a: {lang: é}, # x\n  b: {lang: x} # y\n}\n", "functions: {\n  a: {lang: é}, # x\n  b: {lang: x} # y\n, " + helloFlow + "}\n"},
		"a flow document":            {"{version: 1.0, functions: {}}\n", "{version: 1.0, functions: {" + helloFlow + "}}\n"},
		"a flow document without":    {"{version: 1.0}", "{version: 1.0, functions: {" + helloFlow + "}}"},
	}
}

func TestAddFunctionKeepsEverythingElse(t *testing.T) {
	t.Parallel()
	tests := emptyAdditions()
	maps.Copy(tests, blockAdditions())
	maps.Copy(tests, flowAdditions())
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := schema.AddFunction([]byte(test.old), hello())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, string(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAddFunctionRefuses(t *testing.T) {
	t.Parallel()
	bad := hello()
	bad.Name = "Bad_Name"
	tests := map[string]struct {
		old  string
		fn   schema.Function
		want string
	}{
		"a duplicate":         {"version: 1.0\nfunctions:\n  hello: {lang: x}\n", hello(), `line 3:3: functions.hello: there is a function of this name already`},
		"a merged duplicate":  {"x-a: &a\n  hello: {}\nfunctions:\n  <<: *a\n", hello(), "there is a function of this name already"},
		"a bad name":          {"", bad, `functions.Bad_Name: "Bad_Name" is not a function's name: use a-z, 0-9 and -, with a letter or digit first and last`},
		"no handler":          {"", schema.Function{Name: "a", Lang: "go", Image: "a"}, "functions.a.handler: is missing"},
		"not YAML":            {"functions: [\n", hello(), "is not YAML"},
		"a list":              {"- a\n", hello(), "not a mapping"},
		"functions as a list": {"functions: [a]\n", hello(), "functions: is a list, but must be a mapping"},
		"functions aliased":   {"x-f: &f {a: {lang: x}}\nfunctions: *f\n", hello(), "not written as a mapping"},
		"two documents":       {"functions:\n---\nfunctions:\n", hello(), "a second YAML document starts here"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := schema.AddFunction([]byte(test.old), test.fn)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, %v, want an error with %q", got, err, test.want)
			}
		})
	}
	_, err := schema.AddFunction([]byte("functions:\n  hello: {}\n"), hello())
	var field *document.FieldError
	if !errors.As(err, &field) || field.Line != 2 {
		t.Errorf("a duplicate is %#v, want a FieldError on line 2", err)
	}
}

// everything is a function with every key set, to values that YAML could mistake.
func everything() schema.Function {
	odd := map[string]string{
		"A": "1.0", "B": "true", "C": "null", "D": "", "E": " x ", "F": "a: b", "G": "# c", "H": "line\nline\n",
		"I": `"q" 'q' \`, "J": "é☃\U0001F600", "K": "- x", "L": "yes", "M": "*a", "N": "\x7f\u2028\u0085", "a.b/c": "~", "O": "{x}", "P": "0x10", "Q": "<&>",
	}
	return schema.Function{
		Name: "all", Lang: "store:ns/go@>=1.2, <2", Handler: "../all", Image: "localhost:5000/a/b:1", SkipBuild: true,
		BuildOptions: []string{"dev", "no", "1"}, BuildArgs: odd, BuildSecrets: map[string]string{"npmrc": "./.npmrc"},
		Platforms: schema.Platforms{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm", Variant: "v7"}},
		Watchdog:  "none", FProcess: "python3 -c 'x: y'", Environment: odd, EnvironmentFile: []string{"a.yml"},
		Secrets: []string{"s"}, Constraints: []string{"node.platform.os == linux"}, Labels: odd, Annotations: odd,
		Limits: &schema.Resources{Memory: "128Mi", CPU: "100m"}, Requests: &schema.Resources{CPU: "1"},
		ReadOnlyRootFilesystem: true, Namespace: "fn",
		Test: &schema.FunctionTest{Target: "t", Skip: []string{"drain", "log-line"}, Request: &schema.TestRequest{
			Method: "PUT", Path: "/a?b=c", Headers: map[string]string{"Content-Type": "application/json"}, Body: `{"a": [1]}`, Status: 201, Contains: "yes",
		}},
		Run: &schema.FunctionRun{Services: []string{"db"}},
	}
}

func TestWrittenFunctionsReadBack(t *testing.T) {
	t.Parallel()
	fn := everything()
	for field, value := range reflect.ValueOf(fn).Fields() {
		if value.IsZero() && field.Name != "Line" {
			t.Errorf("the test does not set %s", field.Name)
		}
	}
	base := map[string][]byte{}
	for name, old := range map[string]string{
		"block": "services: {db: {image: a, port: 1}}\nfunctions:\n  a: {lang: go, handler: a, image: a}\n",
		"flow":  "{services: {db: {image: a, port: 1}}, functions: {}}",
	} {
		data, err := schema.AddFunction([]byte(old), fn)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		base[name] = data
	}
	for name, data := range base {
		stack, err := schema.ParseStack("stack.yaml", data, nil)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, data)
		}
		got := stack.Functions[len(stack.Functions)-1]
		got.Line = 0
		if diff := cmp.Diff(fn, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestNewStack(t *testing.T) {
	t.Parallel()
	want := "version: 1.0\nprovider:\n  name: openfaas\n  gateway: http://127.0.0.1:8080\nfunctions:\n" + helloBlock
	if diff := cmp.Diff(want, string(schema.NewStack(hello()))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestImagePrefix(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, functions, want string }{
		{"no function", "", ""},
		{"one", "{a: {image: ghcr.io/acme/a:latest}}", "ghcr.io/acme"},
		{"several that agree", "{a: {image: ghcr.io/acme/a:latest}, b: {image: ghcr.io/acme/b}}", "ghcr.io/acme"},
		{"as it is written", "{a: {image: '${REGISTRY:-ghcr.io/acme}/a:${TAG}'}}", "${REGISTRY:-ghcr.io/acme}"},
		{"others", "{a: {image: ghcr.io/acme/a:latest}, b: {image: docker.io/acme/b}}", ""},
		{"one without", "{a: {image: ghcr.io/acme/a:latest}, b: {image: 'b:1'}}", ""},
		{"another name", "{a: {image: ghcr.io/acme/all:a}}", ""},
		{"a name that begins so", "{a: {image: ghcr.io/acme/ab}}", ""},
		{"one that is not built", "{a: {image: ghcr.io/acme/a:latest}, b: {image: docker.io/library/redis:8, skip_build: true}}", "ghcr.io/acme"},
	} {
		stack, err := schema.ParseStack("stack.yaml", []byte(strings.ReplaceAll("functions: "+tt.functions+"\n", "{image:", "{lang: go, handler: ., image:")), nil)
		if err != nil {
			t.Fatal(tt.name, err)
		}
		if got := stack.ImagePrefix(); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}
