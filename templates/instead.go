package templates

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"fnb/schema"
)

// An Instead is an official template that would serve a handler of another one.
type Instead struct {
	Name    string
	Differs string // what would be otherwise, for people
}

// String says what to write, and what would be otherwise.
func (i Instead) String() string {
	return "fnb's own template " + i.Name + " takes this handler as it is: lang: " + i.Name + ". What differs: " + i.Differs
}

// OfficialInstead returns the official template that takes the handler in fsys, which is
// for a template of OpenFaaS's, as it stands, and serves it better; not ok where there is
// none, or where the official one would refuse the handler or could not find what it uses.
// Options are the groups of packages that the function asks for.
func OfficialInstead(name string, fsys fs.FS, options []string) (Instead, bool) {
	name = strings.TrimSuffix(strings.TrimSuffix(name, "-armhf"), "-arm64")
	rows := slices.DeleteFunc(kin(), func(k relation) bool { return !regexp.MustCompile(`^(?:` + k.names + `)$`).MatchString(name) })
	if len(rows) == 0 {
		return Instead{}, false
	}
	names, err := schema.PlainFiles(fsys)
	if err != nil {
		return Instead{}, false
	}
	f := &sourceFolder{fsys, names}
	for _, k := range rows {
		if !k.takes(f) {
			continue
		}
		t, err := OpenOfficial(k.official)
		if err != nil || slices.ContainsFunc(options, func(o string) bool { return !t.hasOption(o) }) {
			return Instead{}, false
		}
		return Instead{Name: k.official, Differs: k.differs}, true
	}
	return Instead{}, false
}

func (t *Template) hasOption(name string) bool {
	return slices.ContainsFunc(t.Manifest.BuildOptions, func(o schema.BuildOption) bool { return o.Name == name })
}

// A relation is one of templates of OpenFaaS's to the official one that takes their
// handlers.
type relation struct {
	names    string // a pattern
	official string
	takes    func(*sourceFolder) bool
	differs  string
}

// kin is the table of them. docs/openfaas.md has the same rows. Templates whose handlers
// would be served more slowly, such as python3-flask, or not at all, have none.
func kin() []relation {
	return []relation{
		{
			`python3-http(-debian)?`, "python3", takesEvent,
			"Debian's packages instead of Alpine's, no Flask unless requirements.txt has it, and tests that run with fnb build --test",
		},
		{
			`python3-debian`, "python3", takesBody,
			"no line break behind what the handler returns",
		},
		{
			`node(8|10)-express|node(1[2-9]|[2-9][0-9])(-debian)?`, "node", takesNodeEvent,
			"the version of Node.js that the project's files or the build arg NODE_VERSION say, no Express unless package.json has it, and tests that run with fnb build --test",
		},
		{
			`golang-middleware`, "go", takesRequest,
			"no shell in the image, tests that run with fnb build --test, and the version of Go that go.mod says",
		},
		{
			`golang-http`, "go", takesSDK,
			"no shell in the image, tests that run with fnb build --test, and the version of Go that go.mod says",
		},
		{`dockerfile`, "python3", takesEvent, aside},
		{`dockerfile`, "node", takesNodeEvent, aside},
		{`dockerfile`, "go", takesRequest, aside},
		{`dockerfile`, "go", takesSDK, aside},
	}
}

const aside = "fnb does not use the Dockerfile, nor what it installs; packages of Debian come from build_options"

// Patterns of handlers, which are compiled when somebody asks: few commands do.
const (
	pythonEvent   = `(?m)^(?:async )?def handle\(\s*\w+\s*(?::[^,()=]+)?,\s*(?:context|ctx|c|_)\s*(?::[^,()=]+)?(?:=\s*None\s*)?,?\s*\)`
	pythonBody    = `(?m)^def handle\(\s*\w+\s*(?::[^,()=]+)?\)`
	pythonFlask   = `(?m)^\s*(?:from|import) (?:flask|waitress)\b`
	nodeEvent     = `(?:function\s*\w*\s*\(\s*event\s*(?:,\s*\w+\s*){0,2}\)|\(\s*event\s*(?:,\s*\w+\s*){0,2}\)\s*=>)`
	nodeExport    = `(?m)^\s*(?:module\.exports|exports\.handler)\s*=|^export (?:default|const handler|(?:async )?function handler)\b`
	nodeExpress   = `(?:require\(\s*|from\s+)['"](?:express|body-parser)['"]`
	goRequest     = `(?m)^func Handle\(\s*\w+ http\.ResponseWriter\s*,\s*\w+ \*http\.Request\s*\)`
	goSDK         = `(?m)^func Handle\(\s*\w+ handler\.Request\s*\)\s*\(handler\.Response, error\)`
	expressListed = `"(?:express|body-parser)"\s*:`
	flaskListed   = `(?mi)^(?:flask|waitress)\b`
)

func takesEvent(f *sourceFolder) bool { return f.pythonTakes(pythonEvent) }

func takesBody(f *sourceFolder) bool { return f.pythonTakes(pythonBody) }

func (f *sourceFolder) pythonTakes(handle string) bool {
	return f.hasText("handler.py", handle) && f.lists("requirements.txt", flaskListed, pythonFlask, ".py")
}

func takesNodeEvent(f *sourceFolder) bool {
	return f.hasText("handler.js", nodeExport) && f.hasText("handler.js", nodeEvent) &&
		f.lists("package.json", expressListed, nodeExpress, ".js", ".cjs", ".mjs")
}

// hasText reports whether a file is there that matches a pattern.
func (f *sourceFolder) hasText(name, pattern string) bool {
	return f.has(name) && regexp.MustCompile(pattern).MatchString(f.read(name))
}

// lists reports whether the package list has what files with one of the extensions use, if
// they use what only OpenFaaS's template installs.
func (f *sourceFolder) lists(list, listed, uses string, extensions ...string) bool {
	use := regexp.MustCompile(uses)
	used := slices.ContainsFunc(f.ending(extensions...), func(name string) bool { return use.MatchString(f.read(name)) })
	return !used || regexp.MustCompile(listed).MatchString(f.read(list))
}

func takesRequest(f *sourceFolder) bool { return f.goTakes(goRequest) }

func takesSDK(f *sourceFolder) bool { return f.goTakes(goSDK) }

// goTakes reports whether one file has such a Handle, in a package that can be imported.
func (f *sourceFolder) goTakes(handle string) bool {
	pattern := regexp.MustCompile(handle)
	found := false
	for _, name := range f.ending(".go") {
		text := f.read(name)
		if goProgram.MatchString(text) {
			return false
		}
		found = found || !strings.HasSuffix(name, "_test.go") && pattern.MatchString(text)
	}
	return found
}
