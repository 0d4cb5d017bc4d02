//go:build linux && !fnb_client

package builder

import (
	"fmt"

	"github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/network"

	"fnb/builder/stepnet"
	"fnb/schema"
)

// A stepNetwork is what RUN steps have for a network.
type stepNetwork struct {
	mode string            // as clients are told
	own  *stepnet.Provider // nil is the machine's
	dns  *oci.DNSConfig

	reach stepnet.Reach // where it is not the machine's
}

// steps makes the network that the options ask for. Where it cannot be made there is
// no other: a template's steps reach no more than its user knows of.
func (o ServeOptions) steps() (stepNetwork, error) {
	if o.Network == schema.NetworkHost {
		return stepNetwork{mode: schema.NetworkHost}, nil
	}
	reach, err := stepnet.ParseReach(o.Reach)
	if err != nil {
		return stepNetwork{}, err
	}
	own, err := stepnet.New(reach)
	if err != nil {
		return stepNetwork{}, networkError(err)
	}
	return stepNetwork{mode: schema.NetworkOwn, own: own, reach: reach, dns: &oci.DNSConfig{Nameservers: []string{stepnet.Nameserver}}}, nil
}

func networkError(err error) error {
	return fmt.Errorf("giving RUN steps a network of their own: %w; FNB_BUILDER_NETWORK=host lets them have this machine's, its loopback included", err)
}

// provide has the steps that ask for no other network use this one.
func (n stepNetwork) provide(providers map[pb.NetMode]network.Provider) {
	if n.own != nil {
		providers[pb.NetMode_UNSET] = n.own
	}
}
