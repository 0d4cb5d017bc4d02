package scan

import (
	"bufio"
	"bytes"
	"path"
	"strings"

	"fnb/sbom"
)

// A dist is a package of Python, with what it needs.
type dist struct {
	At    int    // in the list of packages
	Home  string // the folder that Python finds it in
	Needs []string
}

// distInfo reads what an installed package of Python says of itself.
func (f *finder) distInfo(c *content) error {
	data, err := c.text(maxManifest)
	if err != nil {
		return err
	}
	p := sbom.Package{Ecosystem: sbom.PyPI, Where: []string{c.name}}
	d := dist{At: len(f.found.Packages), Home: path.Dir(path.Dir(c.name))}
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, maxManifest)
	for s.Scan() && s.Text() != "" {
		key, value, _ := strings.Cut(s.Text(), ":")
		value = strings.TrimSpace(value)
		switch strings.ToLower(key) {
		case "name":
			p.Name = sbom.PythonName(value)
		case "version":
			p.Version = value
		case "license-expression":
			p.Licence = value
		case "license":
			if p.Licence == "" {
				p.Licence = value
			}
		case "author":
			p.Supplier = value
		case "requires-dist":
			if name := requirement(value); name != "" && len(d.Needs) < maxRelations {
				d.Needs = append(d.Needs, name)
			}
		}
	}
	p.PURL = sbom.PURL("pypi", "", p.Name, p.Version, nil)
	f.add(p)
	if len(f.found.Packages) > d.At {
		f.python = append(f.python, d)
	}
	return s.Err()
}

// requirement is the name of what a package needs always; "" is one that an extra asks for.
func requirement(s string) string {
	spec, marker, _ := strings.Cut(s, ";")
	if strings.Contains(marker, "extra") {
		return ""
	}
	name := strings.TrimSpace(spec)
	if i := strings.IndexAny(name, " ([<>=!~@"); i >= 0 {
		name = name[:i]
	}
	return sbom.PythonName(name)
}

// linkPython notes which packages of a folder need which.
func (f *finder) linkPython() {
	at := map[[2]string]string{}
	for _, d := range f.python {
		p := f.found.Packages[d.At]
		at[[2]string{d.Home, p.Name}] = p.PURL
	}
	for _, d := range f.python {
		p := &f.found.Packages[d.At]
		for _, name := range d.Needs {
			if purl := at[[2]string{d.Home, name}]; purl != "" && purl != p.PURL {
				p.DependsOn = append(p.DependsOn, purl)
			}
		}
	}
}

// pythonHeader reads the version of Python itself.
func (f *finder) pythonHeader(c *content) error {
	version, err := defined(c, "PY_VERSION")
	if version != "" {
		f.add(sbom.Package{Name: "python", Version: version, PURL: sbom.PURL("generic", "", "python", version, nil), Where: []string{c.name}, Supplier: "Python Software Foundation"})
	}
	return err
}

// defined is what a header in C defines a name as.
func defined(c *content, name string) (string, error) {
	data, err := c.text(maxManifest)
	if err != nil {
		return "", err
	}
	for l := range strings.Lines(string(data)) {
		words := strings.Fields(l)
		if len(words) >= 3 && words[0] == "#define" && words[1] == name {
			return word(strings.Trim(words[2], `"`), maxVersion), nil
		}
	}
	return "", nil
}
