package site

import (
	"context"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"fnb/schema"
	"fnb/store"
	"fnb/store/records"
	"fnb/templates"
)

// A sample is a small store with all that a page can show.
type sample struct {
	items   []Item
	details map[string]Detail
}

func (s *sample) Items(context.Context) ([]Item, error) { return s.items, nil }

func (s *sample) Detail(_ context.Context, kind, name string) (Detail, error) {
	d, ok := s.details[kind+" "+name]
	if !ok {
		return Detail{}, fmt.Errorf("%s %s: %w", kind, name, fs.ErrNotExist)
	}
	return d, nil
}

func (s *sample) add(d Detail) {
	if s.details == nil {
		s.details = map[string]Detail{}
	}
	s.items = append(s.items, d.Item)
	s.details[d.Kind+" "+d.Name] = d
}

const sampleReadme = "# Shorten\n\nTurns a long text into a **short** one: the first sentences, in their order.\n\n" +
	"## Settings\n\n| variable | what it does | default |\n|---|---|---|\n| `sentences` | how many are kept | 3 |\n| `language` | of the text | found out |\n\n" +
	"```sh\ncurl -d @article.txt http://127.0.0.1:8080/?n=3   # the first three\n```\n\n> It keeps nothing of what it is sent.\n\nSee [the method](https://example.com/method) and ![a picture](https://example.com/p.png).\n"

func day(n int) *time.Time {
	t := time.Date(2026, 9, n, 14, 30, 0, 0, time.UTC)
	return &t
}

func functionPackage() records.Package {
	version := func(v string, n int) records.PackageVersion {
		return records.PackageVersion{Record: schema.Record{
			V: 1, Kind: schema.KindFunction, Name: "acme/shorten", Version: v, Language: "python", License: "MIT", Published: day(n),
			Title: "Shorten", Description: "Keeps the sentences of a text that say the most, and drops the rest.", Author: "Ann Example",
			Categories: []string{"text", "data"}, README: sampleReadme,
			Image: &schema.RecordImage{Ref: "ghcr.io/acme/shorten:" + v, Digest: "sha256:" + strings.Repeat("1f", 32), Provenance: "https://slsa.dev/provenance/v1", SignedBy: []string{"SHA256:" + strings.Repeat("A", 43)}, Platforms: map[string]schema.PlatformImage{
				"linux/amd64": {Digest: "sha256:" + strings.Repeat("2a", 32), Size: 18_123_456, Packages: 92}, "linux/arm64": {Digest: "sha256:" + strings.Repeat("3b", 32), Size: 17_923_456},
			}},
			Run: &schema.RecordRun{
				FProcess: "python index.py", Environment: map[string]string{"write_timeout": "10s", "sentences": "3"}, ReadOnlyRootFilesystem: true,
				Secrets: []string{"api-key"}, Limits: &schema.RecordResources{Memory: "64Mi", CPU: "100m"}, Labels: map[string]string{"team": "text"},
			},
			Built: &schema.RecordBuilt{Template: "python3@1.0.0", Checksum: "fnb1:sha256:" + strings.Repeat("4c", 32), Git: &schema.GitSource{URL: "https://git.example.com/acme/functions", Commit: strings.Repeat("9b", 20), Path: "shorten"}},
			Examples: []schema.Example{
				{Title: "Three sentences", Path: "/?n=3", Body: "One. Two! Three? Four.", Contains: "One. Two! Three?"},
				{Method: "GET", Status: 405, Headers: map[string]string{"Accept": "text/plain"}},
			},
		}}
	}
	p := records.Package{Kind: schema.KindFunction, Name: "acme/shorten", Store: "acme", Versions: []records.PackageVersion{version("0.9.0", 1), version("1.0.0", 4), version("1.1.0", 9)}}
	p.Versions[1].Yanked = &schema.Yank{V: 1, Reason: "drops the last sentence", Severity: "broken", By: "ann@example.com", At: day(6), Use: "1.1.0"}
	return p
}

func templatePackage(name, language, description string, tags ...string) records.Package {
	p := records.Package{Kind: schema.KindTemplate, Name: name, Store: "acme", About: schema.Package{V: 1, Tags: tags}}
	for i, v := range []string{"1.0.0", "1.1.0", "1.2.0"} {
		p.Versions = append(p.Versions, records.PackageVersion{Record: schema.Record{
			V: 1, Kind: schema.KindTemplate, Name: name, Version: v, Language: language, Description: description, License: "MIT", Published: day(i + 2), FNB: ">=0.2",
			Checksum: "fnb1:sha256:" + strings.Repeat("0a", 32), Platforms: []string{"linux/amd64", "linux/arm64", "linux/arm/v7"},
			Source: schema.RecordSource{Git: schema.GitSource{URL: "https://git.example.com/acme/templates", Ref: "refs/tags/v" + v, Commit: strings.Repeat("9b", 20), Path: "template/go"}},
			Parts: schema.RecordParts{
				Dockerfile: "Dockerfile", Entrypoint: schema.RecordEntrypoint{FProcess: "./handler", Mode: "http", Watchdog: "default"},
				Handler: schema.RecordHandler{Dir: "function"}, Packages: []schema.RecordPackages{{Ecosystem: "go", Manifest: "function/go.mod", Lock: "function/go.sum"}},
			},
		}})
	}
	return p
}

