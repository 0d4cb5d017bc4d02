package builder

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/util/grpcerrors"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	grpccodes "google.golang.org/grpc/codes"

	"fnb/builder/engine"
	"fnb/builder/program"
	"fnb/builder/protocol"
	"fnb/internal/lazyregexp"
	"fnb/schema"
)

// dialTimeout bounds the first round trip to a builder.
const dialTimeout = 10 * time.Second

// Options say how to reach a builder.
type Options struct {
	// Address is a BuildKit address: unix://, tcp://, ssh://,
	// docker-container://, podman-container://, nerdctl-container://,
	// kube-pod://, or docker:// for a Docker Engine's own BuildKit.
	Address string
	// TLSDir is a folder with ca.pem, cert.pem and key.pem for tcp://, as
	// buildctl's --tlsdir. "" is no TLS.
	TLSDir string
	// ServerName is the name in the builder's certificate; "" is the host of
	// Address.
	ServerName string
	// Plaintext lets tcp:// without TLSDir, and docker://HOST, reach another machine than
	// this one: secrets and credentials go there in clear text.
	Plaintext bool
	// Silence is how long a builder may answer nothing at all before it is
	// given up; 0 is 30 seconds.
	Silence time.Duration
	// Patience is how long the first round trip may take; 0 is 10 seconds.
	Patience time.Duration
	// OnClose is called once the connection is closed; nil is nothing.
	OnClose func()
	// Accept is asked about a builder that answers; its error is that of Dial. nil accepts
	// each.
	Accept func(ctx context.Context, c *Client) error
}

// A Client talks to one builder.
type Client struct {
	c       *client.Client
	address string
	silence time.Duration
	native  ocispecs.Platform // of the builder's machine
	lists   []string          // platforms that it can run, emulated ones too
	caches  []string          // types of build cache that it has; nil is not known
	network string            // of its RUN steps, as in Info
	trusts  bool              // it has steps trust certificates, as fnb's own does
	lacks   sync.Map          // types of build cache that it was found not to have
	configs sync.Map          // *imageConfig, of base images that were asked for
	onClose func()            // as in Options
	program *program.Program  // the program that leads to it; nil is none
	docker  *engine.Dialer    // it is a part of a Docker Engine; nil is none
	store   engine.Store      // of that engine
}

// Info is what a builder says of itself.
type Info struct {
	Address     string   `json:"address"`
	Version     string   `json:"version,omitempty"`
	Platforms   []string `json:"platforms"`
	Snapshotter string   `json:"snapshotter,omitempty"`
	Executor    string   `json:"executor,omitempty"`
	Network     string   `json:"network,omitempty"` // of RUN steps: settings.NetworkOwn, settings.NetworkHost or another BuildKit's "cni"; "" is unknown
}

// Dial connects to a builder and makes one round trip, so that a wrong address
// is an [*UnreachableError] now rather than at the first solve.
func Dial(ctx context.Context, opts Options) (*Client, error) {
	u, err := checkAddress(opts.Address)
	if err != nil {
		return nil, err
	}
	if u, err = engine.Resolve(u); err != nil {
		return nil, &AddressError{opts.Address, err.Error()}
	}
	if err := opts.mayReach(u); err != nil {
		return nil, err
	}
	via, err := program.Of(u)
	if err != nil {
		return nil, &AddressError{opts.Address, err.Error()}
	}
	patience := cmp.Or(opts.Patience, dialTimeout)
	copts := []client.ClientOpt{client.WithGRPCDialOption(grpc.WithConnectParams(grpc.ConnectParams{
		Backoff:           backoff.Config{BaseDelay: 50 * time.Millisecond, Multiplier: 1.6, MaxDelay: time.Second},
		MinConnectTimeout: 2 * patience, // it must not end an attempt before the patience does, which says why
	}))}
	address := opts.Address
	var docker *engine.Dialer
	switch {
	case via != nil:
		copts = append(copts, client.WithContextDialer(via.Dial))
	case u.Scheme == "docker":
		docker = engine.NewDialer(u)
		copts = append(copts, docker.Options()...)
	case u.Scheme == "tcp" && opts.TLSDir != "":
		copts = append(copts,
			client.WithServerConfig(opts.ServerName, filepath.Join(opts.TLSDir, "ca.pem")),
			client.WithCredentials(filepath.Join(opts.TLSDir, "cert.pem"), filepath.Join(opts.TLSDir, "key.pem")))
	}
	c, err := client.New(ctx, address, copts...)
	if err != nil {
		return nil, &UnreachableError{Address: opts.Address, Err: err}
	}
	bc := &Client{c: c, address: opts.Address, silence: cmp.Or(opts.Silence, 30*time.Second), onClose: opts.OnClose, program: via, docker: docker}
	dctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	workers, err := c.ListWorkers(dctx)
	if err != nil {
		_ = c.Close() // the connection never worked
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, bc.unreachable(err)
	}
	bc.meet(workers)
	if docker != nil {
		bc.store = engine.Ask(dctx, u)
	}
	if opts.Accept != nil {
		if err := opts.Accept(ctx, bc); err != nil {
			return nil, errors.Join(err, bc.Close())
		}
	}
	return bc, nil
}

