package schema_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"fnb/schema"
	"fnb/schema/document"
	"fnb/schema/services"
)

const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestReadStackOfOpenFaaS(t *testing.T) {
	t.Parallel()
	stack, err := schema.ReadStack("testdata/stack/valid/openfaas.yaml", environment)
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(stack.File) || filepath.Base(stack.File) != "openfaas.yaml" {
		t.Errorf("File is %q", stack.File)
	}
	amd64, arm64 := schema.Platform{OS: "linux", Architecture: "amd64"}, schema.Platform{OS: "linux", Architecture: "arm64"}
	want := &schema.Stack{
		Version: "1.0", Provider: schema.Provider{Name: "openfaas", Gateway: "http://127.0.0.1:8080"},
		Functions: []schema.Function{
			{
				Name: "hello", Line: 8, Lang: "python3-http@0.4.0", Handler: "./hello", Image: "ghcr.io/acme/hello:0.1.0",
				FProcess: "python index.py",
				Environment: map[string]string{
					"port": "8080", "debug": "true", "ratio": "0.50", "octal": "0o17", "empty": "", "quoted": "1.0",
					"price": "5$ or $5", "literal": "$HOME",
				},
				EnvironmentFile: []string{"env.yml"}, Secrets: []string{"api-key"},
				Constraints: []string{"node.platform.os == linux"},
				Labels:      map[string]string{"com.openfaas.scale.min": "1"}, Annotations: map[string]string{"topic": "a"},
				Limits: &schema.Resources{Memory: "128Mi", CPU: "100m"}, Requests: &schema.Resources{Memory: "64Mi", CPU: "1"},
				ReadOnlyRootFilesystem: true, BuildOptions: []string{"dev"}, Namespace: "openfaas-fn",
				BuildArgs: map[string]string{"GOPROXY": "https://proxy.example", "CGO_ENABLED": "0"},
				Platforms: schema.Platforms{amd64, arm64}, BuildSecrets: map[string]string{"pipconf": "./pip.conf"},
			},
			{Name: "legacy", Line: 39, Lang: "dockerfile", Handler: "./legacy", Image: "legacy"},
			{Name: "elsewhere", Line: 43, SkipBuild: true, Image: "ghcr.io/acme/elsewhere" + digest},
		},
		Configuration: schema.Configuration{
			Templates: []schema.TemplateSource{{Name: "python3-http", Source: "https://github.com/acme/templates#v1"}, {Name: "go"}},
			Copy:      []string{"./common"},
		},
	}
	if diff := cmp.Diff(want, stack, cmpopts.IgnoreFields(schema.Stack{}, "File"), cmpopts.IgnoreUnexported(schema.Stack{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadStackOfFnb(t *testing.T) {
	t.Parallel()
	stack, err := schema.ReadStack("testdata/stack/valid/fnb.yaml", environment)
	if err != nil {
		t.Fatal(err)
	}
	want := []schema.Function{
		{
			Name: "one", Line: 6, Lang: "go@^1", Handler: "./one", Image: "ghcr.io/acme/one", Watchdog: "none",
			Environment: map[string]string{"A": "1"},
			Platforms:   schema.Platforms{{OS: "linux", Architecture: "amd64"}, {OS: "linux", Architecture: "arm64"}},
		},
		{
			Name: "two", Line: 12, Lang: "main:acme/go@>=1.2, <2", Handler: "two", Image: "localhost:5000/two:1",
			Watchdog:    "ghcr.io/openfaas/of-watchdog:0.11.3" + digest,
			Environment: map[string]string{"A": "1", "B": "two"},
		},
		{Name: "three", Line: 21, Lang: "https://github.com/acme/templates//template/go#v1", Handler: "../three", Image: "three"},
		{Name: "four", Line: 25, Lang: "./templates/four", Handler: "/srv/four", Image: "four"},
	}
	if diff := cmp.Diff(want, stack.Functions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestValuesOfTheEnvironmentStayValues(t *testing.T) {
	t.Parallel()
	stack, err := schema.ReadStack("testdata/stack/valid/injection.yaml", environment)
	if err != nil {
		t.Fatal(err)
	}
	want := []schema.Function{{
		Name: "a", Line: 3, Lang: "go", Handler: "./a: b # c", Image: "a", FProcess: "one\n  two: 2\n- three",
		Environment: map[string]string{
			"BRACES": `{"a": [1]}`, "NESTED": "x-a: b", "UNUSED": "a: b", "EMPTY": "default", "ESCAPED": "${VAR} $",
		},
	}}
	if diff := cmp.Diff(want, stack.Functions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestStackWithoutAnEnvironmentStaysAsWritten(t *testing.T) {
	t.Parallel()
	data := "functions:\n  a: {lang: \"${T}\", handler: $$x, image: \"${R}/a\", skip_build: \"${S}\", platforms: \"${P}\", watchdog: \"${W}\"}\n"
	stack, err := schema.ParseStack("s.yaml", []byte(data), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := []schema.Function{{Name: "a", Line: 2, Lang: "${T}", Handler: "$$x", Image: "${R}/a", Watchdog: "${W}"}}
	if diff := cmp.Diff(want, stack.Functions); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestOtherValidStacks(t *testing.T) {
	t.Parallel()
	stack, err := schema.ReadStack("testdata/stack/valid/windows.yaml", environment)
	if err != nil {
		t.Fatal(err)
	}
	if fn := stack.Functions[0]; fn.Name != "404" || fn.Environment["text"] != "a\nb\n" {
		t.Errorf("got %+v", fn)
	}
	if _, err := schema.ReadStack("testdata/stack/valid/empty.yaml", environment); err != nil {
		t.Error(err)
	}
}

func TestFieldErrorHasItsParts(t *testing.T) {
	t.Parallel()
	_, err := schema.ParseStack("stack.yaml", []byte("functions:\n  a:\n    lang: go\n    handlr: a\n    image: a\n    skip_build: true\n"), nil)
	field, ok := errors.AsType[*document.FieldError](err)
	want := &document.FieldError{File: "stack.yaml", Line: 4, Column: 5, Field: "functions.a.handlr", Problem: "is not a known key", Near: "handler"}
	if diff := cmp.Diff(want, field); !ok || diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, want := field.Error(), `stack.yaml:4:5: functions.a.handlr: is not a known key (did you mean "handler"?)`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestLargeDocumentsEndSoon reads documents that YAML parsers have died of.
func TestLargeDocumentsEndSoon(t *testing.T) {
	t.Parallel()
	var keys strings.Builder
	for i := range 10_000 {
		fmt.Fprintf(&keys, "k%d: v\n", i)
	}
	deep := strings.Builder{}
	for i := range 250 {
		deep.WriteString(strings.Repeat(" ", i) + "a:\n")
	}
	tests := map[string]struct{ data, want string }{
		"too large":     {strings.Repeat("#", 1<<20+1), "larger than"},
		"many words":    {strings.Repeat("a: b\n", 50_000), "more than 60000 words"},
		"many keys":     {keys.String(), "more than 2000 keys"},
		"deep flow":     {strings.Repeat("[", 500_000), "words"},
		"deeper flow":   {strings.Repeat("{a: ", 20_000), "nested too deeply"},
		"deep dashes":   {strings.Repeat("- ", 40_000), "nested too deeply"},
		"many tags":     {strings.Repeat("!!str ", 40_000), "nested too deeply"},
		"many anchors":  {strings.Repeat("&a ", 15_000), "nested too deeply"},
		"question keys": {strings.Repeat("? ", 40_000), "nested too deeply"},
		"many colons":   {strings.Repeat("a: ", 15_000), "nested too deeply"},
		"deep blocks":   {deep.String(), "indented by more than"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			start := time.Now()
			_, err := schema.ParseStack("s.yaml", []byte(test.data), environment)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				text := fmt.Sprint(err)
				t.Errorf("got %.200s, want %q", text, test.want)
			}
			if took := time.Since(start); took > 20*time.Second {
				t.Errorf("took %s", took)
			}
		})
	}
}

func TestFindStack(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	deep := filepath.Join(root, "a", "b", "c")
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	if path, err := schema.FindStack(deep); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("without a file: %q, %v, want fs.ErrNotExist", path, err)
	}
	for _, file := range []string{"stack.yml", "stack.yaml", "a/stack.yml"} { // each is nearer or better than the one before
		path := filepath.Join(root, filepath.FromSlash(file))
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if got, err := schema.FindStack(deep); got != path || err != nil {
			t.Errorf("got %q, %v, want %q", got, err, path)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "a", "stack.yaml"), 0o755); err != nil {
		t.Fatal(err)
	}
	if got, err := schema.FindStack(deep); filepath.Base(got) != "stack.yml" || err != nil {
		t.Errorf("beside a folder called stack.yaml: %q, %v", got, err)
	}
}

func TestReadStackOfNoFile(t *testing.T) {
	t.Parallel()
	if _, err := schema.ReadStack(filepath.Join(t.TempDir(), "stack.yaml"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want fs.ErrNotExist", err)
	}
}

func TestReadServices(t *testing.T) {
	t.Parallel()
	stack, err := schema.ReadStack("testdata/stack/valid/services.yaml", environment)
	if err != nil {
		t.Fatal(err)
	}
	want := []services.Service{
		{
			Name: "db", Line: 8, Image: "postgres:17", Port: 5432, Command: services.Words{"-c", "fsync=off"},
			Environment:     map[string]string{"POSTGRES_PASSWORD": "test", "POSTGRES_INITDB_ARGS": "--no-sync"},
			EnvironmentFile: []string{"db.yml"}, Timeout: services.Duration(2 * time.Minute), Keep: true, Data: "/var/lib/postgresql/data",
			Ready: services.Ready{Kind: services.Command, Command: services.Words{"pg_isready", "-h", "127.0.0.1"}},
		},
		{Name: "cache", Line: 18, Image: "redis:8" + digest, Port: 6379, Ready: services.Ready{Kind: services.Log, Text: "Ready to accept connections"}},
		{
			Name: "mq", Line: 19, Image: "nats:2", Port: 4222, Command: services.Words{"-m", "8222", "--name", "a b"},
			Ready: services.Ready{Kind: services.HTTP, Text: "/healthz?a=b", Port: 8222},
		},
		{Name: "other", Line: 20, Image: "nats:2", Port: 1, Ready: services.Ready{Kind: services.Command, Command: services.Words{"sh", "-c", "exit 0"}}},
	}
	if diff := cmp.Diff(want, stack.Services); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	var used []string
	for _, s := range stack.ServicesOf(stack.Functions) {
		used = append(used, s.Name+": "+s.Ready.String())
	}
	wantUsed := []string{"db: command pg_isready -h 127.0.0.1", "cache: log Ready to accept connections", "mq: http :8222/healthz?a=b"}
	if diff := cmp.Diff(wantUsed, used); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestUnsetValuesOfServices: a variable that is not set stops only who uses its service.
func TestUnsetValuesOfServices(t *testing.T) {
	t.Parallel()
	data := "functions:\n  a: {skip_build: true, image: a, run: {services: [db]}}\n  b: {skip_build: true, image: b}\n" +
		"services:\n  db: {image: \"postgres:${NOT_SET}\", port: 1, environment: {P: \"${NOT_SET}\"}}\n"
	stack, err := schema.ParseStack("s.yaml", []byte(data), environment)
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		function int
		keys     []string
		want     int // lines
	}{{0, schema.RunKeys(), 2}, {0, append(schema.SourceKeys(), "services.image"), 1}, {0, schema.BuildKeys(), 0}, {1, schema.RunKeys(), 0}} {
		lines := 0
		if err := stack.Needs(stack.Functions[test.function:test.function+1], test.keys); err != nil {
			lines = strings.Count(err.Error(), "services.db.")
		}
		if lines != test.want {
			t.Errorf("function %d: %d problems, want %d", test.function, lines, test.want)
		}
	}
}
