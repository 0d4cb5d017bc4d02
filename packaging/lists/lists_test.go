package lists

import (
	"strings"
	"testing"
	"testing/fstest"

	"fnb/schema"
)

// The lists of templates that take everything.
func allLists() []schema.PackageList {
	return []schema.PackageList{
		{Ecosystem: "pypi", Manifest: "requirements.txt", Files: []string{"requirements*.txt"}, Locks: map[string]string{"uv": "uv.lock", "poetry": "poetry.lock", "pdm": "pdm.lock", "pylock": "pylock.toml", "pipenv": "Pipfile.lock"}},
		{Ecosystem: "npm", Manifest: "package.json", Lock: "package-lock.json", Locks: map[string]string{"pnpm": "pnpm-lock.yaml", "yarn": "yarn.lock", "bun": "bun.lock"}},
		{Ecosystem: "cargo", Manifest: "Cargo.toml", Lock: "Cargo.lock", Files: []string{"rust-toolchain.toml"}},
		{Ecosystem: "maven", Manifest: "pom.xml", Files: []string{"settings.xml"}},
		{Ecosystem: "deno", Manifest: "deno.json", Lock: "deno.lock", Files: []string{"deno.json*"}},
		{Ecosystem: "go", Manifest: "go.mod", Lock: "go.sum", Files: []string{"go.work"}},
	}
}

// fsOf makes a file system of lines "name: text"; "\n" in the text is a line break.
func fsOf(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return m
}

const (
	npmLock  = `{"lockfileVersion": 3, "packages": {}}`
	uvLock   = "version = 1\n"
	rustLock = "version = 4\n"
)

