package stepnet

import (
	"context"
	"path/filepath"

	"github.com/containerd/containerd/v2/pkg/oci"
	resourcestypes "github.com/moby/buildkit/executor/resources/types"
	"github.com/moby/buildkit/util/network"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// Nameserver is the address that steps ask for names. It leads to the nameservers
// of the machine's /etc/resolv.conf as it is then, those on its loopback included.
const Nameserver = "192.0.0.1"

// A Provider makes networks for steps. It is BuildKit's [network.Provider].
type Provider struct {
	reach Reach
	spare chan *namespace // one, for the next step
}

// New returns a provider, after it has made the network of the first step: where
// none can be made it says why.
func New(reach Reach) (*Provider, error) {
	ns, err := newNamespace(reach, nameservers)
	if err != nil {
		return nil, err
	}
	p := &Provider{reach: reach, spare: make(chan *namespace, 1)}
	p.spare <- ns
	return p, nil
}

// Ready reports what keeps a network from being made by this process.
func Ready() error {
	ns, err := newNamespace(Reach{}, nameservers)
	if err != nil {
		return err
	}
	return ns.Close()
}

// New returns a network that nobody else has, or had before, and makes the next step's
// while this one is used. The hostname is not used.
func (p *Provider) New(context.Context, string, network.NamespaceOptions) (network.Namespace, error) {
	select {
	case ns := <-p.spare:
		go p.prepare()
		return ns, nil
	default:
	}
	ns, err := newNamespace(p.reach, nameservers)
	if err != nil {
		return nil, err
	}
	return ns, nil
}

// prepare makes the network of the next step.
func (p *Provider) prepare() {
	ns, err := newNamespace(p.reach, nameservers)
	if err != nil {
		return // the next step says so
	}
	select {
	case p.spare <- ns:
	default:
		_ = ns.Close() // there is one already
	}
}

// Close ends what no step has taken.
func (p *Provider) Close() error {
	select {
	case ns := <-p.spare:
		return ns.Close()
	default:
		return nil
	}
}

// Set has the runtime put a step's container into the namespace.
func (n *namespace) Set(s *specs.Spec) error {
	return oci.WithLinuxNamespace(specs.LinuxNamespace{Type: specs.NetworkNamespace, Path: n.path})(nil, nil, nil, s)
}

// Sample has nothing to tell of what went through.
func (n *namespace) Sample() (*resourcestypes.NetworkSample, error) { return nil, nil }

// procPath is a path of an open file of this process for others to open.
func procPath(self string, fd string) string { return filepath.Join("/proc", self, "fd", fd) }
