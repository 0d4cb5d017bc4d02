package schema

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"fnb/internal/spelling"
)

// A Platform is an operating system, an architecture and an optional variant,
// in the words of the OCI image spec: "linux/arm64", "linux/arm/v7".
type Platform struct {
	OS, Architecture, Variant string
}

// Platforms is a list of platforms. In YAML it is a comma-separated string, as
// OpenFaaS writes it, or a sequence.
type Platforms []Platform

// String returns p as "os/arch[/variant]".
func (p Platform) String() string {
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return s
}

// MarshalText returns p as String does.
func (p Platform) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText sets p to what [ParsePlatform] reads.
func (p *Platform) UnmarshalText(text []byte) (err error) {
	*p, err = ParsePlatform(string(text))
	return err
}

// String returns the platforms as OpenFaaS writes them, with commas between.
func (p Platforms) String() string {
	words := make([]string, len(p))
	for i, platform := range p {
		words[i] = platform.String()
	}
	return strings.Join(words, ",")
}

// ParsePlatform reads a platform as "os/arch[/variant]", or "arch" alone for
// Linux. It returns the one spelling that registries use, as Docker does:
// x86_64 is amd64, aarch64 and arm64/v8 are arm64, armhf and arm are arm/v7.
// An operating system or architecture that is not known is an error.
func ParsePlatform(s string) (Platform, error) {
	parts := strings.Split(strings.ToLower(s), "/")
	if s == "" {
		return Platform{}, errors.New("a platform cannot be empty")
	}
	if len(parts) == 1 {
		parts = []string{"linux", parts[0]}
	}
	if len(parts) > 3 || slices.Contains(parts, "") {
		return Platform{}, fmt.Errorf("%q is not a platform: write os/arch or os/arch/variant", s)
	}
	p := Platform{OS: parts[0], Architecture: parts[1]}
	if len(parts) == 3 {
		p.Variant = parts[2]
	}
	p = normalise(p)
	variants, known := variantsOf(p.Architecture)
	systems := []string{"linux", "windows", "darwin", "freebsd"}
	if !slices.Contains(systems, p.OS) || !known {
		return Platform{}, &platformError{text: s, near: spelling.Nearest(p.OS, systems), arch: spelling.Nearest(p.Architecture, architectures())}
	}
	if p.Variant != "" && !slices.Contains(variants, p.Variant) {
		return Platform{}, fmt.Errorf("%q is not a platform: %s has no variant %q", s, p.Architecture, p.Variant)
	}
	return p, nil
}

// A platformError is a platform that nothing is known of.
type platformError struct{ text, near, arch string }

func (e *platformError) Error() string {
	return fmt.Sprintf("%q is not a known platform", e.text)
}

// Near returns the platform that was probably meant, or "".
func (e *platformError) Near() string {
	if e.near == "" || e.arch == "" {
		return ""
	}
	return e.near + "/" + e.arch
}

// architectures returns those that images are built for, sorted.
func architectures() []string {
	return []string{"386", "amd64", "arm", "arm64", "loong64", "mips64le", "ppc64le", "riscv64", "s390x"}
}

// variantsOf returns the variants of an architecture; not ok for one that is unknown.
// Very many platforms are read where a store is.
func variantsOf(architecture string) (variants []string, ok bool) {
	switch architecture {
	case "amd64":
		return []string{"v2", "v3", "v4"}, true
	case "arm":
		return []string{"v5", "v6", "v7"}, true
	case "arm64":
		return []string{"v9"}, true
	}
	return nil, slices.Contains(architectures(), architecture)
}

// normalise returns the usual spelling of p.
func normalise(p Platform) Platform {
	switch p.Architecture {
	case "x86_64", "x86-64":
		p.Architecture = "amd64"
	case "aarch64":
		p.Architecture = "arm64"
	case "i386", "i686", "x86":
		p.Architecture = "386"
	case "armhf":
		p.Architecture, p.Variant = "arm", "v7"
	case "armel":
		p.Architecture, p.Variant = "arm", "v6"
	}
	if len(p.Variant) == 1 {
		p.Variant = "v" + p.Variant
	}
	switch p.Architecture + "/" + p.Variant {
	case "arm64/v8", "amd64/v1":
		p.Variant = ""
	case "arm/", "arm/v8":
		p.Variant = "v7"
	}
	return p
}

// ParsePlatforms reads platforms with commas between. The order stays, and one
// that is named twice is there once. An empty string is no platform.
func ParsePlatforms(s string) (Platforms, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var all Platforms
	for word := range strings.SplitSeq(s, ",") {
		p, err := ParsePlatform(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all, nil
}
