package schema_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/schema"
	"fnb/schema/rules"
	"fnb/schema/settings"
)

// TestFormatsDocumentIsTrue reads the examples of docs/formats.md, each of which
// begins with a comment that names its file.
func TestFormatsDocumentIsTrue(t *testing.T) {
	t.Parallel()
	read := map[string]func(string) error{
		"# stack.yaml": func(text string) error {
			_, err := schema.ParseStack("stack.yaml", []byte(text), environment)
			return err
		},
		"# config.yaml": func(text string) error {
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				return err
			}
			_, err := settings.Read(path)
			return err
		},
		"# policy.yaml": func(text string) error {
			_, err := rules.Parse("policy.yaml", []byte(text))
			return err
		},
		"# template.yml": func(text string) error {
			_, err := schema.ParseManifest("template.yml", []byte(text))
			return err
		},
		"# function.yml": func(text string) error {
			_, err := schema.ParseFunctionFile("function.yml", []byte(text))
			return err
		},
	}
	parts := strings.Split(string(readTestFile(t, "../docs/formats.md")), "\n```yaml\n")
	for _, part := range parts[1:] {
		text, _, _ := strings.Cut(part, "\n```")
		name, _, _ := strings.Cut(text, "\n")
		parse := read[name]
		if parse == nil {
			t.Errorf("an example begins with %q", name)
			continue
		}
		delete(read, name)
		if err := parse(text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(read) > 0 {
		t.Errorf("%d examples are missing", len(read))
	}
}
