package scan

import (
	"debug/elf"
	"errors"
	"io"

	"fnb/internal/lazyregexp"
	"fnb/sbom"
)

// A language is a program that runs functions, and has its version among its words, which no package
// says where the program alone is installed.
type language struct {
	supplier string
	version  *lazyregexp.Regexp // what stands around the version
}

var (
	nodeVersion = lazyregexp.New(`node\.js/v(\d+\.\d+\.\d+)`)
	denoVersion = lazyregexp.New(`Deno/(\d+\.\d+\.\d+)\+[0-9a-f]{7}`)
	bunVersion  = lazyregexp.New(`Bun v(\d+\.\d+\.\d+) \(`)
)

// languages are those programs by the names of their files.
func languages() map[string]language {
	return map[string]language{"node": {nodeSupplier, nodeVersion}, "deno": {"Deno Land", denoVersion}, "bun": {"Oven", bunVersion}}
}

const (
	nodeSupplier = "OpenJS Foundation"
	minLanguage  = 8 << 20  // bytes of the smallest of them; a script that starts one has fewer
	maxWords     = 96 << 20 // bytes that are looked through
	piece        = 4 << 20  // bytes that are asked for at once
	longestWord  = 64       // bytes of what stands around a version
)

// language reads which version of a language a program is.
func (f *finder) language(c *content, name string, e *elf.File) error {
	l, ok := languages()[name]
	words := e.Section(".rodata")
	if !ok || words == nil || c.size < minLanguage {
		return nil
	}
	version, err := find(io.NewSectionReader(words, 0, min(int64(words.Size), maxWords)), l.version) //nolint:gosec // bounded
	if version != "" {
		f.add(sbom.Package{Name: name, Version: version, PURL: sbom.PURL("generic", "", name, version, nil), Supplier: l.supplier, Where: []string{c.name}})
	}
	return err
}

// find looks for a version piece by piece, and ends with the first one; "" is none.
func find(r io.Reader, version *lazyregexp.Regexp) (string, error) {
	window := make([]byte, longestWord+piece)
	kept := 0
	for {
		n, err := io.ReadFull(r, window[kept:])
		if m := version.FindSubmatch(window[:kept+n]); m != nil {
			return string(m[1]), nil
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return "", nil
		}
		if err != nil {
			return "", err
		}
		kept = copy(window, window[len(window)-longestWord:])
	}
}
