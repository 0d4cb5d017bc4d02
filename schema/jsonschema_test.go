package schema_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/invopop/jsonschema"
	validator "github.com/santhosh-tekuri/jsonschema/v6"

	"fnb/schema"
	"fnb/schema/ownership"
	"fnb/schema/rules"
	"fnb/schema/services"
)

// TestJSONSchemasAreCurrent makes each schema from the Go types again.
// "go test ./schema -update" rewrites those in the folder json.
func TestJSONSchemasAreCurrent(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		document any
		tag      string
		title    string
	}{
		"stack":    {schema.Stack{}, "yaml", "fnb stack file"},
		"template": {schema.Manifest{}, "yaml", "fnb template manifest"},
		"function": {schema.FunctionFile{}, "yaml", "fnb function file"},
		"lock":     {schema.Lock{}, "json", "fnb lock"},
		"report":   {schema.Report{}, "json", "fnb build report"},
		"policy":   {rules.Policy{}, "yaml", "fnb policy"},

		"store":     {schema.StoreFile{}, "json", "fnb store"},
		"namespace": {schema.Namespace{}, "json", "fnb store namespace"},
		"package":   {schema.Package{}, "json", "fnb store package"},
		"record":    {schema.Record{}, "json", "fnb store record"},
		"yank":      {schema.Yank{}, "json", "fnb store yank"},
		"owners":    {ownership.Owners{}, "json", "fnb store owners"},
		"signature": {ownership.Envelope{}, "json", "fnb store signatures"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := &jsonschema.Reflector{
				Anonymous: true, FieldNameTag: test.tag, Mapper: mapType,
				AllowAdditionalProperties: test.tag == "json", // files that fnb writes may have keys of a later fnb
			}
			if err := r.AddGoComments("fnb/schema", "."); err != nil {
				t.Fatal(err)
			}
			s := r.Reflect(test.document)
			s.Title = test.title
			for name, definition := range s.Definitions {
				refine(name, definition)
			}
			data, err := json.MarshalIndent(s, "", "  ")
			if err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join("json", name+".schema.json"), append(data, '\n'))
		})
	}
}

// mapType says how a type is written in a file, where that is not what its Go
// type says.
func mapType(t reflect.Type) *jsonschema.Schema {
	text := &jsonschema.Schema{Type: "string"}
	switch t {
	case reflect.TypeFor[schema.Platforms]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{text, {Type: "array", Items: text}}}
	case reflect.TypeFor[services.Words](), reflect.TypeFor[services.Ready]():
		return &jsonschema.Schema{OneOf: []*jsonschema.Schema{text, {Type: "array", Items: text}}}
	case reflect.TypeFor[services.Duration]():
		return text
	case reflect.TypeFor[rules.Age]():
		return &jsonschema.Schema{Type: "string", Pattern: "^[0-9]*[1-9][0-9]*[hdw]$"}
	case reflect.TypeFor[rules.SignedBy]():
		some := &jsonschema.Schema{OneOf: []*jsonschema.Schema{text, {Type: "array", Items: text}}}
		return &jsonschema.Schema{OneOf: append(some.OneOf, &jsonschema.Schema{Type: "object", AdditionalProperties: some})}
	case reflect.TypeFor[rules.Mode]():
		return &jsonschema.Schema{Type: "string", Enum: []any{rules.Warn, rules.Enforce}}
	case reflect.TypeFor[map[string]string]():
		return &jsonschema.Schema{Type: "object", AdditionalProperties: scalar()}
	case reflect.TypeFor[bool]():
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{
			{Type: "boolean"}, {Type: "string", Pattern: `^([Yy]es|[Nn]o|[Oo]n|[Oo]ff|.*\$\{.*)$`},
		}}
	}
	return nil
}

// scalar is the schema of a text that may be written as any scalar.
func scalar() *jsonschema.Schema {
	var types []*jsonschema.Schema
	for _, name := range []string{"string", "number", "boolean", "null"} {
		types = append(types, &jsonschema.Schema{Type: name})
	}
	return &jsonschema.Schema{AnyOf: types}
}

