package builder

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/pb"
	spb "github.com/moby/buildkit/sourcepolicy/pb"
	"github.com/moby/buildkit/sourcepolicy/policysession"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// A Gate is asked what a request may read, by the builder itself and while it solves: so
// whatever describes its steps, such as a frontend that is an image, does not go round it.
type Gate struct {
	// Check is asked about each source of a step as BuildKit names it: docker-image://…,
	// git://…, https://…. What it returns as is read instead, and asked about again; "" reads
	// what was asked about. An error denies it, and is the error of the solve. Several may be
	// asked at a time.
	Check func(ctx context.Context, source string) (as string, err error)
	// Unasked is asked about a builder that does not ask, since its BuildKit is too old. An
	// error ends the solve before anything is read.
	Unasked func(address string) error
	// Dated, if not nil, is told when an image that is looked up was made, as it says itself.
	Dated func(ref string, made time.Time)
}

// A gatekeeper is the gate of one solve, and what it denied first.
type gatekeeper struct {
	*Gate
	mu     sync.Mutex
	denied error
}

// attend has the builder ask, if there is a gate.
func (r *Request) attend(opt *client.SolveOpt) *gatekeeper {
	if r.Gate == nil || r.Gate.Check == nil {
		return nil
	}
	k := &gatekeeper{Gate: r.Gate}
	opt.SourcePolicyProvider = policysession.NewPolicyProvider(k.decide)
	return k
}

// decide answers a builder.
func (k *gatekeeper) decide(ctx context.Context, req *policysession.CheckPolicyRequest) (*policysession.DecisionResponse, *gwpb.ResolveSourceMetaRequest, error) {
	source := req.GetSource().GetSource()
	as, err := k.Check(ctx, source.GetIdentifier())
	switch {
	case err == nil && as != "":
		return &policysession.DecisionResponse{Action: spb.PolicyAction_CONVERT, Update: &pb.SourceOp{Identifier: as, Attrs: source.GetAttrs()}}, nil, nil
	case err == nil:
		return &policysession.DecisionResponse{Action: spb.PolicyAction_ALLOW}, nil, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.denied == nil {
		k.denied = err
	}
	return &policysession.DecisionResponse{
		Action: spb.PolicyAction_DENY, DenyMessages: []*policysession.DenyMessage{{Message: err.Error()}},
	}, nil, nil
}

// holds is an error unless the builder asks.
func (k *gatekeeper) holds(c *Client, g gw.Client) error {
	if k == nil {
		return nil
	}
	if caps := g.BuildOpts().LLBCaps; caps.Supports(pb.CapSourcePolicySession) == nil {
		return nil
	}
	err := k.Unasked(c.address)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.denied = err
	return err
}

// explained is err, or what was denied, if anything was.
func (k *gatekeeper) explained(err error) error {
	if k == nil || err == nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.denied != nil {
		return k.denied
	}
	return err
}

// dated tells when an image was made, as its configuration says it.
func (g *Gate) dated(ref string, config []byte) {
	if g == nil || g.Dated == nil {
		return
	}
	var image ocispecs.Image
	if err := json.Unmarshal(config, &image); err != nil || image.Created == nil || image.Created.Unix() <= 0 {
		g.Dated(ref, time.Time{}) // an image that is the same each time it is made has the first moment there is
		return
	}
	g.Dated(ref, *image.Created)
}
