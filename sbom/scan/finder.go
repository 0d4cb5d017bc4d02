package scan

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"fnb/internal/plain"
	"fnb/sbom"
)

// What a scan may cost: an image is somebody else's.
const (
	maxEntries   = 4 << 20   // files and folders
	maxPackages  = 200_000   // that are found
	maxText      = 64 << 20  // bytes of a file with a list
	maxManifest  = 4 << 20   // bytes of what one package says of itself
	maxProgram   = 512 << 20 // bytes of a program or an archive
	minProgram   = 128 << 10 // bytes of the smallest program that has a runtime of Go or Rust in it
	maxUnread    = 20        // problems that are told
	maxWord      = 300       // bytes of a name
	maxVersion   = 200       // bytes of a version
	maxLicence   = 200       // bytes of a licence; what is longer is its text
	maxRelations = 2000      // of one package
)

// Found is what is installed in an image.
type Found struct {
	System   sbom.System
	Packages []sbom.Package // sorted, each once
	// Libraries are the names of shared libraries where the system's linker looks, sorted, each once: "libssl.so.3".
	Libraries []string
	Unread    []string // files that ought to name packages and cannot be read, and why
}

// A TooLargeError says that an image has more than a scan looks at.
type TooLargeError struct{ What string }

func (e *TooLargeError) Error() string { return "the image has " + e.What }

// A content is a file of an image.
type content struct {
	name string // without a slash at its begin
	size int64
	at   io.ReaderAt
}

// text is all of a file.
func (c *content) text(most int64) ([]byte, error) {
	if c.size > most {
		return nil, fmt.Errorf("has %d bytes, more than the %d that are read", c.size, most)
	}
	data := make([]byte, c.size)
	n, err := c.at.ReadAt(data, 0)
	if n == len(data) {
		err = nil
	}
	return data[:n], err
}

// A kind is what a file is read as.
type kind func(f *finder, c *content) error

// A finder collects what is found.
type finder struct {
	found   Found
	python  []dist // with the names of what they need
	etc     bool   // the system is that of /etc/os-release
	entries int
}

// kindOf says what a file is read as, by its name; nil is nothing.
func kindOf(name string, size int64, mode fs.FileMode) kind {
	if !mode.IsRegular() || size == 0 || !within(path.Dir(name)) {
		return nil
	}
	switch name {
	case "etc/os-release", "usr/lib/os-release":
		return (*finder).osRelease
	case "var/lib/dpkg/status":
		return (*finder).dpkg
	case "lib/apk/db/installed", "usr/lib/apk/db/installed":
		return (*finder).apk
	}
	dir, base := path.Split(name)
	switch {
	case dir == "var/lib/dpkg/status.d/" && path.Ext(base) != ".md5sums":
		return (*finder).dpkg
	case base == "METADATA" && strings.HasSuffix(dir, ".dist-info/"), base == "PKG-INFO" && strings.HasSuffix(dir, ".egg-info/"):
		return (*finder).distInfo
	case strings.HasSuffix(base, ".egg-info") && size <= maxManifest:
		return (*finder).distInfo
	case base == "package.json" && (moduleFolder(dir) || strings.HasPrefix(dir, "usr/share/nodejs/")): // the latter are Debian's
		return (*finder).packageJSON
	case base == "package.json" && !strings.Contains("/"+dir, "/node_modules/") && !strings.HasPrefix(dir, "usr/l") && !strings.HasPrefix(dir, "usr/share/"): // usr/lib, usr/local
		return (*finder).ownPackage
	case strings.HasSuffix(base, "_meta.json") && strings.Contains(dir, "jsr.io/@"):
		return (*finder).jsrMeta
	case base == "release" && strings.Contains(dir, "/"):
		return (*finder).javaRelease
	case base == "patchlevel.h" && strings.Contains(dir, "include/python"):
		return (*finder).pythonHeader
	case base == "node_version.h" && strings.HasSuffix(dir, "include/node/"):
		return (*finder).nodeHeader
	case isArchive(base):
		return (*finder).jar
	case mode&0o111 != 0 && size >= minProgram:
		return (*finder).program
	}
	return nil
}

// barren are folders that no package is installed in, and that are large.
func barren() []string {
	return []string{
		"proc", "sys", "dev", "tmp", "boot", "media", "mnt", "var/cache", "var/tmp", "var/log", "var/lib/apt", "var/lib/dpkg/info", "usr/share/doc", "usr/share/man", "usr/share/locale",
		"usr/share/zoneinfo", "usr/share/i18n", "usr/share/terminfo", "usr/share/icons", "usr/share/perl", "usr/share/perl5", "usr/share/bash-completion", "etc/ssl", "etc/alternatives",
	}
}

