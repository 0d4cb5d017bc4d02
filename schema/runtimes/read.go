package runtimes

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"path"
	"strings"
	"unicode/utf16"

	"fnb/internal/lazyregexp"
	"fnb/schema/document"
)

// MaxBytes is how large a file may be that [Read] is given.
const MaxBytes = 1 << 20

// Files are the names of files that [Read] knows, and that are looked for around a handler.
func Files() []string {
	return []string{
		".bun-version", ".dvmrc", ".go-version", ".java-version", ".node-version", ".nvmrc", ".python-version", ".sdkmanrc", ".tool-versions",
		"Cargo.toml", "Pipfile", "go.mod", "go.work", "package.json", "pom.xml", "pyproject.toml", "rust-toolchain", "rust-toolchain.toml",
	}
}

// Read returns what a file asks for, by the file's name; false where it asks for nothing. An
// error is a [*TextError], or a [*document.TOMLError] of a file that is no TOML. A broken file
// of another kind asks for nothing: who installs packages from it says so. A name that is not
// known is that of a file with a version, and nothing else, in it.
func Read(runtime, file string, data []byte) (Wish, bool, error) {
	if len(data) > MaxBytes {
		return Wish{}, false, nil
	}
	text := decode(data)
	var text2wish func(string, string) (Wish, bool, error)
	switch path.Base(file) {
	case "pyproject.toml", "Pipfile", "Cargo.toml", "rust-toolchain.toml":
		text2wish = readTOML
	case "package.json":
		text2wish = readPackageJSON
	case "go.mod", "go.work":
		text2wish = readGoMod
	case "pom.xml":
		text2wish = readPOM
	case ".tool-versions", ".sdkmanrc":
		text2wish = readToolVersions
	case "rust-toolchain":
		if strings.Contains(text, "[toolchain]") {
			text2wish = readTOML
		}
	}
	if text2wish == nil {
		text2wish = readVersion
	}
	return text2wish(runtime, text)
}

// decode is a file's text as UTF-8, without a byte order mark: PowerShell writes UTF-16.
func decode(data []byte) string {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	little, big := bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff"))
	if !little && !big {
		return string(data)
	}
	var units []uint16
	for i := 2; i+1 < len(data); i += 2 {
		if little {
			units = append(units, uint16(data[i])|uint16(data[i+1])<<8)
		} else {
			units = append(units, uint16(data[i])<<8|uint16(data[i+1]))
		}
	}
	return string(utf16.Decode(units))
}

