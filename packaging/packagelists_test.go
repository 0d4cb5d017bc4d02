package packaging

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"fnb/templates"
)

// listTemplate is a template that installs packages from the folder packages.
func listTemplate(t *testing.T, args string) *templates.Template {
	t.Helper()
	return template(t, map[string]string{
		"template.yml": `fprocess: ./run
packages:
  - {ecosystem: pypi, manifest: function/requirements.txt, files: ["function/requirements*.txt"], locks: {uv: function/uv.lock, poetry: function/poetry.lock}}
`,
		"Dockerfile":                "FROM debian:bookworm-slim\n" + args + "COPY packages/ .\n",
		"function/handler.py":       "starter",
		"function/requirements.txt": "starter's",
	})
}

const bothArgs = "ARG PACKAGE_MANAGER\nARG WORKSPACE_MEMBER\n"

func TestPackages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		handler map[string]string
		want    map[string]string // below packages/
		manager string
	}{
		"a starter's list": {map[string]string{"handler.py": "x"}, map[string]string{"requirements.txt": "starter's"}, "pip"},
		"an own one": {
			map[string]string{"handler.py": "x", "requirements.txt": "flask", "requirements-test.txt": "pytest", "notes.txt": "x"},
			map[string]string{"requirements.txt": "flask", "requirements-test.txt": "pytest"},
			"pip",
		},
		"a lock decides": {
			map[string]string{"pyproject.toml": "[project]", "uv.lock": "version = 1"},
			map[string]string{"pyproject.toml": "[project]", "uv.lock": "version = 1"},
			"uv",
		},
		"another manager's manifest": {map[string]string{"pyproject.toml": "[project]"}, map[string]string{"pyproject.toml": "[project]"}, "uv"},
		"a link": {
			map[string]string{"requirements.txt": "-> deps/list", "deps/list": "flask"},
			map[string]string{"requirements.txt": "flask"},
			"pip",
		},
		"what is left out": {
			map[string]string{"requirements.txt": "flask", "requirements-own.txt": "x", ".fnbignore": "requirements-own.txt"},
			map[string]string{"requirements.txt": "flask"},
			"pip",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handler := map[string]string{}
			for file, text := range c.handler {
				handler["hello/"+file] = text
			}
			ctx, err := Assemble(t.Context(), Input{Function: function(), Template: listTemplate(t, bothArgs), Root: files(t, handler), Watchdog: "none"})
			if err != nil {
				t.Fatal(err)
			}
			if len(ctx.Notes) > 0 {
				t.Errorf("notes %q", ctx.Notes)
			}
			got := map[string]string{}
			for file, text := range contents(t, ctx.FS) {
				if below, ok := strings.CutPrefix(file, "packages/"); ok {
					got[below] = text
				}
			}
			if !maps.Equal(got, c.want) {
				t.Errorf("packages has %q, not %q", got, c.want)
			}
			if ctx.BuildArgs["PACKAGE_MANAGER"] != c.manager || ctx.BuildArgs["WORKSPACE_MEMBER"] != "." {
				t.Errorf("build args %q, not %s", ctx.BuildArgs, c.manager)
			}
		})
	}
}

// The build args are given to who declares them, and the user's go before.
func TestPackageArgs(t *testing.T) {
	t.Parallel()
	root := files(t, map[string]string{"hello/requirements.txt": "x"})
	for args, want := range map[string]map[string]string{
		"":                      {},
		"ARG PACKAGE_MANAGER\n": {"PACKAGE_MANAGER": "pip"},
	} {
		ctx, err := Assemble(t.Context(), Input{Function: function(), Template: listTemplate(t, args), Root: root, Watchdog: "none"})
		if err != nil || !maps.Equal(ctx.BuildArgs, want) {
			t.Errorf("%q: %q, %v", args, ctx.BuildArgs, err)
		}
	}
	ctx, err := Assemble(t.Context(), Input{Function: function(), Template: listTemplate(t, bothArgs), Root: root, Watchdog: "none", BuildArgs: map[string]string{"PACKAGE_MANAGER": "uv"}})
	if err != nil || ctx.BuildArgs["PACKAGE_MANAGER"] != "uv" {
		t.Errorf("%q, %v", ctx.BuildArgs, err)
	}
}

// workspaceTemplate is a template of npm's kind that takes workspaces.
func workspaceTemplate(t *testing.T) *templates.Template {
	t.Helper()
	return template(t, map[string]string{
		"template.yml":          "fprocess: ./run\npackages:\n  - {ecosystem: npm, manifest: function/package.json, lock: function/package-lock.json, locks: {pnpm: function/pnpm-lock.yaml}}\n",
		"Dockerfile":            "FROM debian:bookworm-slim\n" + bothArgs + "COPY packages/ .\n",
		"function/handler.js":   "starter",
		"function/package.json": "{}",
		".dockerignore":         "*/node_modules\n",
	})
}

