package daemon

import (
	"fmt"

	"github.com/moby/buildkit/executor/oci"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/network"

	"fnb/builder/stepnet"
	"fnb/schema/settings"
)

// A stepNetwork is what RUN steps have for a network.
type stepNetwork struct {
	mode  string         // as clients are told
	dns   *oci.DNSConfig // nil is the machine's
	reach stepnet.Reach  // with settings.NetworkOwn
	own   chan ownNetwork
}

type ownNetwork struct {
	provider *stepnet.Provider
	err      error
}

// steps begins to make the network that the options ask for: the kernel takes its time
// for a namespace.
func (o Options) steps() (stepNetwork, error) {
	if o.Network == settings.NetworkHost {
		return stepNetwork{mode: settings.NetworkHost}, nil
	}
	reach, err := stepnet.ParseReach(o.Reach)
	if err != nil {
		return stepNetwork{}, err
	}
	own := make(chan ownNetwork, 1)
	go func() {
		p, err := stepnet.New(reach)
		own <- ownNetwork{p, err}
	}()
	return stepNetwork{mode: settings.NetworkOwn, dns: &oci.DNSConfig{Nameservers: []string{stepnet.Nameserver}}, reach: reach, own: own}, nil
}

func networkError(err error) error {
	return fmt.Errorf("giving RUN steps a network of their own: %w; FNB_BUILDER_NETWORK=host lets them have this machine's, its loopback included", err)
}

// provide has the steps that ask for no other network use this one. Where it cannot be
// made there is no other: a template's steps reach no more than its user knows of.
func (n stepNetwork) provide(providers map[pb.NetMode]network.Provider) error {
	if n.mode != settings.NetworkOwn {
		return nil
	}
	made := <-n.own
	if made.err != nil {
		return networkError(made.err)
	}
	providers[pb.NetMode_UNSET] = made.provider
	return nil
}
