package editor

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func attach(function string, port int) Attach {
	return Attach{Function: function, Adapter: "debugpy", Host: "127.0.0.1", Port: port, Folder: "/home/app/function", Handler: "./" + function}
}

const hello = `{
            "name": "fnb: hello",
            "type": "debugpy",
            "request": "attach",
            "connect": {
                "host": "127.0.0.1",
                "port": 5678
            },
            "pathMappings": [
                {
                    "localRoot": "${workspaceFolder}/hello",
                    "remoteRoot": "/home/app/function"
                }
            ]
        }`

// TestVSCode: a file is made, changed where it has to be, and nowhere else.
func TestVSCode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ old, want string }{
		"none":         {"", "{\n    \"version\": \"0.2.0\",\n    \"configurations\": [\n        " + hello + "\n    ]\n}\n"},
		"of others":    {"// mine\n{ \"configurations\": [ {\"name\": \"a\"} /* the last */ ], }", "// mine\n{ \"configurations\": [ {\"name\": \"a\"},\n        " + hello + " /* the last */ ], }"},
		"a last comma": {"{\"configurations\": [{\"name\": \"// no comment\"}, // one\n]}", "{\"configurations\": [{\"name\": \"// no comment\"},\n        " + hello + ", // one\n]}"},
		"another port": {"{\"configurations\": [\n        " + strings.Replace(hello, "5678", "1", 1) + ",\n {\"name\": \"b\"}]}", "{\"configurations\": [\n        " + hello + ",\n {\"name\": \"b\"}]}"},
		"the same":     {"{\"configurations\":[" + strings.ReplaceAll(hello, "  ", "") + "]}", "{\"configurations\":[" + strings.ReplaceAll(hello, "  ", "") + "]}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, ".vscode", "launch.json")
			if c.old != "" {
				write(t, file, c.old)
			}
			for range 2 { // the second time nothing is left to do
				names, err := VSCode(dir, []Attach{attach("hello", 5678)})
				if err != nil || len(names) != 1 || names[0] != "fnb: hello" {
					t.Fatal(names, err)
				}
				got, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, string(got)); diff != "" {
					t.Fatalf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}

// TestAdapters: each debugger that the official templates have is told in the words of its
// extension, and another one not at all.
func TestAdapters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var all []Attach
	for _, adapter := range []string{"debugpy", "delve", "node", "bun", "jdwp", "gdb"} {
		a := attach(adapter, 1)
		a.Adapter = adapter
		all = append(all, a)
	}
	all[1].Handler = "/elsewhere/delve"
	names, err := VSCode(dir, all)
	if err != nil || len(names) != 5 {
		t.Fatal(names, err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, ".vscode", "launch.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got struct{ Configurations []map[string]any }
	if err := json.Unmarshal(raw, &got); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"debugpy", "go", "node", "bun", "java"} {
		if got.Configurations[i]["type"] != want {
			t.Errorf("%s: %v", want, got.Configurations[i])
		}
	}
	for _, want := range []string{`"from": "/elsewhere/delve"`, `"url": "ws://127.0.0.1:1/debug"`, `"hostName": "127.0.0.1"`, `"localRoot": "${workspaceFolder}/node"`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("%s is not in\n%s", want, raw)
		}
	}
}

// TestForeign: what is not understood is left as it is, and the error has the entry.
func TestForeign(t *testing.T) {
	t.Parallel()
	for name, old := range map[string]string{
		"no JSON": "{", "a list": "[]", "no configurations": "{}", "two": `{"configurations": [], "configurations": []}`,
		"a text": `{"configurations": "x"}`, "more": `{"configurations": []} {}`, "an open comment": `{"configurations": [] /*`, "nothing": " ",
		"an open text": `{"configurations": ["\`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, ".vscode", "launch.json")
			write(t, file, old)
			_, err := VSCode(dir, []Attach{attach("hello", 5678)})
			f, ok := errors.AsType[*ForeignError](err)
			if !ok || len(f.Entries) != 1 || !json.Valid([]byte(f.Entries[0])) {
				t.Fatalf("%v %+v", err, f)
			}
			if got, err := os.ReadFile(file); err != nil || string(got) != old {
				t.Errorf("%q %v", got, err)
			}
		})
	}
	dir := t.TempDir()
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, ".vscode")); err != nil {
		t.Fatal(err)
	}
	if _, err := VSCode(dir, []Attach{attach("hello", 1)}); err == nil || !strings.Contains(err.Error(), "by a link") {
		t.Error(err)
	}
	dir = t.TempDir()
	write(t, filepath.Join(dir, ".vscode", "tasks.json"), "{}")
	if err := syscall.Mkfifo(filepath.Join(dir, ".vscode", "launch.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := VSCode(dir, []Attach{attach("hello", 1)}); err == nil || !strings.Contains(err.Error(), "it is not a file") {
		t.Error(err)
	}
}

// FuzzMerge: whatever a file has, the result has it too, and can be merged again.
func FuzzMerge(f *testing.F) {
	f.Add(`{"configurations": [{"name": "a"}, // b` + "\n]}")
	f.Add(`{"configurations": [{"name": "fnb: hello"},],}`)
	f.Fuzz(func(t *testing.T, old string) {
		e, _ := vscode(attach("hello", 5678))
		now, why := merge([]byte(old), []entry{e})
		if why != "" {
			return
		}
		again, why := merge(now, []entry{e})
		if why != "" || string(again) != string(now) {
			t.Fatalf("%s\nfrom %q\n%q\n%q", why, old, now, again)
		}
	})
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
