package packaging

import (
	"errors"
	"strings"
	"testing"
)

func TestRuntime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		args  map[string]string
		given string // the build arg in the context; "" is none
		want  Runtime
	}{
		"nothing":            {nil, nil, "", Runtime{Version: "3.13", From: "template"}},
		"the template's":     {map[string]string{"hello/.python-version": "3.13"}, nil, "", Runtime{Version: "3.13", From: "hello/.python-version", Project: true}},
		"another":            {map[string]string{"hello/.python-version": "3.12"}, nil, "3.12", Runtime{Version: "3.12", From: "hello/.python-version", Project: true}},
		"with a key":         {map[string]string{"hello/pyproject.toml": "[project]\nrequires-python = '<3.13'"}, nil, "3.12", Runtime{Version: "3.12", From: "hello/pyproject.toml (requires-python)", Project: true}},
		"in order":           {map[string]string{"hello/pyproject.toml": "[project]\nrequires-python = '<3.13'", "hello/.python-version": "3.14"}, nil, "3.14", Runtime{Version: "3.14", From: "hello/.python-version", Project: true}},
		"around the handler": {map[string]string{".python-version": "3.14"}, nil, "3.14", Runtime{Version: "3.14", From: ".python-version", Project: true}},
		"the nearest folder": {map[string]string{".python-version": "3.14", "hello/pyproject.toml": "[project]\nrequires-python = '<3.12'"}, nil, "3.11", Runtime{Version: "3.11", From: "hello/pyproject.toml (requires-python)", Project: true}},
		"an empty file":      {map[string]string{".python-version": "3.14", "hello/.python-version": "\n"}, nil, "3.14", Runtime{Version: "3.14", From: ".python-version", Project: true}},
		"a build arg":        {map[string]string{"hello/.python-version": "three"}, map[string]string{"PYTHON_VERSION": "3.11"}, "3.11", Runtime{Version: "3.11", From: "build arg PYTHON_VERSION", Project: true}},
		"another tool":       {map[string]string{"hello/.python-version": "system"}, nil, "", Runtime{Version: "3.13", From: "template"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tmpl := template(t, map[string]string{
				"template.yml":        "fprocess: ./run\nruntime: {arg: PYTHON_VERSION, files: [.python-version, pyproject.toml]}\n",
				"Dockerfile":          "ARG PYTHON_VERSION=3.13\nFROM python:${PYTHON_VERSION}-slim\nCOPY function/ .\n",
				"function/handler.py": "starter",
			})
			all := map[string]string{"hello/handler.py": "x"}
			for file, text := range c.files {
				all[file] = text
			}
			ctx, err := Assemble(t.Context(), Input{Function: function(), Template: tmpl, Root: files(t, all), Watchdog: "none", BuildArgs: c.args})
			if err != nil {
				t.Fatal(err)
			}
			c.want.Name, c.want.Arg = "python", "PYTHON_VERSION"
			if *ctx.Runtime != c.want || ctx.BuildArgs["PYTHON_VERSION"] != c.given || len(ctx.Notes) > 0 {
				t.Errorf("got %+v with the build arg %q and notes %q, want %+v and %q", *ctx.Runtime, ctx.BuildArgs["PYTHON_VERSION"], ctx.Notes, c.want, c.given)
			}
			if base := ctx.Dockerfile.Base(""); base != "python:"+c.want.Version+"-slim" {
				t.Errorf("the base is %s", base)
			}
		})
	}
}

