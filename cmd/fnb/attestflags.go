package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"fnb/pipeline"
	"fnb/pipeline/attest"
	"fnb/pipeline/provenance"
)

// attestFlags say what is attached to images.
type attestFlags struct {
	what []string // nil is what is attached by default
}

func (o *attestFlags) addFlags(f *pflag.FlagSet) {
	f.StringSliceVar(&o.what, "attest", nil, "attach `WHAT` to the image: sbom, provenance, provenance=max (with times and steps too), or none (default sbom,provenance)")
}

// attested is what is attached to images that nobody says anything of.
func attested() attest.Wants { return attest.Wants{SBOM: true, Provenance: provenance.Min} }

// wants is what is attached to images that go somewhere: to files and to engines nothing can be.
func (o *attestFlags) wants(to pipeline.DestinationKind) (w attest.Wants, err error) {
	taken := to == pipeline.ToRegistry || to == pipeline.ToStore
	if o.what == nil {
		if taken {
			return attested(), nil
		}
		return w, nil
	}
	for _, what := range o.what {
		switch what {
		case "none":
			if len(o.what) > 1 {
				return w, errors.New("--attest none cannot be used with anything else")
			}
			return w, nil
		case "sbom":
			w.SBOM = true
		case "provenance", "provenance=min":
			w.Provenance = provenance.Min
		case "provenance=max":
			w.Provenance = provenance.Max
		default:
			return w, fmt.Errorf("--attest %q: it must be sbom, provenance, provenance=max or none", what)
		}
	}
	if len(o.what) == 0 {
		return w, errors.New("--attest names nothing: it must be sbom, provenance, provenance=max or none")
	}
	if !taken {
		return w, errors.New("--attest is for images that are pushed or kept: leave out --load and --output")
	}
	w.Demanded = true
	return w, nil
}