func TestFind(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler string
		files   map[string]string
		want    string // manager, root, member; files; folders with a slash; empty ones with a "?"
	}{
		"nothing": {".", map[string]string{"handler.py": ""}, " . ."},
		"requirements that name files": {
			".", map[string]string{
				"requirements.txt": "-r base.txt\n--constraint=constraints/c.txt # why\nflask==3 \\\n  --hash=sha256:1\n-f wheels\n./wheels/a-1.whl\n-e ./lib[x]\nname @ file:./other\nhttps://e.org/x.whl\ngit+https://e.org/x\n--index-url https://e.org/simple\n",
				"base.txt":         "-c constraints/c.txt\n-rmore.txt", "more.txt": "-r base.txt", "constraints/c.txt": "x<3",
				"wheels/a-1.whl": "", "lib/pyproject.toml": "[tool.poetry.dependencies]\nx = {path = \"../third\"}", "lib/lib.py": "", "other/setup.py": "", "third/setup.py": "", "handler.py": "",
			}, "pip . . base.txt constraints/c.txt more.txt requirements.txt lib/ other/ third/ wheels/",
		},
		"uv": {
			".", map[string]string{
				"pyproject.toml": "[project]\nname = \"x\"\ndependencies = [\"lib\", \"w @ file:./w.whl\"]\n[tool.uv.sources]\nlib = {path = \"libs/lib\", editable = true}\ngone = {git = \"https://e.org\"}\nw = [{path=\"w.whl\", marker=\"x\"}, {index=\"y\"}]\n",
				"uv.lock":        uvLock, "libs/lib/pyproject.toml": "", "w.whl": "",
			}, "uv . . pyproject.toml uv.lock w.whl libs/lib/",
		},
		"uv's workspace": {
			"fn/a", map[string]string{
				"pyproject.toml":             "[project]\nname=\"root\"\n[tool.uv.workspace]\nmembers = [\"fn/*\", \"libs/**\"]\nexclude = [\"libs/old\"]\n[tool.uv.sources]\nmy-lib = {workspace = true}\n",
				"uv.lock":                    uvLock,
				"fn/a/pyproject.toml":        "[project]\nname=\"a\"\ndependencies=[\"My_Lib>=1\"]\n",
				"fn/b/pyproject.toml":        "[project]\nname=\"b\"\n",
				"libs/l/pyproject.toml":      "[project]\nname=\"my.lib\"\ndependencies=[\"deep\"]\n[tool.uv.sources]\ndeep={workspace=true}",
				"libs/x/deep/pyproject.toml": "[project]\nname=\"deep\"\n", "libs/old/pyproject.toml": "[project]\nname=\"deep\"\n", "libs/l/l.py": "", "fn/a/handler.py": "",
			}, "uv . fn/a fn/a/pyproject.toml fn/b/pyproject.toml pyproject.toml uv.lock libs/l/ libs/x/deep/",
		},
		"poetry and setuptools": {
			".", map[string]string{
				"pyproject.toml": "[tool.poetry]\n[tool.poetry.group.dev.dependencies]\nx = {path = \"x\"}\n[tool.setuptools.dynamic]\ndependencies = {file = [\"deps.txt\"]}\n",
				"poetry.lock":    "[metadata]\n", "x/setup.py": "", "deps.txt": "-r other.txt", "other.txt": "",
			}, "poetry . . deps.txt other.txt poetry.lock pyproject.toml x/",
		},
		"pdm": {
			".", map[string]string{
				"pyproject.toml": "[project]\nname=\"x\"\n[tool.pdm.dev-dependencies]\ndev = [\"-e file:///${PROJECT_ROOT}/sub#egg=sub\"]\n", "pdm.lock": "[metadata]\n", "sub/setup.py": "",
			}, "pdm . . pdm.lock pyproject.toml sub/",
		},
		"pipenv": {".", map[string]string{"Pipfile": "[packages]\nx = {path = \"./x\"}\n", "Pipfile.lock": "{}", "x/setup.py": ""}, "pipenv . . Pipfile Pipfile.lock x/"},
		"npm": {
			".", map[string]string{
				"package.json":      `{"dependencies": {"a": "file:a", "b": "^1", "t": "file:./t.tgz", "r": "acme/repo"}, "devDependencies": {"l": "link:l"}, "overrides": {"x": {"y": "file:y"}}, "scripts": {"postinstall": "patch-package --patch-dir my/patches"}}`,
				"package-lock.json": npmLock, ".npmrc": "", "a/package.json": `{"dependencies": {"c": "file:../c"}, "devDependencies": {"none": "file:../none"}}`, "c/index.js": "", "l/package.json": `{}`, "t.tgz": "", "y/index.js": "", "patches/x.patch": "", "my/patches/x.patch": "", "handler.js": "",
			}, "npm . . .npmrc package-lock.json package.json t.tgz a/ c/ l/ my/patches/ patches/ y/",
		},
		"yarn's patches": {
			".", map[string]string{
				"package.json": `{"dependencies": {"x": "patch:x@npm%3A1.0.0#~/.yarn/patches/x.patch", "z": "patch:z@1#optional!builtin<z>"}, "resolutions": {"y": "patch:y@1#./y.patch"}}`,
				"yarn.lock":    "__metadata:\n", ".yarnrc.yml": "", ".yarn/patches/x.patch": "", "y.patch": "",
			}, "yarn . . .yarnrc.yml package.json y.patch yarn.lock .yarn/patches/",
		},
		"npm's workspace": {
			"fn/a", map[string]string{
				"package.json": `{"workspaces": ["fn/*", "libs/{one,two}", "!fn/c"], "packageManager": "npm@10.1.0"}`, "package-lock.json": npmLock, ".npmrc": "", "yarn.lock": "# yarn lockfile v1\n",
				"fn/a/package.json": `{"name": "a", "dependencies": {"@x/one": "*"}}`, "fn/b/package.json": `{"name": "b"}`, "fn/c/package.json": `{"name": "c"}`,
				"libs/one/package.json": `{"name": "@x/one", "devDependencies": {"@x/two": "1"}}`, "libs/two/package.json": `{"name": "@x/two", "dependencies": {"@x/one": "*"}}`, "libs/three/package.json": "{}",
			}, "npm . fn/a .npmrc fn/a/package.json package-lock.json package.json libs/one/ libs/two/",
		},
		"a lock of its own": {
			"fn/a", map[string]string{
				"package.json": `{"workspaces": ["fn/*"]}`, "package-lock.json": npmLock, "fn/a/package.json": `{"name": "a"}`, "fn/a/pnpm-lock.yaml": "lockfileVersion: '9.0'\nimporters: {}",
			}, "pnpm fn/a . fn/a/package.json fn/a/pnpm-lock.yaml",
		},
		"pnpm's workspace": {
			"deep/fn/a", map[string]string{
				"deep/pnpm-workspace.yaml": "packages:\n  - fn/**\n  - '!**/test/**'\npatchedDependencies:\n  x@1: patches/x.patch\n", "deep/pnpm-lock.yaml": "lockfileVersion: '9.0'\nimporters: {}\n", "deep/package.json": "{}", "deep/patches/x.patch": "",
				"deep/fn/a/package.json": `{"name": "a", "dependencies": {"lib": "workspace:*", "alias": "workspace:b@^1", "p": "workspace:../p"}}`,
				"deep/fn/l/package.json": `{"name": "lib"}`, "deep/fn/b/package.json": `{"name": "b"}`, "deep/fn/p/package.json": `{"name": "p"}`, "deep/fn/test/x/package.json": `{"name": "lib"}`,
			}, "pnpm deep fn/a deep/fn/a/package.json deep/package.json deep/pnpm-lock.yaml deep/pnpm-workspace.yaml deep/fn/b/ deep/fn/l/ deep/fn/p/ deep/patches/",
		},
		"bun's workspace": {
			"a", map[string]string{
				"package.json": `{"workspaces": {"packages": ["a", "b"]}}`, "bun.lock": `{"lockfileVersion": 1,}`, "a/package.json": `{"name": "a"}`, "b/package.json": `{"name": "b"}`,
			}, "bun . a a/package.json b/package.json bun.lock package.json",
		},
		"the root of a workspace": {
			".",
			map[string]string{"package.json": `{"workspaces": ["lib"], "dependencies": {"lib": "*"}}`, "package-lock.json": npmLock, "lib/package.json": `{"name": "lib"}`},
			"npm . . package-lock.json package.json lib/",
		},
		"cargo": {
			".", map[string]string{
				"Cargo.toml": "[package]\nname=\"x\"\n[dependencies]\na = {path = \"a\"}\n[target.'cfg(unix)'.dev-dependencies]\nb = {path = \"b\"}\n[patch.crates-io]\nc = {path = \"c\"}\n", "Cargo.lock": rustLock,
				"a/Cargo.toml": "[dependencies]\nd={path=\"../d\"}", "b/Cargo.toml": "", "c/Cargo.toml": "", "d/Cargo.toml": "", ".cargo/config.toml": "[source.v]\ndirectory = \"vendor\"", "vendor/x/Cargo.toml": "", "src/lib.rs": "", "rust-toolchain.toml": "",
			}, "cargo . . .cargo/config.toml Cargo.lock Cargo.toml rust-toolchain.toml a/ b/ c/ d/ vendor/",
		},
		"cargo's workspace": {
			"fn/a", map[string]string{
				"Cargo.toml": "[workspace]\nmembers=[\"fn/*\", \"lib\"]\n[workspace.dependencies]\nlib={path=\"lib\"}\n", "Cargo.lock": rustLock,
				"fn/a/Cargo.toml": "[package]\nname=\"a\"\n[dependencies]\nlib={workspace=true}", "fn/b/Cargo.toml": "[package]\nname=\"b\"\n[[bin]]\nname=\"tool\"\n[[bin]]\nname=\"t2\"\npath=\"own/main.rs\"\n", "lib/Cargo.toml": "[package]\nname=\"lib\"", "lib/src/lib.rs": "",
			}, "cargo . fn/a Cargo.lock Cargo.toml fn/a/Cargo.toml fn/b/Cargo.toml lib/ ?fn/b/own/main.rs ?fn/b/src/bin/tool.rs ?fn/b/src/lib.rs",
		},
		"maven": {
			".", map[string]string{
				"pom.xml":   "<project><parent><relativePath>parent</relativePath></parent><modules><module>m</module></modules><dependencies><dependency><systemPath>${project.basedir}/lib/x.jar</systemPath></dependency></dependencies><repositories><repository><url>file://${project.basedir}/repo</url></repository></repositories></project>",
				"m/pom.xml": "<project><parent><artifactId>x</artifactId></parent></project>",
				"lib/x.jar": "", "repo/x": "", "parent/pom.xml": "<project/>", ".mvn/maven.config": "", "src/x.java": "",
			}, "maven . . lib/x.jar m/pom.xml parent/pom.xml pom.xml .mvn/ repo/",
		},
		"deno": {
			".",
			map[string]string{"deno.json": "{// why\n \"importMap\": \"./map.json\", /* , */ \"links\": [\"l\",],}", "deno.lock": "{}", "map.json": "{}", "l/x.ts": ""},
			"deno . . deno.json deno.lock map.json l/",
		},
		"go": {
			".",
			map[string]string{"go.mod": "module x\nreplace a => ./a\nreplace b => ../b\n", "go.sum": "", "a/go.mod": "module a", "a/a.go": "", "go.work": "go 1.24\nuse ./w\n", "w/go.mod": "module w"},
			"go . . a/go.mod go.mod go.sum go.work w/go.mod",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := Find(Search{Files: fsOf(c.files), Handler: c.handler, Lists: allLists()})
			if err != nil {
				t.Fatal(err)
			}
			got := []string{found.Manager, found.Root, found.Member}
			got = append(got, found.Files...)
			for _, dir := range found.Folders {
				got = append(got, dir+"/")
			}
			for _, file := range found.Empty {
				got = append(got, "?"+file)
			}
			if text := strings.Join(got, " "); text != c.want {
				t.Errorf("got\n%s, not\n%s", text, c.want)
			}
		})
	}
}

func TestFindErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler string
		files   map[string]string
		want    string
	}{
		"an empty lock":            {".", map[string]string{"package.json": "{}", "package-lock.json": " \n"}, "package-lock.json: is empty"},
		"a broken lock":            {".", map[string]string{"package.json": "{}", "package-lock.json": "{\n\"a\": 1,\n}"}, "package-lock.json:3: is not JSON"},
		"a lock of another kind":   {".", map[string]string{"package.json": "{}", "package-lock.json": "[]"}, "package-lock.json:1: is not a lock: it is a JSON array"},
		"a merge in TOML":          {".", map[string]string{"pyproject.toml": "", "uv.lock": "version = 1\n<<<<<<< HEAD\n"}, "uv.lock:2: has the marks of a merge"},
		"broken TOML":              {".", map[string]string{"pyproject.toml": "", "uv.lock": "version = 1\n\nx = = 2\n"}, "uv.lock:3: is not TOML"},
		"a list of JSON":           {".", map[string]string{"package.json": "[]"}, "package.json:1: is not a package.json: it is a JSON array"},
		"a deno.json":              {".", map[string]string{"deno.json": "{\n\"importMap\": 3}"}, "deno.json:2: is not a deno.json: importMap is a JSON number"},
		"a manifest of JSON":       {".", map[string]string{"package.json": "{\n\n\"a\" 1}"}, "package.json:3: is not JSON"},
		"a manifest of TOML":       {".", map[string]string{"Cargo.toml": "[package]\nname = x\n"}, "Cargo.toml:2: is not TOML"},
		"a manifest of XML":        {".", map[string]string{"pom.xml": "<project>\n<a></b></project>"}, "pom.xml:2: is not XML"},
		"a manifest of go":         {".", map[string]string{"go.mod": "module x\nfoo bar\n"}, "go.mod:2: unknown directive: foo"},
		"not yarn's":               {".", map[string]string{"package.json": "{}", "yarn.lock": "{}"}, "yarn.lock:1: is not a lock: it has no # yarn lockfile v1"},
		"no manifest":              {".", map[string]string{"requirements.txt": "x", "uv.lock": uvLock}, "uv.lock: is a lock of uv, which reads pyproject.toml, but there is none beside it"},
		"pnpm's without importers": {".", map[string]string{"package.json": "{}", "pnpm-lock.yaml": "lockfileVersion: '9.0'\n"}, "pnpm-lock.yaml:1: is not a lock: it has no importers:"},
		"UTF-16":                   {".", map[string]string{"package.json": "\xff\xfe{\x00}\x00"}, "package.json:1: is written in UTF-16, which no package manager reads: save it as UTF-8"},
		"two locks":                {".", map[string]string{"package.json": "{}", "package-lock.json": npmLock, "yarn.lock": "# yarn lockfile v1"}, "package-lock.json and yarn.lock are locks of two package managers"},
		"another packageManager":   {".", map[string]string{"package.json": "{\n\"packageManager\": \"pnpm@9.0.0\"}", "package-lock.json": npmLock}, "package.json:2: packageManager is pnpm, and package-lock.json is a lock of npm"},
		"an unknown lock":          {".", map[string]string{"handler.py": "", "Gemfile.lock": "", "composer.lock": "", "Cargo.lock": rustLock}, "Cargo.lock: is a lock of cargo, which reads Cargo.toml"},
		"a file that is not there": {".", map[string]string{"requirements.txt": "x\n-r gone.txt"}, "requirements.txt:2: gone.txt is not there"},
		"a file outside":           {"fn/a", map[string]string{"fn/a/requirements.txt": "x\n-e ../lib\n", "fn/lib/setup.py": ""}, "fn/a/requirements.txt:2: ../lib lies outside of the folder that packages are installed from"},
		"a file above all":         {"fn/a", map[string]string{"fn/a/requirements.txt": "./../../../etc/passwd"}, "fn/a/requirements.txt:1: ./../../../etc/passwd lies outside"},
		"a parent above":           {"fn/a", map[string]string{"fn/a/pom.xml": "<project>\n<parent><artifactId>all</artifactId></parent></project>", "fn/pom.xml": "<project><artifactId>all</artifactId></project>"}, "fn/a/pom.xml:2: its parent ../pom.xml lies outside of the folder that packages are installed from"},
		"an absolute path":         {".", map[string]string{"package.json": "{\"dependencies\": {\"x\":\n\"file:/home/me/x\"}}"}, "package.json:2: /home/me/x is a path of one machine"},
		"a member that is missing": {"a", map[string]string{"package.json": `{"workspaces": ["a"]}`, "a/package.json": "{\"dependencies\": {\n\"@me/lib\": \"workspace:*\"}}"}, "a/package.json:2: @me/lib must come from the workspace, but no member of package.json has this name"},
		"no workspace":             {"a", map[string]string{"a/package.json": "{\"dependencies\": {\n\"@me/lib\": \"workspace:*\"}}"}, "a/package.json:2: @me/lib must come from the workspace, but the handler is in no workspace"},
		"a link of the lock": {
			"a",
			map[string]string{"package.json": `{"workspaces": ["*"]}`, "a/package.json": `{"name": "a", "dependencies": {"@me/lib": "^1.0.0"}}`, "package-lock.json": "{\"packages\": {\n\"node_modules/@me/lib\": {\"resolved\": \"lib\", \"link\": true}}}"},
			"package-lock.json:2: @me/lib is a member of the workspace at lib, but there is no such folder",
		},
		"uv without a workspace": {".", map[string]string{"pyproject.toml": "[project]\n[tool.uv.sources]\nx = {workspace = true}"}, "pyproject.toml:3: x must come from the workspace"},
		"cargo without a path":   {".", map[string]string{"Cargo.toml": "[dependencies]\nx = {path = \"x\"}"}, "Cargo.toml:2: x has no Cargo.toml"},
		"two members":            {"a", map[string]string{"package.json": `{"workspaces": ["*"]}`, "a/package.json": `{"name": "a"}`, "b/package.json": `{"name": "a"}`}, "b/package.json:1: a is also the name of a/package.json"},
		"braces":                 {"a", map[string]string{"package.json": `{"workspaces": ["` + strings.Repeat("{a,b}", 20) + `"]}`, "a/package.json": `{}`}, "stands for more than 256 patterns"},
		"depth":                  {".", map[string]string{"pyproject.toml": "x = " + strings.Repeat("[", 1000)}, "pyproject.toml: has brackets in brackets"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, err := Find(Search{Files: fsOf(c.files), Handler: c.handler, Lists: allLists()})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, %+v, not %q", err, found, c.want)
			}
		})
	}
}

