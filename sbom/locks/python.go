package locks

import (
	"encoding/json"
	"strings"

	"fnb/sbom"
	"fnb/schema/document"
)

func pythonPackage(file, of, version string) sbom.Package {
	of = sbom.PythonName(of)
	return sbom.Package{Ecosystem: sbom.PyPI, Name: of, Version: version, PURL: sbom.PURL("pypi", "", of, version, nil), Where: []string{file}}
}

// A pythonFile is one that a package may be installed from.
type pythonFile struct {
	Hash   string
	Hashes map[string]string
}

// pythonLock reads a uv.lock, poetry.lock, pdm.lock or pylock.toml.
func pythonLock(l *List, file string, data []byte) error {
	type entry struct {
		Name, Version string
		Source        any
		Dependencies  any
		Files, Wheels []pythonFile
		Sdist         pythonFile
	}
	var lock struct {
		Package, Packages []entry
	}
	if err := document.ReadTOML(data, &lock); err != nil {
		return err
	}
	versions := map[string][]string{}
	all := append(lock.Package, lock.Packages...)
	for _, e := range all {
		of := sbom.PythonName(e.Name)
		versions[of] = append(versions[of], e.Version)
	}
	for _, e := range all {
		p := pythonPackage(file, e.Name, e.Version)
		if source, ok := e.Source.(map[string]any); ok && (source["virtual"] != nil || source["editable"] != nil) {
			for _, need := range needs(e.Dependencies) {
				l.asks(sbom.PyPI, need)
			}
			continue
		}
		files := append(e.Files, e.Wheels...)
		if e.Sdist.Hash != "" {
			files = append(files, e.Sdist)
		}
		if len(files) == 1 { // of several, nobody says which is installed
			p.Hashes = files[0].hashes()
		}
		for _, need := range needs(e.Dependencies) {
			if v := versions[need]; len(v) == 1 {
				p.DependsOn = append(p.DependsOn, pythonPackage("", need, v[0]).PURL)
			}
		}
		l.add(p)
	}
	return nil
}

func (f *pythonFile) hashes() []sbom.Hash {
	value, ok := strings.CutPrefix(f.Hash, "sha256:")
	if !ok {
		value = f.Hashes["sha256"]
	}
	if len(value) != 64 {
		return nil
	}
	return []sbom.Hash{{Algorithm: "SHA-256", Value: value}}
}

// needs are the names in what a lock says that a package depends on: a table, or a list of names or tables.
func needs(v any) []string {
	var out []string
	switch v := v.(type) {
	case map[string]any:
		for of := range v {
			out = append(out, sbom.PythonName(of))
		}
	case []any:
		for _, e := range v {
			switch e := e.(type) {
			case string:
				out = append(out, specified(e))
			case map[string]any:
				if s, ok := e["name"].(string); ok {
					out = append(out, sbom.PythonName(s))
				}
			}
		}
	case []map[string]any:
		for _, e := range v {
			if s, ok := e["name"].(string); ok {
				out = append(out, sbom.PythonName(s))
			}
		}
	}
	return out
}

// specified is the name in "Requests[socks]>=2; python_version > '3'".
func specified(s string) string {
	s = strings.TrimSpace(s)
	if i := strings.IndexAny(s, " \t([<>=!~;@#"); i >= 0 {
		s = s[:i]
	}
	return sbom.PythonName(s)
}

// pipfileLock reads a Pipfile.lock.
func pipfileLock(l *List, file string, data []byte) error {
	var lock struct {
		Default map[string]struct {
			Version string
			Hashes  []string
		}
	}
	if err := json.Unmarshal(data, &lock); err != nil {
		return err
	}
	for of, e := range lock.Default {
		p := pythonPackage(file, of, strings.TrimPrefix(e.Version, "=="))
		if len(e.Hashes) == 1 {
			p.Hashes = (&pythonFile{Hash: e.Hashes[0]}).hashes()
		}
		l.add(p)
	}
	return nil
}

// requirements notes what the function asks for itself; a version is a lock if it is exact.
func requirements(l *List, _ string, data []byte) error {
	for line := range strings.Lines(string(data)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "-") || strings.HasPrefix(line, "#") {
			continue
		}
		l.asks(sbom.PyPI, specified(line))
	}
	return nil
}

func pyproject(l *List, _ string, data []byte) error {
	var m struct {
		Project struct{ Dependencies []string }
		Tool    struct {
			Poetry struct{ Dependencies map[string]any }
		}
	}
	if err := document.ReadTOML(data, &m); err != nil {
		return err
	}
	for _, d := range m.Project.Dependencies {
		l.asks(sbom.PyPI, specified(d))
	}
	for of := range m.Tool.Poetry.Dependencies {
		l.asks(sbom.PyPI, sbom.PythonName(of))
	}
	return nil
}
