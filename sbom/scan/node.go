package scan

import (
	"encoding/json"
	"path"
	"strings"

	"fnb/sbom"
)

// packageJSON reads what a package in a node_modules says of itself.
func (f *finder) packageJSON(c *content) error { return f.manifest(c, sbom.NPM, sbom.NodePURL) }

// ownPackage reads a package.json elsewhere: that of the function itself, or of a member of its workspace. No registry has
// it, and so it is none of npm's, which may have another one of that name.
func (f *finder) ownPackage(c *content) error { return f.manifest(c, "", sbom.OwnPURL) }

func (f *finder) manifest(c *content, ecosystem string, purl func(name, version string) string) error {
	data, err := c.text(maxManifest)
	if err != nil {
		return err
	}
	var m struct {
		Name, Version string
		License       json.RawMessage
		Author        json.RawMessage
	}
	if err := json.Unmarshal(data, &m); err != nil {
		return err
	}
	if m.Version == "" { // a folder's type alone, or a name in a package
		return nil
	}
	f.add(sbom.Package{
		Ecosystem: ecosystem, Name: m.Name, Version: m.Version, PURL: purl(m.Name, m.Version),
		Licence: named(m.License, "type"), Supplier: named(m.Author, "name"), Where: []string{c.name},
	})
	return nil
}

// named is a value that is a word, or an object with a key that has it.
func named(raw json.RawMessage, key string) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var m map[string]any
	if json.Unmarshal(raw, &m) == nil {
		s, _ = m[key].(string)
	}
	return s
}

// jsrMeta is what deno keeps beside a package of JSR: vendor/jsr.io/@std/path/1.0.8_meta.json.
func (f *finder) jsrMeta(c *content) error {
	dir, base := path.Split(c.name)
	_, name, _ := strings.Cut(strings.TrimSuffix(dir, "/"), "jsr.io/")
	version := strings.TrimSuffix(base, "_meta.json")
	if strings.Count(name, "/") != 1 || version == "" {
		return nil
	}
	f.add(sbom.Package{Ecosystem: sbom.JSR, Name: name, Version: version, PURL: sbom.JSRPURL(name, version), Where: []string{c.name}})
	return nil
}

// nodeHeader reads the version of Node.js itself.
func (f *finder) nodeHeader(c *content) error {
	var parts []string
	for _, name := range []string{"NODE_MAJOR_VERSION", "NODE_MINOR_VERSION", "NODE_PATCH_VERSION"} {
		part, err := defined(c, name)
		if part == "" || err != nil {
			return err
		}
		parts = append(parts, part)
	}
	version := strings.Join(parts, ".")
	f.add(sbom.Package{Name: "node", Version: version, PURL: sbom.PURL("generic", "", "node", version, nil), Where: []string{c.name}, Supplier: nodeSupplier})
	return nil
}
