package scan

import (
	"bufio"
	"bytes"
	"strings"

	"fnb/sbom"
)

// osRelease reads what distribution it is. That of /etc is believed before that of /usr/lib.
func (f *finder) osRelease(c *content) error {
	data, err := c.text(64 << 10)
	if err != nil {
		return err
	}
	var s sbom.System
	for l := range strings.Lines(string(data)) {
		key, value, ok := strings.Cut(strings.TrimSpace(l), "=")
		if !ok {
			continue
		}
		value = word(strings.Trim(value, `"'`), maxWord)
		switch key {
		case "ID":
			s.ID = value
		case "VERSION_ID":
			s.Version = value
		case "PRETTY_NAME":
			s.Name = value
		}
	}
	etc := strings.HasPrefix(c.name, "etc/")
	if f.found.System == (sbom.System{}) || etc {
		f.found.System = s
	}
	f.etc = f.etc || etc
	return nil
}

// Marks of packages of a distribution, until it is known which that is.
const (
	fromDpkg = "\x00deb"
	fromApk  = "\x00apk"
)

// dpkg reads the packages that dpkg has installed; distroless images have a file for each.
func (f *finder) dpkg(c *content) error {
	return c.paragraphs(func(field map[string]string) {
		if s := field["Status"]; s != "" && !strings.HasSuffix(s, " installed") {
			return
		}
		p := sbom.Package{Ecosystem: fromDpkg, Name: field["Package"], Version: field["Version"], Supplier: field["Maintainer"], Where: []string{c.name}}
		p.Source = sbom.Source{Name: p.Name, Version: p.Version}
		if source := field["Source"]; source != "" {
			name, version, ok := strings.Cut(source, " (")
			p.Source.Name = word(name, maxWord)
			if ok {
				p.Source.Version = word(strings.TrimSuffix(version, ")"), maxVersion)
			}
		}
		p.PURL = word(field["Architecture"], maxWord) // until the distribution is known
		f.add(p)
	})
}

// paragraphs calls visit with the fields of each paragraph of a Debian control file.
func (c *content) paragraphs(visit func(map[string]string)) error {
	data, err := c.text(maxText)
	if err != nil {
		return err
	}
	field := map[string]string{}
	end := func() {
		if field["Package"] != "" {
			visit(field)
		}
		clear(field)
	}
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, maxManifest)
	for s.Scan() {
		l := s.Text()
		if l == "" {
			end()
			continue
		}
		key, value, ok := strings.Cut(l, ":")
		if ok && l[0] != ' ' && l[0] != '\t' && wanted(key) {
			field[key] = strings.TrimSpace(value)
		}
	}
	end()
	return s.Err()
}

func wanted(key string) bool {
	switch key {
	case "Package", "Status", "Version", "Architecture", "Source", "Maintainer":
		return true
	}
	return false
}

// apk reads the packages that Alpine's apk has installed.
func (f *finder) apk(c *content) error {
	data, err := c.text(maxText)
	if err != nil {
		return err
	}
	p := sbom.Package{}
	end := func() {
		if p.Name != "" {
			if p.Source.Name == "" {
				p.Source.Name = p.Name
			}
			p.Ecosystem, p.Where, p.Source.Version = fromApk, []string{c.name}, p.Version
			f.add(p)
		}
		p = sbom.Package{}
	}
	for l := range strings.Lines(string(data)) {
		l = strings.TrimRight(l, "\r\n")
		if l == "" {
			end()
			continue
		}
		key, value, _ := strings.Cut(l, ":")
		switch key {
		case "P":
			p.Name = value
		case "V":
			p.Version = value
		case "A":
			p.PURL = word(value, maxWord)
		case "L":
			p.Licence = value
		case "o":
			p.Source.Name = word(value, maxWord)
		case "m":
			p.Supplier = value
		}
	}
	end()
	return nil
}

// finish gives a package of a distribution what only the whole image says.
func (f *finder) finish(p *sbom.Package) {
	s := f.found.System
	kind := ""
	switch p.Ecosystem {
	case fromDpkg:
		kind, p.Ecosystem = "deb", sbom.Debian
		if s.ID == "" {
			s.ID = "debian"
		}
	case fromApk:
		kind, p.Ecosystem = "apk", sbom.Alpine
		if s.ID == "" {
			s.ID = "alpine"
		}
	default:
		return
	}
	if e := sbom.Ecosystem(s); e != "" {
		p.Ecosystem = e
	}
	distro := s.ID
	if s.Version != "" {
		distro += "-" + s.Version
	}
	upstream := "" // scanners look for holes of the source package, if they are told of it
	switch {
	case p.Source.Version != "" && p.Source.Version != p.Version:
		upstream = p.Source.Name + "@" + p.Source.Version
	case p.Source.Name != p.Name:
		upstream = p.Source.Name
	}
	p.PURL = sbom.PURL(kind, s.ID, p.Name, p.Version, map[string]string{"arch": p.PURL, "distro": distro, "upstream": upstream})
}