// refine adds to the schema of a type what its Go type does not say.
func refine(name string, s *jsonschema.Schema) {
	property := func(key string) *jsonschema.Schema {
		p, _ := s.Properties.Get(key)
		return p
	}
	longest := uint64(63)
	switch name {
	case "Stack":
		s.PatternProperties = map[string]*jsonschema.Schema{"^x-": jsonschema.TrueSchema}
		functions := property("functions")
		functions.Type, functions.Items = "object", nil
		functions.PropertyNames = &jsonschema.Schema{Pattern: "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", MaxLength: &longest}
		functions.AdditionalProperties = &jsonschema.Schema{Ref: "#/$defs/Function"}
		services := property("services")
		services.Type, services.Items = "object", nil
		services.PropertyNames, services.AdditionalProperties = functions.PropertyNames, &jsonschema.Schema{Ref: "#/$defs/Service"}
		version := property("version")
		version.Type, version.Enum = "", []any{"1.0", 1.0}
	case "Provider":
		property("name").Const = "openfaas"
	case "Function":
		s.Required = []string{"image"}
		s.AnyOf = []*jsonschema.Schema{{Required: []string{"skip_build"}}, {Required: []string{"lang", "handler"}}}
	case "Resources":
		for _, key := range []string{"memory", "cpu"} {
			p := property(key)
			p.Type, p.AnyOf = "", scalar().AnyOf
		}
	case "Service":
		p := property("port")
		p.Type, p.AnyOf = "", scalar().AnyOf
	case "Templates":
		property("yanked").Enum = []any{"refuse"}
	case "Images":
		property("digest").Enum = []any{"locked"}
	case "Manifest":
		property("mode").Enum = []any{"http", "streaming", "serializing", "static", "inproc"}
	case "Pin":
		property("checksum").Pattern = "^fnb1:sha256:[0-9a-f]{64}$"
	case "Record":
		property("cksum").Pattern = "^fnb1:sha256:[0-9a-f]{64}$"
		property("kind").Enum = []any{schema.KindTemplate, schema.KindFunction}
		s.OneOf = []*jsonschema.Schema{{Required: []string{"cksum", "source", "parts"}}, {Required: []string{"image"}}}
	}
}

func TestValidFilesMatchTheirJSONSchema(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ dir, schema string }{
		{"stack/valid", "stack"},
		{"template/valid", "template"},
		{"function/valid", "function"},
		{"lock/valid", "lock"},
		{"report", "report"},
		{"policy/valid", "policy"},
		{"store/store", "store"},
		{"store/namespace", "namespace"},
		{"store/package", "package"},
		{"store/record", "record"},
		{"store/yank", "yank"},
	} {
		s := compile(t, test.schema)
		for _, path := range files(t, test.dir) {
			document := decode(t, readTestFile(t, path))
			if document == nil {
				continue // an empty template.yml
			}
			if err := s.Validate(document); err != nil {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

func TestInvalidFilesDoNotMatchTheirJSONSchema(t *testing.T) {
	t.Parallel()
	for kind, names := range map[string][]string{
		"stack":    {"all-at-once.yaml", "missing.yaml", "not-a-mapping.yaml", "types.yaml", "provider.yaml", "version.yaml"},
		"template": {"unknown.yml", "words.yml", "test.yml", "list.yml"},
		"lock":     {"no-version.lock", "list.lock", "pins.lock"},
		"policy":   {"all-at-once.yaml"},
	} {
		s := compile(t, kind)
		for _, name := range names {
			path := filepath.Join("testdata", kind, "invalid", name)
			if err := s.Validate(decode(t, readTestFile(t, path))); err == nil {
				t.Errorf("%s matches the schema", path)
			}
		}
	}
}

func TestJSONSchemaOfAnUnknownFile(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "stacks", "../stack"} {
		if _, err := schema.JSONSchema(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%q: %v, want fs.ErrNotExist", name, err)
		}
	}
}

func compile(t *testing.T, name string) *validator.Schema {
	t.Helper()
	data, err := schema.JSONSchema(name)
	if err != nil {
		t.Fatal(err)
	}
	document, err := validator.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	c := validator.NewCompiler()
	if err := c.AddResource(name, document); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// decode reads YAML, of which JSON is a part, as JSON's types.
func decode(t *testing.T, data []byte) any {
	t.Helper()
	var v any
	if err := yaml.Unmarshal(bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n")), &v); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	document, err := validator.UnmarshalJSON(strings.NewReader(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return document
}
