package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"fnb/internal/servers"
)

// A shape is a stack file as people have them for faas-cli, and what becomes of it.
type shape struct {
	stack string
	err   string // what fnb build says; "" is that it is accepted
	cli   string // why faas-cli refuses it as well, or why not
}

// shapes are those of public stack files, written anew.
func shapes() map[string]shape {
	const head = "provider:\n  name: openfaas\n  gateway: http://127.0.0.1:8080\nfunctions:\n"
	fn := func(lang, more string) string {
		return "  f:\n    lang: " + lang + "\n    handler: ./h\n    image: acme/f:0.1\n" + more
	}
	return map[string]shape{
		"as faas-cli new writes it":     {"version: 1.0\n" + head + fn("shell", ""), "", ""},
		"without version and gateway":   {"provider: {name: openfaas}\nfunctions:\n" + fn("shell", ""), "", ""},
		"without a provider":            {"functions:\n" + fn("shell", ""), "", "faas-cli wants one"},
		"of 2017":                       {"provider:\n  name: faas\n  gateway: http://localhost:8080  # can be a remote server\nfunctions:\n" + fn("shell", ""), `provider.name: "faas" is not openfaas`, "it takes openfaas alone"},
		"a network of Swarm":            {"provider:\n  name: faas\n  network: \"func_functions\"\nfunctions:\n" + fn("shell", ""), `provider.name: "faas"`, "the name, as above"},
		"Dockerfile as a language":      {strings.Replace(head+fn("Dockerfile", ""), "./h", "./image", 1), "", ""},
		"dockerfile in the project":     {head + "  f:\n    handler: ./image/\n    image: derek\n    lang: dockerfile\n", "", ""},
		"no tag":                        {head + "  f: {lang: shell, handler: ./h, image: devalias/f}\n", "", ""},
		"a tag where an owner would be": {head + "  f: {lang: shell, handler: ./h, image: \"ghcr.io/openfaas:f\"}\n", "", ""},
		"two functions of one handler":  {head + "  a: {lang: shell, handler: ./h, image: acme/get, environment: {chain: a}}\n  b: {lang: shell, handler: ./h, image: acme/get, environment: {chain: b}}\n", "", ""},
		"built by another entry":        {head + fn("shell", "") + "  g:\n    lang: shell\n    handler: ./h\n    image: acme/f:0.1\n    skip_build: true\n", "", ""},
		"only the image":                {head + fn("shell", "") + "  g:\n    lang: dockerfile\n    image: functions/alpine:latest\n    fprocess: cat\n    skip_build: true\n", "", ""},
		"an image without its source":   {head + "  g:\n    lang: dockerfile\n    image: functions/alpine:latest\n    fprocess: cat\n", "functions.g.handler: is missing", "a handler of no name is an invalid path"},
		"a gateway of the environment":  {"provider:\n  name: openfaas\n  gateway: ${GATEWAY_IP}\nfunctions:\n" + fn("shell", ""), "", ""},
		"a registry of the environment": {head + "  f: {lang: shell, handler: ./h, image: \"${DOCKER_HOSTED_REGISTRY}/f:1\"}\n", "the environment variable DOCKER_HOSTED_REGISTRY is not set", "docker build takes no image /f:1"},
		"defaults":                      {head + "  f: {lang: shell, handler: ./h, image: \"ghcr.io/${OWNER:-openfaas}/f:${TAG:-latest}\"}\n", "", ""},
		"environment of every kind":     {head + fn("shell", "    environment:\n            write_debug: true\n            read_timeout: 30\n            exec_timeout: 5m2s\n            handler_wait: \"540\"\n            default-method: \"POST\" # if nothing else\n            none:\n"), "", ""},
		"an environment not set":        {head + fn("shell", "    environment: {key: \"${NOT_SET_ANYWHERE}\"}\n"), "", ""},
		"environment files":             {head + fn("shell", "    environment_file:\n    - not-there.yml\n"), "", ""},
		"what Kubernetes gets":          {head + fn("shell", "    secrets:\n    - key\n    constraints:\n     - \"node.platform.os == linux\"\n    labels:\n      com.openfaas.scale.min: 1\n      role: \"x\"\n    annotations:\n      topic: cron-function\n      schedule: \"*/5 * * * *\"\n    limits:\n      memory: 20m\n      cpu: 100m\n    requests: {memory: 20m}\n    readonly_root_filesystem: true\n    namespace: dev\n"), "", ""},
		"build args and options":        {head + fn("shell", "    build_args:\n      TEST_ENABLED: \"false\"\n      GO111MODULE: on\n    build_options: [dev]\n"), "", ""},
		"an option that is not there":   {head + fn("shell", "    build_options: [debugger]\n"), "debugger", "it says the same"},
		"names without a source":        {head + fn("shell", "configuration:\n  templates:\n  - name: shell\n"), "", ""},
		"a source in the project":       {head + fn("mine", "configuration:\n  templates:\n    - name: mine\n      source: ./template/shell\n"), "", "it takes a folder with git in it"},
		"a source that is not there":    {head + fn("mine", "configuration:\n  templates:\n    - name: mine\n      source: https://example.com/acme/mine\n"), "not in the cache, and the network may not be used", "it cannot pull without a network either"},
		"files of all handlers":         {head + fn("shell", "configuration:\n  copy:\n    - ./common\n"), "", ""},
		"a template of the store":       {head + fn("golang-middleware@0.9.0", ""), "not in the cache, and the network may not be used", "as above"},
		"a template of a commit":        {head + fn("golang-middleware@sha-2e6e262", ""), "not in the cache, and the network may not be used", "as above"},
		"a template that nobody has":    {head + fn("java11-gci", ""), `no store has a template "java11-gci"`, "no template store has it"},
		"a name with an underscore":     {head + fn("nim_http", ""), "", ""},
		"a handler that is not there":   {head + "  f: {lang: shell, handler: ./hh, image: f}\n", `there is no "./hh"`, "an invalid path"},
		"a key twice":                   {head + fn("shell", "    image: acme/g\n"), "is already on line", "its YAML reader says so"},
		"a key of Kubernetes":           {head + fn("shell", "    imagePullPolicy: Always\n"), "functions.f.imagePullPolicy: is not a known key", "it leaves the key aside; fnb adopt says what to do"},
		"variables beside environment":  {head + fn("shell", "    read_timeout: 60s\n    write_timeout: 60s\n"), "functions.f.read_timeout: is not a known key", "it leaves the key aside; fnb adopt says what to do"},
		"a slip in a key":               {head + fn("shell", "    annotation:\n      version: \"7\"\n"), `functions.f.annotation: is not a known key (did you mean "annotations"?)`, "it leaves the key aside; fnb adopt says what to do"},
		"keys one level up":             {head + fn("shell", "  labels:\n    flow: 1\n  secrets:\n    - key\n"), "functions.secrets: is a list, but must be a mapping", "a list is no function"},
		"keys with capitals":            {"Version: 1.0\nProvider:\n  name: openfaas\nFunctions:\n" + fn("shell", ""), "functions: is missing", "it sees no provider"},
		"a name with a space":           {head + "  hello world: {lang: shell, handler: ./h, image: f}\n", `"hello world" is not a function's name`, "docker build gets no such folder; faas-cli new refuses it"},
		"Windows' line ends":            {strings.ReplaceAll(head+fn("shell", ""), "\n", "\r\n"), "", ""},
		"another folder's handler":      {head + "  f: {lang: shell, handler: ../elsewhere, image: f}\n", "leads out of the stack file's folder", "it takes it; fnb wants --allow-outside"},
	}
}