// A Dockerfile that asks is told if no script of the handler's package.json has to run.
func TestLifecycleScripts(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		"":                                     "none",
		`{}`:                                   "none",
		`{"scripts": {"test": "node"}}`:        "none",
		`{"scripts": {"postinstall": "make"}}`: "",
		`{"scripts": {"prepare": "husky"}}`:    "",
		`{"scripts": ["x"]}`:                   "", // the step says what is wrong
		`{`:                                    "",
	} {
		handler := map[string]string{"hello/handler.js": "x"}
		if list != "" {
			handler["hello/package.json"] = list
		}
		tmpl := template(t, map[string]string{
			"template.yml": "fprocess: ./run\npackages: [{ecosystem: npm, manifest: function/package.json, files: [function/.npmrc]}]\n",
			"Dockerfile":   "FROM debian:bookworm-slim\nARG LIFECYCLE_SCRIPTS=run\nCOPY packages/ .\n", "function/handler.js": "starter", "function/package.json": "{}",
		})
		ctx, err := Assemble(t.Context(), Input{Function: function(), Template: tmpl, Root: files(t, handler), Watchdog: "none"})
		if err != nil && list == "{" || err != nil && strings.Contains(list, "[") {
			continue // it cannot be read for its packages either
		}
		if err != nil {
			t.Errorf("%s: %v", list, err)
			continue
		}
		if got := ctx.BuildArgs["LIFECYCLE_SCRIPTS"]; got != want {
			t.Errorf("%s: %q, not %q", list, got, want)
		}
	}
}

// What a template has made beside its images is made beside those of the whole function.
func TestCheckStage(t *testing.T) {
	t.Parallel()
	tmpl := template(t, map[string]string{
		"template.yml": "fprocess: ./run\ncheck: shape\n", "function/x": "x",
		"Dockerfile": "FROM debian:bookworm-slim AS base\nFROM base AS Shape\nRUN true\nFROM base\nCOPY function .\n",
	})
	for target, want := range map[string]string{"": "shape", "base": "", "debug": ""} {
		ctx, err := Assemble(t.Context(), Input{Function: function(), Template: tmpl, Root: files(t, map[string]string{"hello/x": "y"}), Watchdog: "none", Target: target})
		if target == "debug" {
			if err == nil {
				t.Error("a stage that is not there is taken")
			}
			continue
		}
		if err != nil || ctx.Check != want {
			t.Errorf("%q: %+v, %v", target, ctx, err)
		}
	}
}

// project is a workspace with two functions, one of which depends on a library.
func project(t *testing.T) string {
	t.Helper()
	return files(t, map[string]string{
		"package.json":       `{"workspaces": ["hello", "other", "libs/*"]}`,
		"package-lock.json":  `{"lockfileVersion": 3, "packages": {}}`,
		".npmrc":             "save-exact=true",
		"README.md":          "not needed",
		"hello/package.json": `{"name": "hello", "dependencies": {"@x/lib": "*"}}`, "hello/handler.js": "x",
		"other/package.json": `{"name": "other"}`, "other/handler.js": "x",
		"libs/lib/package.json": `{"name": "@x/lib"}`, "libs/lib/dist/index.js": "x", "libs/lib/node_modules/y/index.js": "x",
		"libs/lib/.git-credentials": "https://user:secret@e.org", "libs/lib/token": "secret", "libs/lib/.dockerignore": "notes", "libs/lib/notes": "x",
		"libs/unused/package.json": `{"name": "@x/unused"}`,
	})
}