// newSample returns a store with the official templates and some more.
func newSample(tb testing.TB) *sample {
	tb.Helper()
	s := &sample{}
	shorten := Describe(functionPackage(), nil)
	shorten.Deploy = []Command{{"docker pull", "docker pull ghcr.io/acme/shorten:1.1.0@sha256:" + strings.Repeat("1f", 32)}, {"Kubernetes", "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: shorten"}}
	s.add(shorten)
	others := []struct{ name, language, description, title, tag string }{
		{"acme/chart", "go", "Draws a chart of the numbers that it is sent, as SVG.", "Chart", "data"},
		{"acme/ocr", "python", "Reads the words in a picture.", "Read pictures", "images"},
		{"acme/markdown", "node", "Turns Markdown into HTML that is safe to show.", "Markdown", "text"},
		{"tools/qrcode", "go", "Makes a QR code of a text, as PNG.", "QR code", "images"},
		{"tools/certinfo", "go", "Tells until when the certificate of a host is good.", "Certificates", "network"},
	}
	for _, o := range others {
		p := functionPackage()
		p.Name, p.Versions = o.name, p.Versions[2:]
		r := &p.Versions[0].Record
		r.Name, r.Language, r.Description, r.Title, r.Categories = o.name, o.language, o.description, o.title, []string{o.tag}
		s.add(Describe(p, nil))
	}
	official, err := templates.Official()
	if err != nil {
		tb.Fatal(err)
	}
	for _, t := range official {
		s.add(DescribeFiles(Item{Name: t.Name, Store: store.Official}, Files{t.Template, t.FS}))
	}
	t := official[slices.IndexFunc(official, func(t *templates.Template) bool { return t.Name == "go" })]
	s.add(Describe(templatePackage("acme/go", "go", "HTTP functions in Go with our log and metrics", "http"), &Files{t.Template, t.FS}))
	elixir := templatePackage("acme/elixir", "elixir", "HTTP functions in Elixir, with Plug", "http", "fast")
	elixir.About.Deprecated = &schema.Deprecation{Reason: "Nobody looks after it.", Replacement: "acme/go"}
	s.add(Describe(elixir, nil))
	bad := templatePackage("acme/cobol", "cobol", "HTTP functions in COBOL")
	for i := range bad.Versions {
		bad.Versions[i].Yanked = &schema.Yank{V: 1, Reason: "leaks memory", Severity: "security", By: "ann@example.com", At: day(20)}
	}
	s.add(Describe(bad, nil))
	return s
}

// hostile is a package in which every text tries to be something else.
func hostile(tb testing.TB) Detail {
	tb.Helper()
	const x = `"><script>alert(1)</script><img src=x onerror=alert(2)>{{.}}` + "\x1b[31m\u202e"
	p := functionPackage()
	p.About = schema.Package{Description: x, Tags: []string{x}, Deprecated: &schema.Deprecation{Reason: x, Replacement: "a/\"><script>x"}}
	for i := range p.Versions {
		r := &p.Versions[i].Record
		r.Title, r.Language, r.License, r.Author, r.Categories, r.Description = x, x, x, x, []string{x}, x
		r.README = "# " + x + "\n\n" + x + "\n\n<script>alert(3)</script>\n\n[a](javascript:alert(4)) [b](data:text/html,x) ![c](javascript:x) <javascript:alert(5)> [d](<https://x.example/\"onclick=alert(6)>)\n\n```" + x + "\n" + x + "\n```\n\n[ref]: javascript:alert(7)\n[ref]\n\n<a href='javascript:alert(8)'>e</a>\n\n![remote](https://track.example/pixel.png)\n"
		r.Icon = "https://track.example/icon.png"
		r.FNB = x
		r.Image.Ref, r.Image.Digest, r.Image.Provenance, r.Image.SignedBy = x, x, x, []string{x}
		r.Image.Platforms = map[string]schema.PlatformImage{x: {Digest: x, Size: 5}}
		r.Run = &schema.RecordRun{FProcess: x, Environment: map[string]string{x: x}, Labels: map[string]string{x: x}, Annotations: map[string]string{x: x}, Secrets: []string{x}, Limits: &schema.RecordResources{Memory: x, CPU: x}}
		r.Built = &schema.RecordBuilt{Template: x, Checksum: x, Git: &schema.GitSource{URL: "javascript:alert(9)//" + x, Ref: x, Commit: x, Path: x}}
		r.Examples = []schema.Example{{Title: x, Method: x, Path: x, Body: x, Contains: x, Headers: map[string]string{x: x}}}
		p.Versions[i].Yanked = &schema.Yank{Reason: x, Severity: x, By: x, Use: x}
	}
	d := Describe(p, nil)
	d.Name = "evil/function"
	d.files(Files{schema.Template{
		Manifest:   schema.Manifest{Watchdog: x},
		Dockerfile: schema.Dockerfile{Path: "Dockerfile", Bases: []string{x}, Stages: []string{x}, Args: []string{x}},
		Entrypoint: schema.Entrypoint{FProcess: x, Mode: x, UpstreamURL: x, Files: []string{"a.js", "b<script>.py"}},
		Handler:    schema.Starter{Folder: "function", Files: []string{"c.yml"}},
		Packages:   schema.Packages{Lists: []schema.PackageList{{Ecosystem: x, Manifest: x}}, Options: []schema.BuildOption{{Name: x, Packages: []string{x}}}},
	}, fstest.MapFS{
		"Dockerfile": {Data: []byte("FROM " + x)}, "a.js": {Data: []byte("`" + x + "` // " + x + "\n/*" + x)}, "b<script>.py": {Data: []byte(`"""` + x)},
		"function/c.yml": {Data: []byte(x + ": " + x)}, "template.yml": {Data: []byte{0, 1, 2}}, "README.md": {Data: []byte(p.Versions[0].README)},
	}})
	d.Deploy = []Command{{Title: x, Text: x}}
	d.Notes = []string{x}
	d.Version, d.Store = x, x
	return d
}