// lines are a text's lines without comments and space around.
func lines(text string) []string {
	var out []string
	for line := range strings.Lines(strings.ReplaceAll(text, "\r", "\n")) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// wished is a wish that is there, or an error.
func wished(w Wish, err error) (Wish, bool, error) { return w, err == nil, err }

// readVersion reads a file with a version in it: of several, as pyenv has them, the first
// that is one.
func readVersion(runtime, text string) (Wish, bool, error) {
	var first Wish
	for i, line := range lines(text) {
		word := strings.Fields(line)[0]
		if len(word) > maxText {
			word = word[:maxText]
		}
		w, err := pinned(runtime, word)
		if err != nil {
			return Wish{}, false, &TextError{Runtime: runtime, Text: line[:min(len(line), maxText)]}
		}
		if !w.Unversioned {
			return w, true, nil
		}
		if i == 0 {
			first = w
		}
	}
	return first, first.Unversioned, nil
}

// readToolVersions reads asdf's and SDKMAN's list of tools.
func readToolVersions(runtime, text string) (Wish, bool, error) {
	for _, line := range lines(text) {
		words := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' || r == '=' })
		if len(words) > 1 && Of(words[0]) == runtime {
			w, err := pinned(runtime, words[1])
			if err != nil {
				return Wish{}, false, err
			}
			w.Key = words[0]
			return w, true, nil
		}
	}
	return Wish{}, false, nil
}

// readTOML reads what the files of Python's and Rust's tools say.
func readTOML(runtime, text string) (Wish, bool, error) {
	var doc struct {
		Project struct {
			RequiresPython string `toml:"requires-python"`
		} `toml:"project"`
		Tool struct {
			Poetry struct {
				Dependencies map[string]any `toml:"dependencies"`
			} `toml:"poetry"`
		} `toml:"tool"`
		Requires struct {
			Version string `toml:"python_version"`
			Full    string `toml:"python_full_version"`
		} `toml:"requires"`
		Toolchain struct {
			Channel string `toml:"channel"`
		} `toml:"toolchain"`
		Package   map[string]any `toml:"package"`
		Workspace struct {
			Package map[string]any `toml:"package"`
		} `toml:"workspace"`
	}
	if err := document.ReadTOML([]byte(text), &doc); err != nil {
		return Wish{}, false, err
	}
	if runtime == Rust {
		if channel := strings.TrimSpace(doc.Toolchain.Channel); channel != "" {
			w, err := pinned(runtime, channel)
			w.Key = "channel"
			return wished(w, err)
		}
		for _, table := range []map[string]any{doc.Package, doc.Workspace.Package} {
			if v, ok := table["rust-version"].(string); ok {
				return wished(atLeast(runtime, "rust-version", strings.TrimSpace(v)))
			}
		}
		return Wish{}, false, nil
	}
	poetry, _ := doc.Tool.Poetry.Dependencies["python"].(string)
	switch {
	case doc.Project.RequiresPython != "":
		return wished(specifiers(runtime, "requires-python", doc.Project.RequiresPython))
	case poetry != "":
		return wished(specifiers(runtime, "tool.poetry.dependencies.python", poetry))
	case doc.Requires.Full != "":
		return wished(pinned(runtime, doc.Requires.Full))
	case doc.Requires.Version != "":
		return wished(pinned(runtime, doc.Requires.Version))
	}
	return Wish{}, false, nil
}

// specifier is one of PEP 440, or a constraint of Poetry's.
var specifier = lazyregexp.New(`^(~=|===?|!=|<=|>=|<|>|\^|~)?\s*v?(\d{1,9}(?:\.\d{1,9}){0,2})(\.\*)?$`)

// specifiers is the wish for any version of a range, as Python's tools write it.
func specifiers(runtime, key, text string) (Wish, error) {
	var all []string
	for either := range strings.SplitSeq(text, "||") {
		var each []string
		for one := range strings.SplitSeq(either, ",") {
			if one = strings.TrimSpace(one); one == "" || one == "*" {
				continue
			}
			m := specifier.FindStringSubmatch(one)
			if m == nil || len(text) > maxText {
				return Wish{}, &TextError{Runtime: runtime, Key: key, Text: text[:min(len(text), maxText)]}
			}
			each = append(each, constraint(m[1], m[2], m[3] != ""))
		}
		if len(each) == 0 {
			each = []string{"*"}
		}
		all = append(all, strings.Join(each, ", "))
	}
	w, err := ranged(runtime, key, strings.Join(all, " || "))
	w.Text = text
	return w, err
}

// constraint is a specifier in npm's words.
func constraint(operator, version string, any bool) string {
	parts := strings.Count(version, ".")
	full := version + strings.Repeat(".0", 2-parts)
	switch operator {
	case "~=": // the last part, and only that, may be later
		if parts == 1 {
			return "^" + full
		}
		return "~" + full
	case "^", "~":
		return operator + version
	case "", "==", "===":
		return "=" + version // 3.12 is every 3.12.x, as it is meant
	case "!=":
		if any {
			return "!=" + version + ".x"
		}
	}
	return operator + full
}

// readPackageJSON reads package.json's engines, and what Volta pins.
func readPackageJSON(runtime, text string) (Wish, bool, error) {
	var doc struct {
		Engines    map[string]any `json:"engines"`
		Volta      map[string]any `json:"volta"`
		DevEngines struct {
			Runtime json.RawMessage `json:"runtime"`
		} `json:"devEngines"`
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return Wish{}, false, nil //nolint:nilerr // see [Read]
	}
	if v, ok := doc.Volta[runtime].(string); ok {
		w, err := pinned(runtime, v)
		w.Key = "volta." + runtime
		return wished(w, err)
	}
	if v, ok := doc.Engines[runtime].(string); ok && strings.TrimSpace(v) != "" {
		return wished(ranged(runtime, "engines."+runtime, strings.TrimSpace(v)))
	}
	type engine struct{ Name, Version string }
	var one engine
	var several []engine
	if json.Unmarshal(doc.DevEngines.Runtime, &one) == nil {
		several = []engine{one}
	} else if json.Unmarshal(doc.DevEngines.Runtime, &several) != nil {
		return Wish{}, false, nil
	}
	for _, e := range several {
		if e.Name == runtime && e.Version != "" {
			return wished(ranged(runtime, "devEngines.runtime", e.Version))
		}
	}
	return Wish{}, false, nil
}

var (
	goLine        = lazyregexp.New(`(?m)^\s*go[ \t]+v?(\d{1,9}(?:\.\d{1,9}){1,2})[\w.-]*[ \t]*(?://.*)?\r?$`)
	toolchainLine = lazyregexp.New(`(?m)^\s*toolchain[ \t]+go(\d{1,9}(?:\.\d{1,9}){1,2})[\w.-]*[ \t]*(?://.*)?\r?$`)
)

// readGoMod reads the later one of go.mod's go and toolchain lines. Both are the least that
// will do.
func readGoMod(runtime, text string) (Wish, bool, error) {
	var found Wish
	for _, l := range []struct {
		key  string
		line *lazyregexp.Regexp
	}{{"go", goLine}, {"toolchain", toolchainLine}} {
		m := l.line.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		w, err := atLeast(runtime, l.key, m[1])
		if err != nil {
			return Wish{}, false, err
		}
		if found.holds == nil || !Older(m[1], found.Text) {
			found = w
		}
	}
	return found, found.holds != nil, nil
}

// readPOM reads which Java a pom.xml compiles for: any later one can.
func readPOM(runtime, text string) (Wish, bool, error) {
	var doc struct {
		Properties struct {
			Each []struct {
				XMLName xml.Name
				Value   string `xml:",chardata"`
			} `xml:",any"`
		} `xml:"properties"`
	}
	if err := xml.Unmarshal([]byte(text), &doc); err != nil {
		return Wish{}, false, nil //nolint:nilerr // see [Read]
	}
	for _, key := range []string{"maven.compiler.release", "maven.compiler.target", "maven.compiler.source", "java.version"} {
		for _, p := range doc.Properties.Each {
			if v := strings.TrimSpace(p.Value); p.XMLName.Local == key && v != "" && !strings.Contains(v, "${") {
				return wished(atLeast(runtime, key, v))
			}
		}
	}
	return Wish{}, false, nil
}
