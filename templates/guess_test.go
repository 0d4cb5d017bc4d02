package templates_test

import (
	"testing"
	"testing/fstest"

	"fnb/templates"
)

func TestGuessTemplate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files         map[string]string
		lang, problem string
	}{
		"nothing":             {map[string]string{"README.md": "x", "sub/handler.py": "x"}, "", ""},
		"a Dockerfile":        {map[string]string{"Dockerfile": "FROM a\n", "main.go": "package main\n"}, "dockerfile", ""},
		"Go":                  {map[string]string{"go.mod": "module x\n", "b.go": "package function\n\nfunc Handle(w http.ResponseWriter, r *http.Request) {}\n"}, "go", ""},
		"Go, a program":       {map[string]string{"main.go": "package main\nfunc main() {}\n"}, "", "no file of it has a func Handle, which the template go calls"},
		"Go, Handle in main":  {map[string]string{"main.go": "package main\nfunc Handle(w http.ResponseWriter, r *http.Request) {}\n"}, "", "its func Handle is in package main, which the template go cannot import"},
		"Python":              {map[string]string{"handler.py": "def handle(event, context): pass\n"}, "python3", ""},
		"Python, an app":      {map[string]string{"app.py": "", "requirements.txt": "flask\n"}, "", "it has no handler.py, which the template python3 calls"},
		"Node":                {map[string]string{"handler.js": ""}, "node", ""},
		"Node, by its main":   {map[string]string{"package.json": `{"main": "src/f.js"}`}, "node", ""},
		"Node, a library":     {map[string]string{"package.json": `{}`, "x.js": ""}, "", "it has no handler.js, which the template node calls"},
		"Deno":                {map[string]string{"deno.json": "{}", "handler.ts": ""}, "deno", ""},
		"Deno, a program":     {map[string]string{"deno.json": "{}", "main.ts": ""}, "", "it has no handler.ts, which the template deno calls"},
		"Bun":                 {map[string]string{"bun.lock": "", "package.json": "{}", "handler.ts": ""}, "bun", ""},
		"Java":                {map[string]string{"pom.xml": "<project/>"}, "java", ""},
		"Java, Gradle":        {map[string]string{"build.gradle": "", "Main.java": ""}, "", "it is built by Gradle, and the template java by Maven"},
		"Java, one file":      {map[string]string{"Handler.java": "class Handler {}"}, "", "it has no pom.xml, which the template java builds"},
		"Rust":                {map[string]string{"Cargo.toml": "[package]\n"}, "rust", ""},
		"Rust, one file":      {map[string]string{"main.rs": "fn main() {}\n"}, "", "it has no Cargo.toml, which the template rust builds"},
		"Ruby":                {map[string]string{"Gemfile": "", "handler.rb": ""}, "", "no template of fnb's takes Ruby"},
		"a script":            {map[string]string{"hash.sh": "sha256sum"}, "command", ""},
		"several scripts":     {map[string]string{"a.sh": "", "b.sh": ""}, "", "several could be the function: a.sh, b.sh"},
		"only a test in Go":   {map[string]string{"a_test.go": "package a\nfunc Handle() {}"}, "", ""},
		"hidden files":        {map[string]string{".eslintrc.js": "", ".git/config": ""}, "", ""},
		"a Dockerfile broken": {map[string]string{"Dockerfile": "FRM a\n"}, "dockerfile", ""},
	} {
		fsys := fstest.MapFS{}
		for file, text := range c.files {
			fsys[file] = &fstest.MapFile{Data: []byte(text)}
		}
		got, err := templates.GuessTemplate(fsys)
		if err != nil || got.Lang != c.lang || got.Problem != c.problem || (got.Problem == "") != (got.Fix == "") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}
