package builder

import (
	"fmt"

	"github.com/moby/buildkit/client"

	"fnb/builder/authority"
	"fnb/builder/protocol"
)

// trust has the steps trust the authorities of the request: fnb's own builder does that by
// itself, and for another the steps are described so.
func (b *build) trust(opt *client.SolveOpt, itself bool) error {
	company := b.req.Authorities
	if len(company) == 0 {
		return nil
	}
	if itself {
		opt.FrontendAttrs[protocol.TrustAttribute] = "true"
		b.req.trusted = map[string][]byte{protocol.TrustSecret: company}
		return nil
	}
	trusted, err := authority.Step{}.Trust(company)
	if err != nil {
		return fmt.Errorf("preparing the certificates that steps trust: %w", err)
	}
	b.trusted, b.req.trusted = &trusted, trusted.Secrets()
	return nil
}
