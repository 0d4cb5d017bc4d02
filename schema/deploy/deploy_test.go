package deploy_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"fnb/schema"
	"fnb/schema/deploy"
)

const image = "ghcr.io/acme/hello:1@sha256:0000000000000000000000000000000000000000000000000000000000000000"

// kubernetes are the platforms that take what OpenFaaS's operator or kubectl reads.
func kubernetes() []deploy.Platform {
	return slices.DeleteFunc(deploy.Shown(), func(p deploy.Platform) bool { return p.Command })
}

// write returns what a platform reads of one function, and the notes.
func write(t *testing.T, platform deploy.Platform, f deploy.Function) (text []byte, notes []string) {
	t.Helper()
	part, err := platform.Write(f)
	if err != nil {
		t.Fatalf("%s: %v", platform.Name, err)
	}
	text, err = platform.Join("shop", part)
	if err != nil {
		t.Fatalf("%s: %v", platform.Name, err)
	}
	return text, part.Notes
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		f    deploy.Function
		want string
	}{
		"no digest":    {deploy.Function{Name: "hello", Image: "ghcr.io/acme/hello:1"}, "has no digest"},
		"digit first":  {deploy.Function{Name: "1st", Image: image}, "a letter first"},
		"long name":    {deploy.Function{Name: strings.Repeat("a", 64), Image: image}, "at most 62"},
		"namespace":    {deploy.Function{Name: "hello", Image: image, Namespace: "a/b"}, "namespace"},
		"label value":  {deploy.Function{Name: "hello", Image: image, Labels: map[string]string{"a": "b c"}}, `a="b c"`},
		"label key":    {deploy.Function{Name: "hello", Image: image, Labels: map[string]string{"a b": "c"}}, "a b="},
		"annotation":   {deploy.Function{Name: "hello", Image: image, Annotations: map[string]string{"-": "c"}}, "annotation"},
		"variable":     {deploy.Function{Name: "hello", Image: image, Environment: map[string]string{"A=B": "c"}}, "environment variable"},
		"secret":       {deploy.Function{Name: "hello", Image: image, Secrets: []string{"../x"}}, `secret "../x"`},
		"cpu":          {deploy.Function{Name: "hello", Image: image, Limits: &schema.Resources{CPU: "-1"}}, "not a quantity"},
		"memory":       {deploy.Function{Name: "hello", Image: image, Requests: &schema.Resources{Memory: "12 MB"}}, "not a quantity"},
		"all problems": {deploy.Function{Name: "hello", Image: "x", Secrets: []string{"Y"}}, "secret"},
	} {
		for _, platform := range kubernetes() {
			_, err := platform.Write(test.f)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s, %s: %v, want %q in it", name, platform.Name, err, test.want)
			}
		}
	}
}

// texts are values that some reader on the way takes for something else: YAML 1.1 and
// 1.2 for a number, a date, a boolean, null, a comment or several lines, a kubelet for a
// reference.
func texts() []string {
	return []string{
		"", " ", "yes", "No", "on", "OFF", "y", "true", "null", "~", "Null", "0x10", "0o17", "0b11", "017", "1_000", "1e3", "1E400", ".5", ".inf", "-.INF", ".nan", "190:20:30",
		"9007199254740993", "123456789012345678901234567890", "-0", "+1", "2026-11-29", "2026-11-29T01:02:03Z",
		"a: b # c", "#", "- x", "---", "...", "%TAG", "@at", "`tick`", "!tag", "&anchor", "*alias", "<<", "=", "? key", ": v", "[", "{}", ",", "|", ">", "'", "\"", "it's \"both\"", `back\slash`, `\n`,
		"\nx\n", "one\ntwo", "one\r\ntwo", "end\n\n", "\ta\nb", "\t\n", " \n\tx", "  lead", "trail  ", "\t", "tab\there", "\x00\x01\x1b[2J", "\x7f", "\u0085\u2028\u2029\u202e", "\ufeffbom", "ünï©ode 🚀", strings.Repeat("long ", 500),
		"$", "$$", "pa$$word", "$(A)", "$$(A)", "Hello $(fprocess) $", "$(", "${A}", "$(NONE)",
	}
}

