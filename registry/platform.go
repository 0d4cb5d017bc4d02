package registry

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/images"
	"fnb/schema"
)

// A PlatformError says that an image is not there for a platform, or that one of
// several has to be named.
type PlatformError struct {
	Reference string
	Want      schema.Platform // the zero value where none was named
	Have      []string
}

func (e *PlatformError) Error() string {
	have := strings.Join(e.Have, ", ")
	if e.Want == (schema.Platform{}) {
		return fmt.Sprintf("%s is for several platforms: name one of %s", e.Reference, have)
	}
	return fmt.Sprintf("%s is not for %s, only for %s", e.Reference, e.Want, have)
}

// choose returns the one descriptor that is for the platform.
func choose(ref string, all []v1.Descriptor, want schema.Platform) (v1.Descriptor, error) {
	var have []string
	var fit, exact []v1.Descriptor
	for _, d := range all {
		p := images.PlatformOf(d)
		have = append(have, p.String())
		// arm64 has one variant, which many leave out.
		same := p.OS == want.OS && p.Architecture == want.Architecture &&
			(p.Variant == want.Variant || want.Variant == "" || p.Variant == "")
		if same || want == (schema.Platform{}) {
			fit = append(fit, d)
		}
		if p == want && p != (schema.Platform{}) {
			exact = append(exact, d)
		}
	}
	if len(exact) > 0 { // linux/amd64, beside linux/amd64/v2
		fit = exact
	}
	if len(fit) != 1 {
		slices.Sort(have)
		return v1.Descriptor{}, &PlatformError{Reference: ref, Want: want, Have: have}
	}
	return fit[0], nil
}
