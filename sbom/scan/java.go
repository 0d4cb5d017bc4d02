package scan

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"fnb/internal/lazyregexp"
	"fnb/sbom"
)

const (
	maxNested  = 2       // archives in archives
	maxInside  = 100_000 // files of one
	maxArchive = 64 << 20
)

func isArchive(base string) bool {
	switch strings.ToLower(path.Ext(base)) {
	case ".jar", ".war", ".ear":
		return true
	}
	return false
}

// jar reads what an archive of Java says that it is, and those that are in it.
func (f *finder) jar(c *content) error { return f.jarIn(c, 0) }

func (f *finder) jarIn(c *content, depth int) error {
	if c.size > maxProgram {
		return fmt.Errorf("has %d bytes, more than the %d that are read", c.size, maxProgram)
	}
	z, err := zip.NewReader(c.at, c.size)
	if err != nil {
		return err
	}
	if len(z.File) > maxInside {
		return fmt.Errorf("has %d files, more than the %d that are read", len(z.File), maxInside)
	}
	named := false
	var manifest []byte
	var errs []error
	for _, e := range z.File {
		switch {
		case strings.HasPrefix(e.Name, "META-INF/maven/") && path.Base(e.Name) == "pom.properties":
			data, err := unzip(e, maxManifest)
			if err != nil {
				errs = append(errs, err)
				continue
			}
			p := properties(data)
			named = f.maven(c.name, p["groupId"], p["artifactId"], p["version"]) || named
		case e.Name == "META-INF/MANIFEST.MF":
			if manifest, err = unzip(e, maxManifest); err != nil {
				errs = append(errs, err)
			}
		case isArchive(e.Name) && depth < maxNested:
			data, err := unzip(e, maxArchive)
			if err == nil {
				err = f.jarIn(bytesOf(c.name+"!"+path.Clean("/"+e.Name), data), depth+1)
			}
			errs = append(errs, err)
		}
	}
	if !named {
		f.unnamed(c.name, properties(unfold(manifest)))
	}
	return errors.Join(errs...)
}

func (f *finder) maven(where, group, artifact, version string) bool {
	if word(group, maxWord) == "" || word(artifact, maxWord) == "" || word(version, maxVersion) == "" {
		return false
	}
	f.add(sbom.Package{Ecosystem: sbom.Maven, Name: group + ":" + artifact, Version: version, PURL: sbom.PURL("maven", group, artifact, version, nil), Where: []string{where}})
	return true
}

var versioned = lazyregexp.New(`^(.+?)-(\d[\w.+-]*)$`)

// unnamed adds an archive that Maven has not built, by its manifest and its name.
func (f *finder) unnamed(where string, manifest map[string]string) {
	base := strings.TrimSuffix(path.Base(where), path.Ext(where))
	name, version := base, ""
	if m := versioned.FindStringSubmatch(base); m != nil {
		name, version = m[1], m[2]
	}
	for _, key := range []string{"Implementation-Version", "Bundle-Version", "Specification-Version"} {
		if version == "" {
			version = word(manifest[key], maxVersion)
		}
	}
	if version == "" { // the function's own classes
		return
	}
	group := ""
	for _, key := range []string{"Implementation-Vendor-Id", "Bundle-SymbolicName", "Automatic-Module-Name"} {
		if g, _, _ := strings.Cut(manifest[key], ";"); group == "" && strings.Contains(g, ".") {
			group = word(strings.TrimSpace(g), maxWord)
		}
	}
	group = strings.TrimSuffix(group, "."+name)
	if group == "" {
		group = name
	}
	f.maven(where, group, name, version)
}

func unzip(e *zip.File, most int64) ([]byte, error) {
	r, err := e.Open()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	data, err := io.ReadAll(io.LimitReader(r, most+1))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", e.Name, err)
	}
	if int64(len(data)) > most {
		return nil, fmt.Errorf("%s: has more than the %d bytes that are read", e.Name, most)
	}
	return data, nil
}

// unfold joins the lines of a manifest that go on in the next.
func unfold(data []byte) []byte {
	data = bytes.ReplaceAll(data, []byte("\r\n"), []byte("\n"))
	main, _, _ := bytes.Cut(data, []byte("\n\n"))
	return bytes.ReplaceAll(main, []byte("\n "), nil)
}

// properties are the lines NAME=VALUE, or NAME: VALUE, of a file.
func properties(data []byte) map[string]string {
	out := map[string]string{}
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, maxManifest)
	for s.Scan() {
		l := s.Text()
		if i := strings.IndexAny(l, "=:"); i > 0 && l[0] != '#' {
			out[strings.TrimSpace(l[:i])] = strings.TrimSpace(l[i+1:])
		}
	}
	return out
}

// javaRelease reads the version of a Java runtime itself.
func (f *finder) javaRelease(c *content) error {
	data, err := c.text(64 << 10)
	if err != nil {
		return nil //nolint:nilerr // many files are called so
	}
	p := properties(data)
	version := word(strings.Trim(p["JAVA_RUNTIME_VERSION"], `"`), maxVersion)
	if version == "" {
		version = word(strings.Trim(p["JAVA_VERSION"], `"`), maxVersion)
	}
	if version == "" || p["MODULES"] == "" {
		return nil
	}
	f.add(sbom.Package{Name: "openjdk", Version: version, PURL: sbom.PURL("generic", "", "openjdk", version, nil), Supplier: strings.Trim(p["IMPLEMENTOR"], `"`), Where: []string{c.name}})
	return nil
}