// Each value comes to the process as the stack has it, on each platform, and equal
// functions give equal bytes.
func TestText(t *testing.T) {
	t.Parallel()
	f := deploy.Function{Name: "hello", Image: image, Environment: map[string]string{"A": "secret"}, Annotations: map[string]string{}, FProcess: "sh -c 'echo $$ $(A)'"}
	for i, text := range texts() {
		f.Environment[fmt.Sprintf("V%d", i)] = text
		f.Annotations[fmt.Sprintf("v%d", i)] = text
	}
	for _, platform := range kubernetes() {
		one, _ := write(t, platform, f)
		if two, _ := write(t, platform, f); !bytes.Equal(one, two) {
			t.Errorf("%s: two runs differ", platform.Name)
		}
		env, annotations := read(t, one)
		if env["fprocess"] != f.FProcess {
			t.Errorf("%s: fprocess is %q, want %q", platform.Name, env["fprocess"], f.FProcess)
		}
		for k, want := range f.Environment {
			if got, ok := env[k]; got != want || !ok {
				t.Errorf("%s: %s is %q, want %q", platform.Name, k, got, want)
			}
		}
		for k, want := range f.Annotations {
			if got, ok := annotations[k]; got != want || !ok {
				t.Errorf("%s: the annotation %s is %q, want %q", platform.Name, k, got, want)
			}
		}
	}
}

// FuzzText is the same for any text.
func FuzzText(f *testing.F) {
	for _, text := range texts() {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) {
			t.Skip("a stack file is UTF-8")
		}
		fn := deploy.Function{Name: "hello", Image: image, Environment: map[string]string{"A": "secret", "T": text}}
		for _, platform := range kubernetes() {
			raw, _ := write(t, platform, fn)
			if env, _ := read(t, raw); env["T"] != text {
				t.Errorf("%s: %q, want %q, in\n%s", platform.Name, env["T"], text, raw)
			}
		}
	})
}

// A shell takes each word of the command for Docker as it is meant.
func TestDocker(t *testing.T) {
	t.Parallel()
	f := deploy.Function{Name: "hello", Image: image, ReadOnlyRoot: true, FProcess: "sh -c 'echo $A'", Environment: map[string]string{}, Secrets: []string{"key"}}
	want := []string{"run", "--rm", "-p", "8080:8080", "--stop-timeout", "40", "--read-only", "--tmpfs", "/tmp", "-e", "fprocess=" + f.FProcess}
	for i, text := range texts() {
		if !strings.Contains(text, "\x00") { // no process can be given that
			name := fmt.Sprintf("V%03d", i)
			f.Environment[name] = text
			want = append(want, "-e", name+"="+text)
		}
	}
	want = append(want, "-e", "healthcheck_interval=0s", "-v", "./key:/var/openfaas/secrets/key:ro", image)
	docker, _ := deploy.Find(deploy.Platforms(), "docker")
	command, _ := write(t, docker, f)
	sh := exec.CommandContext(t.Context(), "sh", "-c", `docker() { printf '%s\0' "$@"; }; `+string(command))
	out, err := sh.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00"); !slices.Equal(got, want) {
		t.Errorf("a shell reads\n%q\nwant\n%q", got, want)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	for _, name := range deploy.Names(deploy.Platforms()) {
		p, ok := deploy.Find(deploy.Platforms(), name)
		if !ok || p.Name != name || p.Title == "" || p.Write == nil {
			t.Errorf("%s: %v, %v", name, p, ok)
		}
	}
	if _, ok := deploy.Find(deploy.Clusters(), "docker"); ok {
		t.Error("docker takes manifests")
	}
}
