package schema

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