// engineLabel is what the BuildKit of a Docker Engine says of itself, also where unix:// leads to that engine's socket.
const engineLabel = "org.mobyproject.buildkit.worker.moby.host-gateway-ip"

// meet notes which platforms the builder has, of which the first is its machine's,
// and what else it says of itself.
func (c *Client) meet(workers []*client.WorkerInfo) {
	for _, w := range workers {
		if types := w.Labels[protocol.CachesLabel]; types != "" {
			c.caches = strings.Split(types, ",")
		}
		if _, own := w.Labels[engineLabel]; c.docker == nil && !own { // an engine gives steps its bridge, whatever the label says
			c.network = w.Labels[protocol.NetworkLabel]
		}
		c.trusts = w.Labels[protocol.TrustLabel] != ""
		for _, p := range w.Platforms {
			if len(c.lists) == 0 {
				c.native = p
			}
			c.lists = append(c.lists, platformString(p))
		}
	}
}

// Close ends the connection. Solves under way fail.
func (c *Client) Close() error {
	err := c.c.Close()
	if c.onClose != nil {
		c.onClose()
	}
	return err
}

// Address is what the client was dialled with.
func (c *Client) Address() string { return c.address }

// Native is the platform of the builder's machine, as it was when it was dialled; one
// without workers has none, which is the zero value.
func (c *Client) Native() schema.Platform {
	return schema.Platform{OS: c.native.OS, Architecture: c.native.Architecture, Variant: c.native.Variant}
}

// Fits reports whether the builder has a platform, emulated or not, and whether it is
// one that its machine runs by itself, as it was when it was dialled.
func (c *Client) Fits(p schema.Platform) (has, native bool) {
	return slices.Contains(c.lists, PlatformName(p)), c.native.OS != "" && platforms.Only(c.native).Match(ociPlatform(p))
}

// Ping makes one round trip. A builder that does not answer is an [*UnreachableError].
func (c *Client) Ping(ctx context.Context) error {
	if _, err := c.c.ListWorkers(ctx); err != nil {
		return c.unreachable(err)
	}
	return nil
}

// programEnded is what is said of a builder when the program that leads to it has ended.
var programEnded = lazyregexp.New(`EOF|broken pipe|error while dialing|file already closed`)

// unreachable says that the builder does not answer, with what the program that leads to it, if there is one, has said.
func (c *Client) unreachable(err error) error {
	err = WithoutGRPC(err)
	said := c.program.Said()
	if c.docker != nil {
		err = cmp.Or(c.docker.Refused(), err)
	}
	switch {
	case said == "":
	case programEnded.MatchString(err.Error()):
		err = errors.New(said)
	default:
		err = fmt.Errorf("%w; %s", err, said)
	}
	return &UnreachableError{Address: c.address, Err: err}
}

// ErrNoWorkers is why a builder that answers makes nothing.
var ErrNoWorkers = errors.New("it has no workers")

// Info asks the builder for its version, platforms and snapshotter.
func (c *Client) Info(ctx context.Context) (Info, error) {
	workers, err := c.c.ListWorkers(ctx)
	if err != nil {
		return Info{}, c.unreachable(err)
	}
	info := Info{Address: c.address}
	// An old Docker Engine does not implement Info; its version stays unknown.
	if v, err := c.c.Info(ctx); err == nil {
		info.Version = v.BuildkitVersion.Version
	}
	for _, w := range workers {
		info.Snapshotter = w.Labels["org.mobyproject.buildkit.worker.snapshotter"]
		info.Executor = w.Labels["org.mobyproject.buildkit.worker.executor"]
		info.Network = c.network
		for _, p := range w.Platforms {
			s := platformString(p)
			if !slices.Contains(info.Platforms, s) {
				info.Platforms = append(info.Platforms, s)
			}
		}
	}
	return info, nil
}

