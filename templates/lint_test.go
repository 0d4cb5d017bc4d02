package templates

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestLint(t *testing.T) {
	t.Parallel()
	docker := func(text string) map[string]string { return minimal(map[string]string{"Dockerfile": text}) }
	for name, c := range map[string]struct {
		files map[string]string
		want  []string
	}{
		"nothing": {minimal(nil), nil},
		"an empty folder": {map[string]string{"README.md": ""}, []string{
			"Dockerfile: error: is missing, and the handler in function brings none",
			"function: error: the handler's folder is missing",
			"template.yml: error: template.yml is missing",
		}},
		"everything wrong with a manifest": {minimal(map[string]string{"template.yml": "fproces: x\nversion: one\n"}), []string{
			`template.yml:1: error: fproces: is not a known key (did you mean "fprocess"?)`,
			`template.yml:2: error: version: "one" is not a SemVer version such as 1.2.3`,
		}},
		"nothing to run": {minimal(map[string]string{"template.yml": "mode: http\n"}), []string{
			"template.yml: error: fprocess is missing: it is the command that the watchdog runs",
			"template.yml:1: error: upstream_url is missing: in mode http the watchdog calls the function there",
		}},
		"the image says what to run":          {minimal(map[string]string{"template.yml": "mode: http\n", "Dockerfile": "FROM a:1 AS base\nENV fprocess=\"node index.js\" upstream_url=http://127.0.0.1:3000\nFROM base\nUSER 1\n"}), nil},
		"a build arg that only a build knows": {docker("FROM a:1\nARG NAME\nENV NAME=${NAME}\nCOPY ./function/${NAME}.csproj ./\nUSER 1\n"), nil},
		"no package list": {minimal(map[string]string{"template.yml": "fprocess: x\npackages: [{ecosystem: go, manifest: function/go.mod, lock: function/go.sum}]\n"}), []string{
			"template.yml:2: error: packages: function/go.mod is missing",
		}},
		"a test target that is not there": {minimal(map[string]string{"template.yml": "fprocess: x\ntest: {target: test}\n"}), []string{
			`template.yml:2: error: test: Dockerfile has no stage "test"`,
		}},
		"a runtime that nothing chooses": {minimal(map[string]string{"template.yml": "fprocess: x\nruntime: {arg: PYTHON_VERSION, files: [.python-version]}\n"}), []string{
			`template.yml:2: error: runtime: Dockerfile has no ARG PYTHON_VERSION with a value before its first FROM`,
		}},
		"a runtime":  {minimal(map[string]string{"template.yml": "fprocess: x\nruntime: {arg: V, files: [.nvmrc]}\n", "Dockerfile": "ARG V=1\nFROM a:$V\nUSER 1\n"}), nil},
		"a debugger": {minimal(map[string]string{"template.yml": "fprocess: x\ndebug: {command: dlv --listen=127.0.0.1:2345, port: 2345, adapter: delve}\n"}), nil},
		"a debugger that nobody reaches": {minimal(map[string]string{"template.yml": "fprocess: x\nwatchdog: none\nmode: http\nupstream_url: http://127.0.0.1:5678\ndebug:\n  command: debug --listen 0.0.0.0:1\n  port: 5678\n  adapter: gdb\n"}), []string{
			"template.yml:6: error: debug: an image without a watchdog has nothing that runs its command",
			"template.yml:6: warning: debug: its command does not name port 5678, where the debugger is looked for",
			"template.yml:6: warning: debug: its command has the debugger listen at all addresses; 127.0.0.1 is enough",
			"template.yml:7: error: debug: port 5678 is that of upstream_url, where the function listens",
			`template.yml:8: warning: debug: adapter "gdb" is not one of debugpy, delve, node, bun, jdwp, for which editors are told how to attach`,
		}},
		"a handler folder of another name": {map[string]string{"template.yml": "fprocess: x\nhandler_folder: src\n", "Dockerfile": "FROM a:1\nCOPY src .\nUSER 5\n", "src/a": ""}, nil},
		"bases that change": {docker("ARG V=latest\nFROM golang:$V AS a\nFROM localhost:5000/x\nCOPY --from=y:latest /a /b\nFROM z@sha256:0000000000000000000000000000000000000000000000000000000000000000\nUSER 1\n"), []string{
			"Dockerfile:2: warning: base image golang:latest has the tag latest, so that it changes without notice",
			"Dockerfile:3: warning: base image localhost:5000/x has no tag, so that it changes without notice",
			"Dockerfile:3: warning: base image y:latest has the tag latest, so that it changes without notice",
		}},
		"a base that nobody has named": {docker("ARG BASE\nFROM $BASE\nUSER 1\n"), []string{
			"Dockerfile:2: warning: base image $BASE depends on an ARG without a default",
		}},
		"two stages of one name": {docker("FROM a:1 AS build\nFROM a:1 AS test\nFROM a:1 AS Build\nFROM a:1\nFROM a:1\nCOPY --from=build /x /\nUSER 1\n"), []string{
			"Dockerfile:3: warning: a stage of line 1 has the name build too: COPY --from and --target take the last one for both",
		}},
		"no user":             {docker("FROM a:1\n"), []string{"Dockerfile:1: warning: has no USER, so that the function runs as root"}},
		"root":                {docker("FROM a:1\nUSER 1\nUSER root:root\n"), []string{"Dockerfile:3: warning: USER root:root: the function runs as root"}},
		"zero":                {docker("FROM a:1\nUSER 0\n"), []string{"Dockerfile:2: warning: USER 0: the function runs as root"}},
		"a named user":        {docker("FROM a:1 AS b\nUSER app\nFROM b\n"), []string{"Dockerfile:2: warning: USER app is not a number, so that Kubernetes cannot tell that it is not root"}},
		"a base without root": {docker("FROM gcr.io/distroless/static-debian12:nonroot\n"), nil},
		"secrets": {docker("FROM a:1\nARG NPM_TOKEN\nENV DB_PASSWORD=x KEYBOARD=us\nARG COMPOSER_AUTH\nUSER 1\n"), []string{
			"Dockerfile:2: warning: ARG NPM_TOKEN looks like a secret, which stays in the image's history: use RUN --mount=type=secret",
			"Dockerfile:3: warning: ENV DB_PASSWORD looks like a secret, which stays in the image: use RUN --mount=type=secret",
			"Dockerfile:4: warning: ARG COMPOSER_AUTH looks like a secret, which stays in the image's history: use RUN --mount=type=secret",
		}},
		"a syntax directive": {docker("# syntax=docker/dockerfile:1\nFROM a:1\nUSER 1\n"), []string{
			"Dockerfile:1: warning: a syntax directive makes the builder fetch another Dockerfile frontend from a registry",
		}},
		"sources that are missing": {docker("FROM a:1\nARG F=none.x\nCOPY index.x function/handler.x ./\nCOPY function/*.json function/handler.[x] ./\nCOPY /function ./\nCOPY . .\nADD https://example.com/x /x\nCOPY $F $UNKNOWN /y\nCOPY [\"[\", \"/z\"]\nUSER 1\n"), []string{
			"Dockerfile:3: error: copies index.x, which is not in the template",
			"Dockerfile:7: warning: ADD https://example.com/x has no --checksum, so that what it fetches can change without notice",
			"Dockerfile:8: error: copies none.x, which is not in the template",
			"Dockerfile:9: error: copies [, which is not a valid pattern",
		}},
		"the folder packages": {minimal(map[string]string{"template.yml": "fprocess: x\npackages: [{ecosystem: npm, manifest: function/package.json, files: [function/.npmrc]}]\n", "function/package.json": "{}", "Dockerfile": "FROM a:1\nARG WORKSPACE_MEMBER\nCOPY packages/ ./\nUSER 1\n"}), nil},
		"the folder packages, mounted": {minimal(map[string]string{"template.yml": "fprocess: x\npackages: [{ecosystem: npm, manifest: function/package.json, files: [function/.npmrc]}]\n", "function/package.json": "{}", "Dockerfile": "FROM a:1\nARG WORKSPACE_MEMBER\nRUN --mount=type=bind,source=packages,target=/p --mount=type=bind,source=none,target=/n npm ci\nUSER 1\n"}), []string{
			"Dockerfile:3: error: copies none, which is not in the template",
		}},
		"package managers": {minimal(map[string]string{
			"template.yml":          "fprocess: x\npackages:\n  - {ecosystem: npm, manifest: function/package.json, files: [other/x], locks: {pnpn: function/pnpm-lock.yaml}}\n",
			"function/package.json": "{}", "packages/x": "", "Dockerfile": "FROM a:1\nUSER 1\n",
		}), []string{
			"packages: error: has the name of a folder that fnb makes: give it another name",
			"template.yml:2: warning: packages: npm, pnpn can be the package manager, but Dockerfile has no ARG PACKAGE_MANAGER that says which",
			"template.yml:2: warning: packages: Dockerfile has no ARG WORKSPACE_MEMBER, so that a member of a workspace cannot be built",
			"template.yml:2: warning: packages: no step of Dockerfile copies packages/, where files and locks are",
			"template.yml:3: error: packages: locks: pnpn is not a package manager of npm; it has npm, pnpm, yarn, bun",
			"template.yml:3: error: packages: other/x is not below function/, so that no handler has it",
		}},
		"a folder packages that no list makes": {docker("FROM a:1\nCOPY packages/ ./\nUSER 1\n"), []string{
			"Dockerfile:2: error: copies packages/, which is not in the template",
		}},
		"a watchdog for one platform": {docker("FROM --platform=linux/amd64 ghcr.io/openfaas/of-watchdog:1 AS w\nFROM --platform=$TARGETPLATFORM ghcr.io/openfaas/of-watchdog:1 AS ok\nFROM a:1\nCOPY --from=w /fwatchdog /\nUSER 1\n"), []string{
			"Dockerfile:1: warning: the watchdog of ghcr.io/openfaas/of-watchdog:1 is taken for --platform=linux/amd64, whatever platform the image is for",
		}},
		"OpenFaaS's shape": {map[string]string{"template.yml": "language: go\n", "Dockerfile": openFaaSGo, "function/handler.go": ""}, []string{
			"Dockerfile:18: warning: USER app is not a number, so that Kubernetes cannot tell that it is not root",
		}},
		"a broken Dockerfile": {docker("FROM a:1\nCOPPY x y\n"), []string{"Dockerfile:2: error: unknown instruction: COPPY (did you mean COPY?)"}},
		"a handler with a broken Dockerfile": {map[string]string{"template.yml": "", "function/Dockerfile": "FROM a\nCOPY none .\nUSER 1\n"}, []string{
			"function/Dockerfile:1: warning: base image a has no tag, so that it changes without notice",
			"function/Dockerfile:2: error: copies none, which is not in the template",
		}},
		"links that leave": {minimal(map[string]string{"function/a": "-> /etc/passwd", "b": "-> .."}), []string{
			"b: error: the link leaves its folder: ..",
			"function/a: error: the link leaves its folder: /etc/passwd",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, mapFS(c.files)); err != nil {
				t.Fatal(err)
			}
			problems, err := LintDir(dir)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, p := range problems {
				got = append(got, p.String())
				if p.Part == "" {
					t.Errorf("%s is about no part", p)
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
	if _, err := LintDir(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("a folder that is not there has no error")
	}
}