// within reports whether packages of a folder count. The rule is one of names alone, so that it
// does not matter in which order an image is read.
func within(dir string) bool {
	if slices.ContainsFunc(barren(), func(b string) bool { return dir == b || strings.HasPrefix(dir, b+"/") }) {
		return false
	}
	parts := strings.Split(dir, "/")
	for i, p := range parts {
		rest := parts[i+1:]
		switch {
		case p == "__pycache__" || p == ".git":
			return false
		case p == "site-packages" || p == "dist-packages":
			return inSitePackages(rest)
		case p == "node_modules" && !inNodeModules(rest):
			return false
		}
	}
	return true
}

// inSitePackages reports whether a folder below one that Python looks for packages in has
// more than the files of a package: its description, or packages that it brings along.
func inSitePackages(rest []string) bool {
	switch {
	case len(rest) == 0:
		return true
	case strings.HasSuffix(rest[0], ".dist-info") || strings.HasSuffix(rest[0], ".egg-info"):
		return len(rest) == 1
	case len(rest) == 1:
		return rest[0] != "__pycache__"
	case rest[1] == "_vendor" || rest[1] == "vendor":
		return len(rest) == 2 || len(rest) == 3 && strings.HasSuffix(rest[2], "-info")
	}
	return false
}

// inNodeModules reports the same of a folder below a node_modules: of a package only its own
// folder, its programs and its packages count.
func inNodeModules(rest []string) bool {
	switch {
	case len(rest) == 0:
		return true
	case strings.HasPrefix(rest[0], "."): // .pnpm, .deno, .bin
		return rest[0] != ".bin" && rest[0] != ".cache" && (len(rest) < 3 || rest[2] == "node_modules")
	case strings.HasPrefix(rest[0], "@"):
		rest = rest[1:]
		if len(rest) == 0 {
			return true
		}
	}
	return len(rest) == 1 || rest[1] == "node_modules" || rest[1] == "bin" && len(rest) == 2
}

// moduleFolder reports whether a folder, with a slash at its end, is that of a package in a
// node_modules.
func moduleFolder(dir string) bool {
	i := strings.LastIndex(dir, "node_modules/")
	if i < 0 || i > 0 && dir[i-1] != '/' {
		return false
	}
	name := strings.TrimSuffix(dir[i+len("node_modules/"):], "/")
	if strings.HasPrefix(name, ".") || name == "" {
		return false
	}
	want := 0
	if strings.HasPrefix(name, "@") {
		want = 1
	}
	return strings.Count(name, "/") == want
}

// read reads a file, whose trouble is noted.
func (f *finder) read(k kind, c *content) {
	err := func() (err error) {
		defer func() { // debug/elf and archive/zip are not made for files that are meant to harm
			if r := recover(); r != nil {
				err = fmt.Errorf("cannot be understood: %v", r)
			}
		}()
		return k(f, c)
	}()
	if err != nil {
		f.unread(c.name, err)
	}
}

func (f *finder) unread(name string, err error) {
	f.found.Unread = append(f.found.Unread, plain.Path(name)+": "+plain.Short(err.Error()))
}

// add adds a package, as far as what is said of it are words.
func (f *finder) add(p sbom.Package) {
	p.Name, p.Version = word(p.Name, maxWord), word(p.Version, maxVersion)
	if p.Name == "" || len(f.found.Packages) > maxPackages {
		return
	}
	p.Licence, p.Supplier = line(p.Licence), line(p.Supplier)
	if p.Evidence == "" {
		p.Evidence = sbom.Installed
	}
	f.found.Packages = append(f.found.Packages, p)
}

// word is a name or a version; what cannot be one is "".
func word(s string, most int) string {
	s = strings.TrimSpace(s)
	if len(s) > most || plain.Line(s) != s || strings.ContainsAny(s, "\"<>\\") {
		return ""
	}
	return s
}

// line is a remark of one line; a longer one is "".
func line(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxLicence || strings.Contains(s, "\n") {
		return ""
	}
	return plain.Line(s)
}

// result is all that was found.
func (f *finder) result() (Found, error) {
	if len(f.found.Packages) > maxPackages {
		return Found{}, &TooLargeError{fmt.Sprintf("more than %d packages", maxPackages)}
	}
	f.linkPython()
	// Which copy of a package is believed does not depend on which was read first.
	slices.SortStableFunc(f.found.Packages, func(a, b sbom.Package) int { return slices.Compare(a.Where, b.Where) })
	for i := range f.found.Packages {
		f.finish(&f.found.Packages[i])
	}
	f.found.Packages = sbom.Union(f.found.Packages)
	slices.Sort(f.found.Libraries)
	f.found.Libraries = slices.Compact(f.found.Libraries)
	slices.Sort(f.found.Unread)
	if n := len(f.found.Unread); n > maxUnread {
		f.found.Unread = append(f.found.Unread[:maxUnread], fmt.Sprintf("and %d more", n-maxUnread))
	}
	return f.found, nil
}

// bytesOf is a content in memory.
func bytesOf(name string, data []byte) *content {
	return &content{name: name, size: int64(len(data)), at: bytes.NewReader(data)}
}
