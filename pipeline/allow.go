package pipeline

import (
	"context"

	"fnb/builder"
	"fnb/policy"
)

// Access is what builders may have and read for images that are run.
func (p *Pipeline) Access() builder.Access { return p.access(policy.KindImage) }

func (p *Pipeline) access(kind policy.Kind) builder.Access {
	return builder.Access{Credentials: p.Registry.Credentials, Registries: p.Mirrors, Gate: p.allow.Gate(kind)}
}

// digests has the builder look images up, which asks registries as its solves do, and the
// policy whether they are old enough.
func (p *Pipeline) digests(ctx context.Context, req builder.Request, kind policy.Kind, refs []string, locked map[string]string) (found map[string]string, missed map[string]error, err error) {
	b, err := p.Builder.Get(ctx)
	if err != nil {
		return nil, nil, err
	}
	gate, made := p.allow.Dates(kind)
	req.Gate = gate
	found, missed, err = b.Digests(ctx, req, refs)
	if err == nil {
		err = p.allow.Cooled(kind, locked, found, made)
	}
	return found, missed, err
}
