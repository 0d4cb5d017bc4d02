package locks

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"fnb/sbom"
)

func npmPackage(file, of, version, integrity string) sbom.Package {
	return sbom.Package{Ecosystem: sbom.NPM, Name: of, Version: version, PURL: sbom.NodePURL(of, version), Hashes: integrities(integrity), Where: []string{file}}
}

// integrities are hashes as browsers write them: sha512-BASE64, several with spaces between.
func integrities(s string) []sbom.Hash {
	var out []sbom.Hash
	for word := range strings.FieldsSeq(s) {
		algorithm, value, ok := strings.Cut(word, "-")
		raw, err := base64.StdEncoding.DecodeString(value)
		name := map[string]string{"sha1": "SHA-1", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}[algorithm]
		if ok && err == nil && name != "" {
			out = append(out, sbom.Hash{Algorithm: name, Value: hex.EncodeToString(raw)})
		}
	}
	return out
}

// maxPath is how long the path of a package is, in packages that are in packages: each of them is looked into.
const maxPath = 2000

// npmLock reads a package-lock.json.
func npmLock(l *List, file string, data []byte) error {
	type entry struct {
		Name, Version, Integrity string
		Dev, Link                bool
		Dependencies             map[string]string
	}
	var lock struct {
		Packages map[string]entry
	}
	if err := json.Unmarshal(data, &lock); err != nil {
		return err
	}
	nameOf := func(at string) string {
		if n := lock.Packages[at].Name; n != "" {
			return n
		}
		return at[strings.LastIndex(at, "node_modules/")+len("node_modules/"):]
	}
	// A package is found in its own folder, or in one of those above.
	found := func(from, need string) string {
		for {
			at := strings.TrimPrefix(from+"/node_modules/"+need, "/")
			if _, ok := lock.Packages[at]; ok || from == "" {
				return at
			}
			i := strings.LastIndex(from, "node_modules/")
			if i < 0 {
				from = ""
				continue
			}
			from = strings.TrimSuffix(from[:i], "/")
		}
	}
	for _, at := range slices.Sorted(maps.Keys(lock.Packages)) {
		e := lock.Packages[at]
		if !strings.Contains(at, "node_modules/") || e.Link || e.Dev || len(at) > maxPath {
			continue
		}
		p := npmPackage(file, nameOf(at), e.Version, e.Integrity)
		for need := range e.Dependencies {
			to := found(at, need)
			if t, ok := lock.Packages[to]; ok && !t.Link {
				p.DependsOn = append(p.DependsOn, sbom.NodePURL(nameOf(to), t.Version))
			}
		}
		l.add(p)
	}
	return nil
}

// yarnLock reads a yarn.lock, of yarn 1 and of the later ones.
func yarnLock(l *List, file string, data []byte) error {
	var of, version, integrity string
	local := false
	end := func() {
		if of != "" && !local {
			l.add(npmPackage(file, of, version, integrity))
		}
		of, version, integrity, local = "", "", "", false
	}
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if line[0] != ' ' {
			end()
			of = yarnName(line)
			continue
		}
		if strings.HasPrefix(line, "   ") { // what it depends on
			continue
		}
		key, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok {
			continue
		}
		value = strings.Trim(strings.TrimSpace(value), `"`)
		switch strings.TrimSuffix(key, ":") {
		case "version":
			version = value
		case "integrity":
			integrity = value
		case "resolution":
			local = strings.Contains(value, "@workspace:") || strings.Contains(value, "@portal:") || strings.Contains(value, "@link:")
			of = yarnName(value)
		}
	}
	end()
	return nil
}

// yarnName is the name in "left-pad@^1.0, left-pad@~1:", or in "@a/b@npm:1.0".
func yarnName(s string) string {
	s = strings.TrimLeft(s, `"`)
	i := strings.Index(s[min(1, len(s)):], "@")
	if i < 0 {
		return ""
	}
	return s[:i+1]
}

// atVersion splits "left-pad@1.3.0" or "@a/b@1.0(peer@2)".
func atVersion(s string) (of, version string) {
	s, _, _ = strings.Cut(strings.TrimPrefix(s, "/"), "(")
	i := strings.LastIndex(s, "@")
	if i <= 0 {
		return "", ""
	}
	return s[:i], s[i+1:]
}