// watchSilence returns a context that ends with ErrSilent when the builder answers
// nothing for too long, and what ends the attention. A stopped process keeps its
// connections open, and BuildKit's server takes frequent keepalive pings of
// gRPC's own for an attack.
func (c *Client) watchSilence(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		last := time.Now()
		tick := time.NewTicker(c.silence / 3)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			pctx, stop := context.WithTimeout(ctx, c.silence/3)
			_, err := c.c.ListWorkers(pctx)
			stop()
			if err == nil {
				last = time.Now()
			} else if time.Since(last) >= c.silence {
				cancel(ErrSilent)
				return
			}
		}
	}()
	return ctx, func() { cancel(nil) }
}

// ErrSilent is why a builder is given up that answers nothing for too long.
var ErrSilent = errors.New("it has stopped answering")

// stopped returns the error of a call whose context ended: nil when it did not.
func (c *Client) stopped(ctx context.Context) error {
	if ctx.Err() == nil {
		return nil
	}
	if errors.Is(context.Cause(ctx), ErrSilent) {
		return &UnreachableError{Address: c.address, Err: ErrSilent}
	}
	return ctx.Err()
}

// DiskUsage returns the bytes that the builder's cache holds.
func (c *Client) DiskUsage(ctx context.Context) (int64, error) {
	ctx, done := c.watchSilence(ctx)
	defer done()
	records, err := c.c.DiskUsage(ctx)
	if err != nil {
		if err := c.stopped(ctx); err != nil {
			return 0, err
		}
		return 0, fmt.Errorf("asking %s for its disk usage: %w", c.address, WithoutGRPC(err))
	}
	var n int64
	for _, r := range records {
		n += r.Size
	}
	return n, nil
}

// Prune drops what the builder's cache holds and no build uses, and returns
// the bytes that were freed. With keep, that many bytes may stay.
func (c *Client) Prune(ctx context.Context, keep int64) (int64, error) {
	opts := []client.PruneOption{client.PruneAll}
	if keep > 0 {
		opts = append(opts, client.WithKeepOpt(0, keep, 0, 0))
	}
	return c.prune(ctx, opts...)
}

// dropPatience is how long a container that uses a cache mount may take to be gone.
const dropPatience = 15 * time.Second

// DropMount drops what the builder has kept in the cache mount of a name, and returns how much
// that was. It is an error if somebody uses it.
func (c *Client) DropMount(ctx context.Context, name string) (int64, error) {
	is := client.WithFilter([]string{"description~=" + name})
	for began := time.Now(); ; {
		freed, err := c.prune(ctx, client.PruneAll, is)
		if err != nil {
			return freed, err
		}
		left, err := c.c.DiskUsage(ctx, is)
		switch {
		case err != nil:
			return freed, fmt.Errorf("asking %s what it keeps: %w", c.address, WithoutGRPC(err))
		case len(left) == 0:
			return freed, nil
		case time.Since(began) > dropPatience:
			return freed, errors.New("a container of the builder uses it")
		}
		select {
		case <-ctx.Done():
			return freed, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (c *Client) prune(ctx context.Context, opts ...client.PruneOption) (int64, error) {
	ctx, attended := c.watchSilence(ctx)
	defer attended()
	ch := make(chan client.UsageInfo)
	var freed int64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for u := range ch {
			freed += u.Size
		}
	}()
	err := c.c.Prune(ctx, ch, opts...)
	close(ch)
	<-done
	if err != nil {
		if err := c.stopped(ctx); err != nil {
			return freed, err
		}
		return freed, fmt.Errorf("pruning %s: %w", c.address, WithoutGRPC(err))
	}
	return freed, nil
}

// WithoutGRPC takes the wrappers of gRPC off an error.
func WithoutGRPC(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || grpcerrors.Code(err) == grpccodes.DeadlineExceeded {
		return errors.New("no answer in time")
	}
	s := err.Error()
	if i := strings.LastIndex(s, "desc = "); i >= 0 {
		s = s[i+len("desc = "):]
	}
	s = strings.TrimPrefix(s, "connection error: ")
	return errors.New(strings.Trim(s, `"`))
}
