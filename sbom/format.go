package sbom

import "fmt"

// A Format is one that documents are written in.
type Format string

// Formats, as the command line names them.
const (
	FormatSPDX      Format = "spdx"      // SPDX 2.3 in JSON
	FormatCycloneDX Format = "cyclonedx" // CycloneDX 1.6 in JSON
)

// ParseFormat reads the name of a format.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case FormatSPDX, FormatCycloneDX:
		return f, nil
	}
	return "", fmt.Errorf("%q is not one of: %s, %s", s, FormatSPDX, FormatCycloneDX)
}

// Write writes the document in a format.
func (d *Document) Write(f Format) ([]byte, error) {
	if f == FormatCycloneDX {
		return d.CycloneDX()
	}
	return d.SPDX()
}
