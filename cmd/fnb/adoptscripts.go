package main

import (
	"bytes"
	"fmt"
	"path"
	"slices"
	"strings"

	"fnb/internal/lazyregexp"
	"fnb/internal/plain"
)

// What of a project's scripts is shown.
const (
	maxScripts  = 50 // files
	maxMentions = 10 // lines
)

var faasCLICall = lazyregexp.New(`\bfaas(?:-cli)?[ \t]+(?:-[-a-z]+[ \t]+)*([a-z][a-z-]+)(?:[ \t]+([a-z][a-z-]+))?`)

// scripts says where the project calls faas-cli, and what to write there.
func (a *adoption) scripts() {
	if len(a.out.Stacks) == 0 {
		return
	}
	var found []string
	for _, name := range a.scriptFiles() {
		data, err := a.read(name)
		if err != nil {
			continue // what cannot be read calls nothing
		}
		line := 0
		for text := range bytes.Lines(data) {
			line++
			if m := faasCLICall.FindSubmatch(text); m != nil && bytes.Contains(text, []byte("faas-cli")) {
				word := string(m[1])
				if instead := insteadOf(word, string(m[2])); instead != "" {
					found = append(found, fmt.Sprintf("%s:%d: faas-cli %s: %s", name, line, word, instead))
				}
			}
		}
	}
	for _, text := range found[:min(len(found), maxMentions)] {
		a.note("%s", text)
	}
	if more := len(found) - maxMentions; more > 0 {
		a.note("and %s of faas-cli", plain.Count(more, "other call", "other calls"))
	}
}

// scriptFiles are the files of a project that may call faas-cli: a Makefile, scripts in
// its folder, and what CI systems read.
func (a *adoption) scriptFiles() []string {
	var names []string
	for _, dir := range []string{".", "scripts", "hack", "ci", ".github/workflows", ".circleci"} {
		if info, err := a.root.Stat(dir); err != nil || !info.IsDir() { // opening a pipe would wait for its other end
			continue
		}
		f, err := a.root.Open(dir)
		if err != nil {
			continue
		}
		entries, _ := f.ReadDir(adoptedFolders) // what cannot be read has none
		_ = f.Close()                           // it was only read from
		for _, e := range entries {
			ext, inCI := path.Ext(e.Name()), strings.HasPrefix(dir, ".") && dir != "."
			isScript := ext == ".sh" || ext == ".mk" || ext == ".ps1" || (inCI && (ext == ".yml" || ext == ".yaml")) ||
				slices.Contains([]string{"Makefile", "makefile", "GNUmakefile", "justfile", "Jenkinsfile", ".gitlab-ci.yml", ".travis.yml", ".drone.yml", "azure-pipelines.yml"}, e.Name())
			if isScript && e.Type().IsRegular() {
				names = append(names, path.Join(dir, e.Name()))
			}
		}
	}
	slices.Sort(names)
	return names[:min(len(names), maxScripts)]
}

// insteadOf says what to write in the place of a call of faas-cli; "" where nothing is to
// be said.
func insteadOf(word, next string) string {
	switch word {
	case "build", "push", "publish", "new", "generate", "deploy", "up":
		return "fnb " + word + " means the same"
	case "template":
		return "not needed: fnb.lock says where templates are from"
	case "login":
		return "fnb login logs in to a registry, and to no gateway"
	}
	if word == "store" {
		return strings.Join(ofFaasCLI("fnb store", next), "; ")
	}
	return strings.Join(ofFaasCLI("fnb", word), "; ")
}
