package templates

import (
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"fnb/internal/lazyregexp"
	"fnb/schema"
)

// A Guess says which template a folder of source is for.
type Guess struct {
	Language string // what the source is, for people: "Go"; "" where there is none
	Lang     string // template reference; "" where Problem says why there is none
	FProcess string // what the function is started with; "" is the template's
	Problem  string // why no template of fnb's makes a function of it; "" where one does
	Fix      string // what a person can do then
	Note     string // what the template expects, and nobody can see in the files
}

// guessBytes is how much of a file is read to guess.
const guessBytes = 64 << 10

// GuessTemplate tells from the files at the root of fsys, not below it, which template
// makes a function of them. Links that leave fsys, and what is no plain file, are no
// source.
func GuessTemplate(fsys fs.FS) (Guess, error) {
	names, err := schema.PlainFiles(fsys)
	if err != nil {
		return Guess{}, err
	}
	f := &sourceFolder{fsys, names}
	for _, guess := range []func() Guess{f.dockerfile, f.goSource, f.python, f.typescript, f.node, f.java, f.rust, f.other, f.shell} {
		if g := guess(); g.Language != "" {
			return g, nil
		}
	}
	return Guess{}, nil
}

// A sourceFolder has the names of a folder's plain files.
type sourceFolder struct {
	fsys  fs.FS
	names []string
}

func (f *sourceFolder) has(names ...string) bool {
	return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(f.names, n) })
}

// ending returns the files whose names end in one of the extensions.
func (f *sourceFolder) ending(extensions ...string) []string {
	var found []string
	for _, n := range f.names {
		if slices.Contains(extensions, path.Ext(n)) && !strings.HasPrefix(n, ".") {
			found = append(found, n)
		}
	}
	return found
}

// read returns the beginning of a file; nothing of one that cannot be read.
func (f *sourceFolder) read(name string) string {
	file, err := f.fsys.Open(name)
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }() // it was only read from
	data, err := io.ReadAll(io.LimitReader(file, guessBytes))
	if err != nil {
		return ""
	}
	return string(data)
}

func (f *sourceFolder) dockerfile() Guess {
	if !f.has(dockerfileName) {
		return Guess{}
	}
	g := Guess{Language: "a Dockerfile", Lang: "dockerfile"}
	d, err := ReadDockerfile(dockerfileName, []byte(f.read(dockerfileName)), nil)
	if err != nil || d.bringsWatchdog() || d.Env("mode") != "" {
		return g // what is wrong with it a build tells, with the line
	}
	g.Note = `its command gets each request on standard input; for one that answers HTTP, set in the Dockerfile: ENV mode="http" upstream_url="http://127.0.0.1:PORT"`
	return g
}

var (
	goHandle  = lazyregexp.New(`(?m)^func Handle\(`)
	goProgram = lazyregexp.New(`(?m)^package main\b`)
)

func (f *sourceFolder) goSource() Guess {
	files := slices.DeleteFunc(f.ending(".go"), func(n string) bool { return strings.HasSuffix(n, "_test.go") })
	if len(files) == 0 {
		return Guess{}
	}
	g := Guess{Language: "Go", Problem: "no file of it has a func Handle, which the template go calls", Fix: "write the handler, as fnb new NAME --lang go begins one, or add a Dockerfile"}
	for _, name := range files {
		text := f.read(name)
		if !goHandle.MatchString(text) {
			continue
		}
		if goProgram.MatchString(text) {
			g.Problem, g.Fix = "its func Handle is in package main, which the template go cannot import", "call the package something else, such as: package function"
			return g
		}
		return Guess{Language: "Go", Lang: "go"}
	}
	return g
}

func (f *sourceFolder) python() Guess {
	if len(f.ending(".py")) == 0 && !f.has("requirements.txt", "pyproject.toml", "Pipfile") {
		return Guess{}
	}
	return f.withHandler(Guess{Language: "Python", Lang: "python3"}, "handler.py")
}

func (f *sourceFolder) node() Guess {
	if len(f.ending(".js", ".mjs", ".cjs")) == 0 && !f.has("package.json") {
		return Guess{}
	}
	g := Guess{Language: "JavaScript", Lang: "node"}
	if strings.Contains(f.read("package.json"), `"main"`) {
		return g
	}
	return f.withHandler(g, "handler.js", "index.js")
}