func TestWorkspace(t *testing.T) {
	t.Parallel()
	in := Input{Function: function(), Template: workspaceTemplate(t), Root: project(t), Watchdog: "none"}
	in.Function.BuildSecrets = map[string]string{"token": "libs/lib/token"}
	ctx, err := Assemble(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, f := range ctx.Files {
		if below, ok := strings.CutPrefix(f.Path, "packages/"); ok {
			got = append(got, below)
		}
	}
	want := ".npmrc hello/package.json libs/lib/dist/index.js libs/lib/package.json package-lock.json package.json"
	if text := strings.Join(got, " "); text != want {
		t.Errorf("packages has %s, not %s", text, want)
	}
	if ctx.BuildArgs["WORKSPACE_MEMBER"] != "hello" || ctx.BuildArgs["PACKAGE_MANAGER"] != "npm" {
		t.Errorf("build args %q", ctx.BuildArgs)
	}
	slices.Sort(ctx.Packages.Around)
	if around := strings.Join(ctx.Packages.Around, " "); around != ".npmrc libs/lib package-lock.json package.json" {
		t.Errorf("around: %s", around)
	}
	for _, note := range ctx.Notes {
		if strings.Contains(note, "node_modules") {
			t.Error(note)
		}
	}
}

// TestWorkspaceIgnores: the ignore files of the workspace count for its members, as those of the handler do for it.
func TestWorkspaceIgnores(t *testing.T) {
	t.Parallel()
	for _, below := range []string{"", "mono/"} {
		root := files(t, map[string]string{
			below + "package.json":       `{"workspaces": ["hello", "libs/*"]}`,
			below + "package-lock.json":  `{"lockfileVersion": 3, "packages": {}}`,
			below + ".dockerignore":      "**/*.secret\nlibs/lib/fixtures\nlibs/lib/docs\n*.json\n",
			below + ".fnbignore":         "!libs/lib/docs/kept.md\n",
			below + "hello/package.json": `{"name": "hello", "dependencies": {"@x/lib": "*"}}`, below + "hello/handler.js": "x",
			below + "libs/lib/package.json": `{"name": "@x/lib"}`, below + "libs/lib/index.js": "x", below + "libs/lib/a.secret": "x",
			below + "libs/lib/fixtures/big.bin": "x", below + "libs/lib/docs/left.md": "x", below + "libs/lib/docs/kept.md": "x",
		})
		in := Input{Function: function(), Template: workspaceTemplate(t), Root: root, Watchdog: "none"}
		in.Function.Handler = "./" + below + "hello"
		ctx, err := Assemble(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, f := range ctx.Files {
			if name, ok := strings.CutPrefix(f.Path, "packages/libs/"); ok {
				got = append(got, name)
			}
		}
		if text := strings.Join(got, " "); text != "lib/docs/kept.md lib/index.js lib/package.json" {
			t.Errorf("%q: of the member there is %s", below, text)
		}
		write(t, root, below+".dockerignore", "libs\n")
		write(t, root, below+".fnbignore", "")
		want := "libs/lib: the workspace's .dockerignore or .fnbignore leaves all of it out, and a function depends on it; a line !libs/lib in " + below + ".fnbignore brings it back"
		if _, err := Assemble(t.Context(), in); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", below, err)
		}
		write(t, root, below+".fnbignore", "!libs/lib\n")
		if _, err := Assemble(t.Context(), in); err != nil {
			t.Errorf("%q: brought back: %v", below, err)
		}
	}
}

// A change in a member makes those functions anew that depend on it, and no other.
func TestWorkspaceDigests(t *testing.T) {
	t.Parallel()
	root := project(t)
	digest := func(name string) string {
		fn := function()
		fn.Name, fn.Handler = name, "./"+name
		ctx, err := Assemble(t.Context(), Input{Function: fn, Template: workspaceTemplate(t), Root: root, Watchdog: "none"})
		if err != nil {
			t.Fatal(err)
		}
		return ctx.Digest
	}
	for file, want := range map[string]string{
		"libs/lib/dist/index.js": "hello", "libs/unused/package.json": "", "README.md": "", "other/handler.js": "other", ".npmrc": "hello other",
		"libs/lib/node_modules/y/index.js": "",
	} {
		before := map[string]string{"hello": digest("hello"), "other": digest("other")}
		text := "changed"
		if strings.HasSuffix(file, ".json") {
			text = `{"name": "@x/renamed"}`
		}
		write(t, root, file, text)
		var changed []string
		for _, name := range []string{"hello", "other"} {
			if digest(name) != before[name] {
				changed = append(changed, name)
			}
		}
		if got := strings.Join(changed, " "); got != want {
			t.Errorf("%s changes %q, not %q", file, got, want)
		}
	}
}

// Links do not lead out of the stack's folder, and a lock for another template names it.
func TestPackageErrors(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a member that is a link out": {map[string]string{"package.json": `{"workspaces": ["*"]}`, "hello/package.json": `{"dependencies": {"lib": "workspace:*"}}`, "lib": "-> /etc"}, "hello/package.json:1: lib must come from the workspace"},
		"a link in a member":          {map[string]string{"package.json": `{"workspaces": ["*"]}`, "hello/package.json": `{"name": "hello", "dependencies": {"lib": "*"}}`, "lib/package.json": `{"name": "lib"}`, "lib/passwd": "-> /etc/passwd"}, "lib: passwd: the link leaves its folder"},
		"a lock of another template":  {map[string]string{"hello/package.json": "{}", "hello/uv.lock": "version = 1", "hello/pyproject.toml": ""}, "hello/uv.lock: the template cannot use this lock of uv: it installs with npm, pnpm"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Assemble(t.Context(), Input{Function: function(), Template: workspaceTemplate(t), Root: files(t, c.files), Watchdog: "none"})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, not %q", err, c.want)
			}
		})
	}
}
