package provenance

import (
	"maps"
	"slices"
	"strings"
	"time"

	"fnb/packaging"
	"fnb/trust/attestation"
)

// BuildTypeRebase is the build type of an image that was written without a build.
const BuildTypeRebase = "urn:fnb:rebase:1"

// A Rebase is what is known of how an image was made of another one, of which the base image or the watchdog was
// replaced.
type Rebase struct {
	Function  string // "" is not known
	Image     string // the other one, REPOSITORY@DIGEST
	Platforms []string
	Base      string                 // reference of the base image; "" leaves it
	From, To  string                 // digests of the base image
	Watchdogs map[string]string      // digests of new layers, by platform; nil leaves them
	SBOMs     []attestation.Resource // those that were read
	Proofs    []string               // what holds of the image, in words of fnb's
	Inputs    packaging.Inputs       // of what it has become; nil says nothing of them

	// For [Max] alone.

	Version string // of fnb
	Began   time.Time
	Ended   time.Time
}

// rebased are the external and internal parameters of a rebase.
type (
	rebased struct {
		Function  string   `json:"function,omitempty"`
		Image     string   `json:"image"`
		Base      string   `json:"base,omitempty"`
		Platforms []string `json:"platforms"`
	}
	proven struct {
		Proofs []string `json:"proofs"`
		Inputs string   `json:"inputs,omitempty"` // the input digest
	}
)

// Statements are what is said of the image of a digest: how it came to be, and where that is known the list of its inputs.
func (r *Rebase) Statements(digest string, d Detail) ([]*attestation.Statement, error) {
	p := slsa{
		BuildDefinition: definition{
			BuildType:            BuildTypeRebase,
			ExternalParameters:   rebased{Function: r.Function, Image: r.Image, Base: r.Base, Platforms: slices.Sorted(slices.Values(r.Platforms))},
			ResolvedDependencies: r.dependencies(),
		},
		RunDetails: run{Builder: builder{ID: BuilderID}},
	}
	what := proven{Proofs: r.Proofs}
	if r.Inputs != nil {
		what.Inputs = r.Inputs.Digest()
	}
	p.BuildDefinition.InternalParameters = what
	if d == Max {
		p.RunDetails.Builder.Version = map[string]string{"fnb": r.Version}
		p.RunDetails.Metadata = &metadata{StartedOn: r.Began.UTC().Truncate(time.Millisecond), FinishedOn: r.Ended.UTC().Truncate(time.Millisecond)}
	}
	about := attestation.Image(digest)
	s, err := attestation.New(attestation.PredicateProvenance, p, about)
	if err != nil || r.Inputs == nil {
		return []*attestation.Statement{s}, err
	}
	list, err := attestation.New(PredicateInputs, inputs{Digest: r.Inputs.Digest(), Inputs: r.Inputs}, about)
	return []*attestation.Statement{s, list}, err
}

// dependencies are what the image is made of, in one order.
func (r *Rebase) dependencies() []attestation.Resource {
	_, digest, _ := strings.Cut(r.Image, "@")
	all := []attestation.Resource{named("image", "docker-image://"+r.Image, digest)}
	if r.Base != "" {
		all = append(all, named("old base", "docker-image://"+r.Base, r.From), named("base", "docker-image://"+r.Base, r.To))
	}
	for _, platform := range slices.Sorted(maps.Keys(r.Watchdogs)) {
		all = append(all, named("watchdog", "urn:fnb:watchdog:"+platform, r.Watchdogs[platform]))
	}
	return append(all, r.SBOMs...)
}