func (f *sourceFolder) typescript() Guess {
	if len(f.ending(".ts")) == 0 {
		return Guess{}
	}
	g := Guess{Language: "TypeScript", Lang: "typescript"}
	switch {
	case f.has("deno.json", "deno.jsonc", "deno.lock"):
		g = Guess{Language: "Deno", Lang: "deno"}
	case f.has("bun.lock", "bun.lockb", "bunfig.toml"):
		g = Guess{Language: "TypeScript for Bun", Lang: "bun"}
	}
	return f.withHandler(g, "handler.ts", "handler.tsx")
}

func (f *sourceFolder) java() Guess {
	g := Guess{Language: "Java", Lang: "java", Note: "one class of it must implement fnb.Handler, as in what fnb new NAME --lang java begins"}
	switch {
	case f.has("pom.xml"):
		return g
	case f.has("build.gradle", "build.gradle.kts"):
		return Guess{Language: "Java", Problem: "it is built by Gradle, and the template java by Maven", Fix: "write a pom.xml, take OpenFaaS's template java11, or add a Dockerfile"}
	case len(f.ending(".java")) > 0:
		return g.without("pom.xml", "builds")
	}
	return Guess{}
}

func (f *sourceFolder) rust() Guess {
	g := Guess{Language: "Rust", Lang: "rust", Note: "its library must have a pub async fn handle, as in what fnb new NAME --lang rust begins"}
	switch {
	case f.has("Cargo.toml"):
		return g
	case len(f.ending(".rs")) > 0:
		return g.without("Cargo.toml", "builds")
	}
	return Guess{}
}

// withHandler is g if one of the files is there that its template calls.
func (f *sourceFolder) withHandler(g Guess, files ...string) Guess {
	if f.has(files...) {
		return g
	}
	return g.without(files[0], "calls")
}

// without is g for a folder that lacks what its template calls or builds.
func (g Guess) without(file, does string) Guess {
	return Guess{
		Language: g.Language, Problem: "it has no " + file + ", which the template " + g.Lang + " " + does,
		Fix: "write it, as fnb new NAME --lang " + g.Lang + " begins one, or add a Dockerfile",
	}
}

// other are the languages that OpenFaaS has templates for.
func (f *sourceFolder) other() Guess {
	for _, l := range []struct {
		language, official, openfaas string
		files, extensions            []string
	}{
		{"Ruby", "ruby", "ruby-http", []string{"Gemfile"}, []string{".rb"}},
		{"PHP", "php", "php8", []string{"composer.json"}, []string{".php"}},
		{"C#", "dotnet", "dotnet8-csharp", nil, []string{".csproj", ".cs"}},
		{"Crystal", "crystal", "crystal-http", []string{"shard.yml"}, []string{".cr"}},
		{"Perl", "perl", "perl-alpine", []string{"cpanfile"}, []string{".pl"}},
		{"Swift", "swift", "swift", []string{"Package.swift"}, []string{".swift"}},
	} {
		if f.has(l.files...) || len(f.ending(l.extensions...)) > 0 {
			return unlessOfficial(l.language, l.official, "OpenFaaS's template "+l.openfaas)
		}
	}
	return Guess{}
}

// unlessOfficial says that no template takes a language, unless one is part of fnb.
func unlessOfficial(language, name, instead string) Guess {
	if _, err := OpenOfficial(name); err == nil {
		return Guess{Language: language, Lang: name}
	}
	g := Guess{Language: language, Problem: "no template of fnb's takes " + language, Fix: "add a Dockerfile"}
	if instead != "" {
		g.Fix = "take " + instead + ", or add a Dockerfile"
	}
	return g
}

func (f *sourceFolder) shell() Guess {
	scripts := f.ending(".sh")
	switch len(scripts) {
	case 0:
		return Guess{}
	case 1:
		return Guess{Language: "a shell script", Lang: "command", FProcess: "sh ./" + scripts[0]}
	}
	return Guess{Language: "shell scripts", Problem: "several could be the function: " + strings.Join(scripts[:min(len(scripts), 5)], ", "), Fix: "say which one with fprocess, and: lang: command"}
}
