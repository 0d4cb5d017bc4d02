// Package editor tells an editor how to attach to the debuggers of functions: [VSCode] writes
// it into the editor's own file, and leaves there what other people have written.
package editor

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"fnb/internal/disk"
)

// An Attach is a function's debugger, as an editor reaches it.
type Attach struct {
	Function string
	Adapter  string // what template.yml calls it
	Host     string
	Port     int
	Folder   string // where the debugger says that the handler's files are; "" is not known
	Handler  string // where they are here: below the project's folder, or absolute
}

// A ForeignError is a file of an editor that is left as it is, since it is not clear what of
// it would stay.
type ForeignError struct {
	File    string
	Why     string
	Entries []string // what belongs into it, as JSON
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("%s is left as it is: %s", e.File, e.Why)
}

// launchFile is where VS Code looks, below a project's folder.
const launchFile = ".vscode/launch.json"

// VSCode writes how to attach to the debuggers into the file of a project in folder, unless
// it has that. Entries are known by their names, and comments stay. It returns the names of
// the entries in order; an error is a [*ForeignError], or one of writing. A debugger that VS
// Code has no name for is left out.
func VSCode(folder string, all []Attach) (names []string, err error) {
	var entries []entry
	for _, a := range all {
		if e, ok := vscode(a); ok {
			entries = append(entries, e)
			names = append(names, e.Name)
		}
	}
	if len(entries) == 0 {
		return nil, nil
	}
	file := filepath.Join(folder, filepath.FromSlash(launchFile))
	foreign := func(why string) error {
		f := &ForeignError{File: launchFile, Why: why}
		for _, e := range entries {
			f.Entries = append(f.Entries, string(e.json("")))
		}
		return f
	}
	for _, at := range []string{filepath.Dir(file), file} {
		switch info, err := os.Lstat(at); {
		case err != nil:
		case info.Mode()&fs.ModeSymlink != 0:
			return nil, foreign("it is reached by a link")
		case at == file && !info.Mode().IsRegular():
			return nil, foreign("it is not a file") // a pipe is not opened: nobody may ever write to it
		}
	}
	old, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = []byte("{\n    \"version\": \"0.2.0\",\n    \"configurations\": []\n}\n")
	case err != nil:
		return nil, err
	}
	now, why := merge(old, entries)
	if why != "" {
		return nil, foreign(why)
	}
	if err == nil && string(now) == string(old) {
		return names, nil
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil { //nolint:gosec // as an editor makes it
		return nil, err
	}
	return names, disk.ReplaceFile(file, now, 0o644)
}

// An entry is a configuration of launch.json.
type entry struct {
	Name    string `json:"name"`
	Type    string `json:"type"`
	Request string `json:"request"`
	Mode    string `json:"mode,omitempty"`

	Connect  *endpoint `json:"connect,omitempty"`
	Host     string    `json:"host,omitempty"`
	HostName string    `json:"hostName,omitempty"`
	Address  string    `json:"address,omitempty"`
	Port     int       `json:"port,omitempty"`
	URL      string    `json:"url,omitempty"`

	folders
	Restart bool `json:"restart,omitempty"`
}

// Folders say where the handler is, here and in the container, in the words of each extension.
type folders struct {
	LocalRoot  string        `json:"localRoot,omitempty"`
	RemoteRoot string        `json:"remoteRoot,omitempty"`
	Mappings   []mapping     `json:"pathMappings,omitempty"`
	Substitute []replacement `json:"substitutePath,omitempty"`
	SourceMaps []string      `json:"resolveSourceMapLocations,omitempty"`
}

type endpoint struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

type mapping struct {
	Local  string `json:"localRoot"`
	Remote string `json:"remoteRoot"`
}

type replacement struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// json is the entry with its lines behind a margin, but for the first.
func (e entry) json(margin string) []byte {
	raw, err := json.MarshalIndent(e, margin, "    ")
	if err != nil {
		return nil // of texts and numbers it never is
	}
	return raw
}

// vscode is what VS Code's extension for a debugger takes.
func vscode(a Attach) (e entry, ok bool) {
	e = entry{Name: "fnb: " + a.Function, Request: "attach"}
	here := a.Handler
	if !filepath.IsAbs(here) {
		here = "${workspaceFolder}/" + filepath.ToSlash(filepath.Clean(here))
	}
	switch a.Adapter {
	case "debugpy":
		e.Type, e.Connect = "debugpy", &endpoint{a.Host, a.Port}
		if a.Folder != "" {
			e.Mappings = []mapping{{here, a.Folder}}
		}
	case "delve":
		e.Type, e.Mode, e.Host, e.Port = "go", "remote", a.Host, a.Port
		if a.Folder != "" {
			e.Substitute = []replacement{{here, a.Folder}}
		}
	case "node":
		e.Type, e.Address, e.Port, e.Restart = "node", a.Host, a.Port, true
		if a.Folder != "" {
			e.LocalRoot, e.RemoteRoot = here, a.Folder
			e.SourceMaps = []string{"**", "!**/node_modules/**"}
		}
	case "bun":
		e.Type, e.URL = "bun", fmt.Sprintf("ws://%s:%d/debug", a.Host, a.Port)
	case "jdwp":
		e.Type, e.HostName, e.Port = "java", a.Host, a.Port
	default:
		return entry{}, false
	}
	return e, true
}