// pnpmLock reads a pnpm-lock.yaml, of which it needs two kinds of lines.
func pnpmLock(l *List, file string, data []byte) error {
	inside := false
	var p sbom.Package
	for line := range strings.Lines(string(data)) {
		line = strings.TrimRight(line, "\r\n")
		switch {
		case strings.TrimSpace(line) == "" || strings.HasPrefix(strings.TrimSpace(line), "#"):
		case line[0] != ' ':
			inside = line == "packages:"
		case inside && strings.HasPrefix(line, "  ") && line[2] != ' ':
			l.add(p)
			of, version := atVersion(strings.Trim(strings.TrimSuffix(strings.TrimSpace(line), ":"), `'"`))
			p = npmPackage(file, of, version, "")
			if strings.ContainsAny(version, ":/") { // of git, of a folder
				p = sbom.Package{}
			}
		case inside && strings.Contains(line, "integrity: "):
			_, rest, _ := strings.Cut(line, "integrity: ")
			rest, _, _ = strings.Cut(rest, "}")
			word, _, _ := strings.Cut(rest, ",")
			p.Hashes = integrities(word)
		}
	}
	l.add(p)
	return nil
}

// bunLock reads a bun.lock, which is JSON with commas too many.
func bunLock(l *List, file string, data []byte) error {
	var lock struct {
		Packages map[string][]json.RawMessage
	}
	if err := json.Unmarshal(strict(data), &lock); err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(lock.Packages)) {
		entry := lock.Packages[key]
		var spec, integrity string
		if len(entry) < 4 || json.Unmarshal(entry[0], &spec) != nil || json.Unmarshal(entry[len(entry)-1], &integrity) != nil {
			continue // of the workspace, or of git
		}
		if of, version := atVersion(spec); !strings.ContainsAny(version, ":/") {
			l.add(npmPackage(file, of, version, integrity))
		}
	}
	return nil
}

// strict is JSON without comments and without commas before a closing bracket.
func strict(data []byte) []byte {
	out := make([]byte, 0, len(data))
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case c == '"':
			end := i + 1
			for end < len(data) && data[end] != '"' {
				if data[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end, len(data)-1)
			out = append(out, data[i:end+1]...)
			i = end
		case c == '/' && i+1 < len(data) && data[i+1] == '/':
			for i+1 < len(data) && data[i+1] != '\n' {
				i++
			}
		case c == ']' || c == '}':
			out = append(bytes.TrimRight(out, ", \t\r\n"), c)
		default:
			out = append(out, c)
		}
	}
	return out
}

// denoLock reads a deno.lock.
func denoLock(l *List, file string, data []byte) error {
	type entry struct {
		Integrity    string
		Dependencies json.RawMessage
	}
	type registries struct {
		NPM, JSR map[string]entry
	}
	var lock struct {
		registries
		Packages registries
	}
	if err := json.Unmarshal(data, &lock); err != nil {
		return err
	}
	for _, r := range []registries{lock.registries, lock.Packages} {
		for spec, e := range r.NPM {
			spec, _, _ = strings.Cut(spec, "_") // with what it was resolved for
			if of, version := atVersion(spec); of != "" {
				l.add(npmPackage(file, of, version, e.Integrity))
			}
		}
		for spec, e := range r.JSR {
			of, version := atVersion(spec)
			p := sbom.Package{Ecosystem: sbom.JSR, Name: of, Version: version, PURL: sbom.JSRPURL(of, version), Where: []string{file}}
			if len(e.Integrity) == 64 {
				p.Hashes = []sbom.Hash{{Algorithm: "SHA-256", Value: e.Integrity}}
			}
			l.add(p)
		}
	}
	return nil
}

// packageJSON notes what the function asks for itself.
func packageJSON(l *List, _ string, data []byte) error {
	var m struct {
		Dependencies, OptionalDependencies map[string]any
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("reading it: %w", err)
	}
	for of := range m.Dependencies {
		l.asks(sbom.NPM, of)
	}
	for of := range m.OptionalDependencies {
		l.asks(sbom.NPM, of)
	}
	return nil
}