// A template that takes little refuses the locks of others, and what package.json says.
func TestUnusable(t *testing.T) {
	t.Parallel()
	little := []schema.PackageList{{Ecosystem: "npm", Manifest: "package.json", Lock: "package-lock.json", Locks: map[string]string{"yarn": "yarn.lock"}}}
	for name, c := range map[string]struct {
		handler string
		files   map[string]string
		want    string
	}{
		"a lock":            {".", map[string]string{"package.json": "{}", "bun.lock": "{}"}, "bun.lock: the template cannot use this lock of bun: it installs with npm, yarn"},
		"another language":  {".", map[string]string{"package.json": "{}", "Pipfile.lock": "{}"}, "Pipfile.lock: the template cannot use this lock of pipenv"},
		"a packageManager":  {".", map[string]string{"package.json": "{\n\"packageManager\": \"pnpm@9\"}"}, "package.json:2: the template cannot install with pnpm"},
		"one of the root's": {"a", map[string]string{"pnpm-workspace.yaml": "packages: [a]", "pnpm-lock.yaml": "lockfileVersion: 9", "a/package.json": "{}"}, "pnpm-lock.yaml: the template cannot use this lock of pnpm"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Find(Search{Files: fsOf(c.files), Handler: c.handler, Lists: little})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, not %q", err, c.want)
			}
		})
	}
	if found, err := Find(Search{Files: fsOf(map[string]string{"package.json": "{}", "npm-shrinkwrap.json": npmLock}), Handler: ".", Lists: little}); err != nil || found.Manager != "npm" {
		t.Errorf("%+v, %v", found, err)
	}
}
