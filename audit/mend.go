package audit

import (
	"strings"

	"fnb/internal/plain"
	"fnb/sbom"
)

// unasked says how many packages no database can be asked about.
func unasked(n int) string {
	return plain.Count(n, "package has", "packages have") + " no version, or no ecosystem that advisories know: nothing is known of them"
}

// mend says what to type about a finding.
func mend(f *Finding, subjects []Subject) {
	if f.Mend != "" || f.Suppressed != nil {
		return
	}
	switch {
	case strings.HasPrefix(f.ID, "MAL-"):
		f.Mend = "take " + f.Package + " out, and change what secrets it could read"
	case f.Kind != Vulnerability:
	case distribution(f.Ecosystem):
		f.Mend = "fnb update, then fnb build --push: a newer base image has what Debian fixes"
		if !strings.HasPrefix(f.Ecosystem, sbom.Debian) {
			f.Mend = "fnb update, then fnb build --push: a newer base image has what its distribution fixes"
		}
		if f.Fixed == "" {
			f.Mend = "nobody has fixed it yet"
		}
	case f.Fixed == "":
		f.Mend = "nobody has fixed it yet: say why it does no harm with --vex, or do without " + f.Package
	case f.Ecosystem == sbom.Go && f.Package == "stdlib":
		f.Mend = "fnb update: build with Go " + f.Fixed + " or newer"
	case f.Ecosystem == sbom.Go:
		f.Mend = "go get " + f.Package + "@v" + strings.TrimPrefix(f.Fixed, "v")
	default:
		f.Mend = "ask for " + f.Package + " " + f.Fixed + " or newer, then fnb lock --packages"
		if len(f.Functions) == 1 && known(f.Functions[0], subjects) {
			f.Mend += " " + f.Functions[0]
		}
	}
}

// known reports whether a name is that of a function, not of an image.
func known(name string, subjects []Subject) bool {
	for i := range subjects {
		if subjects[i].Name == name {
			return subjects[i].Image != name
		}
	}
	return false
}

func distribution(ecosystem string) bool {
	name, _, _ := strings.Cut(ecosystem, ":")
	return name == sbom.Debian || name == sbom.Ubuntu || name == sbom.Alpine
}