// TestShapes takes in each shape of public stack files, with its templates in template/
// as faas-cli leaves them: it is accepted, or refused for a reason that faas-cli shares
// or that is said.
func TestShapes(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "fnb", err)
	for name, s := range shapes() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for file, text := range map[string]string{
				"p/stack.yml": s.stack, "p/h/handler.sh": "cat\n", "p/common/shared": "x\n", "p/image/Dockerfile": "FROM scratch\nCMD [\"/cat\"]\n", "elsewhere/handler.sh": "cat\n",
				"p/template/shell/function/handler.sh": "cat\n", "p/template/nim_http/function/handler.sh": "cat\n",
				"p/template/shell/Dockerfile": shellImage, "p/template/nim_http/Dockerfile": shellImage,
				"p/template/shell/template.yml": "language: shell\nfprocess: sh h\nbuild_options:\n- name: dev\n  packages: [make]\n", "p/template/nim_http/template.yml": "language: nim\nfprocess: sh h\n",
			} {
				if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), filepath.Join(r.bin, "fnb"), "build", "--offline", "--context-only", "ctx")
			cmd.Dir, cmd.Env = filepath.Join(dir, "p"), []string{"HOME=" + dir, "FNB_CONFIG=" + r.config, "PATH=" + os.Getenv("PATH")}
			out, err := cmd.CombinedOutput()
			switch {
			case (err == nil) != (s.err == ""):
				t.Errorf("%v:\n%s", err, out)
			case !strings.Contains(string(out), s.err):
				t.Errorf("not for %q:\n%s", s.err, out)
			case s.err != "" && s.cli == "":
				t.Error("nobody knows what faas-cli does")
			}
		})
	}
}

// shellImage is a Dockerfile that brings its watchdog, as OpenFaaS's do.
const shellImage = "FROM ghcr.io/openfaas/of-watchdog:0.11.3 AS watchdog\nFROM scratch\nARG ADDITIONAL_PACKAGE\nARG TEST_ENABLED\nARG GO111MODULE\nCOPY --from=watchdog /fwatchdog /fwatchdog\nCOPY . .\nCMD [\"/fwatchdog\"]\n"