// What a file asks for and does not get is noted, unless whatever is there is what it asks for.
func TestRuntimeNoted(t *testing.T) {
	t.Parallel()
	for asked, want := range map[string]string{
		"21":                "",
		"25":                "",
		"17":                "hello/.java-version asks for Java 17, but the template needs 21 or later: fnb takes its own 21",
		"temurin-1.8.0_392": "hello/.java-version asks for Java 8, but the template needs 21 or later: fnb takes its own 21",
		"system":            "",
		"latest":            "hello/.java-version asks for latest, which is not the version of an image: fnb takes the template's Java 21",
	} {
		t.Run(asked, func(t *testing.T) {
			t.Parallel()
			tmpl := template(t, map[string]string{
				"template.yml": "fprocess: ./run\nruntime: {arg: JAVA_VERSION, files: [.java-version], least: 21}\n",
				"Dockerfile":   "ARG JAVA_VERSION=21\nFROM eclipse-temurin:${JAVA_VERSION}-jre\nCOPY function/ .\n",
				"function/x":   "starter",
			})
			root := files(t, map[string]string{"hello/.java-version": asked})
			ctx, err := Assemble(t.Context(), Input{Function: function(), Template: tmpl, Root: root, Watchdog: "none"})
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(ctx.Notes, "; "); got != want {
				t.Errorf("noted %q, want %q", got, want)
			}
			if args := len(ctx.BuildArgs); (args > 0) != (asked == "25") || want != "" && ctx.Runtime.From != "template" {
				t.Errorf("got %+v, %v", ctx.Runtime, ctx.BuildArgs)
			}
		})
	}
}

func TestRuntimeRefused(t *testing.T) {
	t.Parallel()
	tmpl := template(t, map[string]string{
		"template.yml": "fprocess: ./run\nruntime: {arg: NODE_VERSION, files: [.nvmrc, package.json, rust-toolchain.toml]}\n",
		"Dockerfile":   "ARG NODE_VERSION=24\nFROM node:${NODE_VERSION}\nCOPY function/ .\n",
		"function/x":   "starter",
	})
	for _, c := range []struct{ file, text, want string }{
		{"package.json", `{"engines": {"node": "<4"}}`, "hello/package.json: fnb knows no version of Node.js for engines.node <4"},
		{".nvmrc", ">=24 <25\n", `hello/.nvmrc: ">=24 <25" is not a version of Node.js`},
		{"rust-toolchain.toml", "[toolchain]\nchannel = 1.9.0\n", "hello/rust-toolchain.toml:2: is not TOML: "},
	} {
		_, err := Assemble(t.Context(), Input{Function: function(), Template: tmpl, Root: files(t, map[string]string{"hello/" + c.file: c.text}), Watchdog: "none"})
		var re *RuntimeError
		if !errors.As(err, &re) || re.Arg != "NODE_VERSION" || re.There != "24" {
			t.Fatalf("%s: got %v", c.file, err)
		}
		if !strings.HasPrefix(err.Error(), c.want) || !strings.HasSuffix(c.want, ": ") && err.Error() != c.want {
			t.Errorf("got %q, want %q", err, c.want)
		}
	}
}

// TestRuntimeIsNoSecret: a file that asks for a version is told if it makes no sense, so none may lead to a secret.
func TestRuntimeIsNoSecret(t *testing.T) {
	t.Parallel()
	tmpl := template(t, map[string]string{
		"template.yml": "fprocess: ./run\nruntime: {arg: NODE_VERSION, files: [.nvmrc, package.json]}\n",
		"Dockerfile":   "ARG NODE_VERSION=24\nFROM node:${NODE_VERSION}\nCOPY function/ .\n",
		"function/x":   "starter",
	})
	root := files(t, map[string]string{"hello/x": "x", "secrets/token": "hunter22", ".nvmrc": "-> secrets/token"})
	in := Input{Function: function(), Template: tmpl, Root: root, Watchdog: "none"}
	if ctx, err := Assemble(t.Context(), in); err == nil && !strings.Contains(strings.Join(ctx.Notes, "\n"), "hunter22") {
		t.Error("a file that is no secret is not read")
	}
	in.Function.BuildSecrets = map[string]string{"token": "secrets/token"}
	ctx, err := Assemble(t.Context(), in)
	if err != nil || ctx.Runtime.Version != "24" || strings.Contains(strings.Join(ctx.Notes, "\n"), "hunter22") {
		t.Errorf("%v", err)
	}
}
