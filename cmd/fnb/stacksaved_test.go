package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/schema"
)

// What is news in a stack file is what the functions that run would have otherwise.
func TestStackNews(t *testing.T) {
	t.Parallel()
	const a, b, db = "\n  a: {lang: go, handler: ./a, image: a, run: {services: [db]}}", "\n  b: {lang: go, handler: ./b, image: b}", "\nservices:\n  db: {image: postgres:17, port: 5432}"
	read := func(text string) usedStack {
		t.Helper()
		file := filepath.Join(t.TempDir(), "stack.yaml")
		if err := os.WriteFile(file, []byte("version: 1.0"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		stack, err := schema.ReadStack(file, os.LookupEnv)
		if err != nil {
			t.Fatal(err)
		}
		return usedStack{stack, stack.Functions}
	}
	before := read("\nfunctions:" + a + b + db)
	for text, want := range map[string]string{
		"\n# lines\n\nfunctions:" + b + a + db:                                         "",
		"\nfunctions:" + a + db:                                                        "b is gone",
		"\nfunctions:" + a + b + strings.Replace(b, "b:", "c:", 1) + db:                "c is new",
		"\nfunctions:" + a + strings.Replace(b, "./b", "./other", 1) + db:              "b has changed",
		"\nfunctions:" + a + b + strings.Replace(db, "17", "18", 1):                    "the service db has changed",
		"\nfunctions:" + a + b + db + "\nconfiguration: {copy: [./common]}":            "configuration has changed",
		"\nfunctions:" + strings.Replace(a, ", run: {services: [db]}", "", 1) + b + db: "a has changed, the service db is gone",
	} {
		if got := strings.Join(before.news(read(text)), ", "); got != want {
			t.Errorf("%s:\n%q, want %q", text, got, want)
		}
	}
}
