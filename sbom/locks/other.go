package locks

import (
	"encoding/xml"
	"strings"

	"fnb/sbom"
	"fnb/schema/document"
)

// cargoLock reads a Cargo.lock. What has no source is the function itself, or a folder beside it.
func cargoLock(l *List, file string, data []byte) error {
	var lock struct {
		Package []struct {
			Name, Version, Source, Checksum string
			Dependencies                    []string
		}
	}
	if err := document.ReadTOML(data, &lock); err != nil {
		return err
	}
	versions := map[string][]string{}
	for _, e := range lock.Package {
		versions[e.Name] = append(versions[e.Name], e.Version)
	}
	purl := func(of, version string) string { return sbom.PURL("cargo", "", of, version, nil) }
	for _, e := range lock.Package {
		p := sbom.Package{Ecosystem: sbom.Crates, Name: e.Name, Version: e.Version, PURL: purl(e.Name, e.Version), Where: []string{file}}
		if len(e.Checksum) == 64 {
			p.Hashes = []sbom.Hash{{Algorithm: "SHA-256", Value: e.Checksum}}
		}
		for _, d := range e.Dependencies {
			words := strings.Fields(d) // "serde", or "serde 1.0.2" where there are several
			if len(words) == 0 {
				continue
			}
			if e.Source == "" {
				l.asks(sbom.Crates, words[0])
			}
			switch v := versions[words[0]]; {
			case len(words) > 1:
				p.DependsOn = append(p.DependsOn, purl(words[0], words[1]))
			case len(v) == 1:
				p.DependsOn = append(p.DependsOn, purl(words[0], v[0]))
			}
		}
		if e.Source != "" {
			l.add(p)
		}
	}
	return nil
}

// goMod notes which modules the function asks for itself; the program in the image says the rest.
func goMod(l *List, _ string, data []byte) error {
	block := false
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		code, comment, _ := strings.Cut(line, "//")
		words := strings.Fields(code)
		switch {
		case len(words) == 0:
		case words[0] == "require" && len(words) > 1 && words[1] == "(":
			block = true
		case words[0] == ")":
			block = false
		case strings.TrimSpace(comment) == "indirect":
		case block && len(words) == 2:
			l.asks(sbom.Go, words[0])
		case words[0] == "require" && len(words) == 3:
			l.asks(sbom.Go, words[1])
		}
	}
	return nil
}

// pom notes which artifacts the function asks for itself.
func pom(l *List, _ string, data []byte) error {
	var m struct {
		Dependencies []struct {
			Group    string `xml:"groupId"`
			Artifact string `xml:"artifactId"`
		} `xml:"dependencies>dependency"`
	}
	if err := xml.Unmarshal(data, &m); err != nil {
		return err
	}
	for _, d := range m.Dependencies {
		l.asks(sbom.Maven, strings.TrimSpace(d.Group)+":"+strings.TrimSpace(d.Artifact))
	}
	return nil
}
