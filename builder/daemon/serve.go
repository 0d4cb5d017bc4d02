package daemon

import (
	"context"
	"os"
	"sync"
	"time"

	"github.com/moby/buildkit/client"
	"google.golang.org/grpc"

	"fnb/schema/settings"
)

// Options are the settings of the managed builder.
type Options struct {
	Idle       time.Duration                // it ends when no client was connected for so long; 0 is 30 minutes
	CacheBytes int64                        // its cache is kept below; 0 is 20 GB
	Version    string                       // of BuildKit, as clients are told; "" is unknown
	Registries map[string]settings.Registry // by host, as images are named: "docker.io"
	Network    string                       // of RUN steps: settings.NetworkOwn or settings.NetworkHost; "" is the first
	Reach      []string                     // "host:port" of this machine that a network of its own reaches all the same
	Records    int                          // of cache that are kept; 0 is recordLimit
}

func (o Options) idle() time.Duration {
	if o.Idle <= 0 {
		return 30 * time.Minute
	}
	return o.Idle
}

// gcPolicy keeps the cache small: what is quick to make again goes first.
func (o Options) gcPolicy() []client.PruneInfo {
	limit := o.CacheBytes
	if limit <= 0 {
		limit = 20e9
	}
	return []client.PruneInfo{
		{Filter: []string{"type==source.local", "type==source.git.checkout"}, KeepDuration: 48 * time.Hour, MaxUsedSpace: limit / 20},
		{KeepDuration: 30 * 24 * time.Hour, MaxUsedSpace: limit},
		{MaxUsedSpace: limit},
		{All: true, MaxUsedSpace: limit},
	}
}

// An activity counts the calls under way. It keeps a file while there are any,
// for other processes to see, and closes idle when there were none for a while.
type activity struct {
	busy  func() error // called before the first call
	quiet func()       // called after the last one

	mu    sync.Mutex
	n     int
	file  string
	after time.Duration
	timer *time.Timer
	idle  chan struct{}
}

func newActivity(file string, after time.Duration, busy func() error, quiet func()) *activity {
	a := &activity{busy: busy, quiet: quiet, file: file, after: after, idle: make(chan struct{})}
	a.timer = time.AfterFunc(after, a.expire)
	return a
}

func (a *activity) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n == 0 {
		select {
		case <-a.idle:
		default:
			close(a.idle)
		}
	}
}

func (a *activity) begin() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n == 0 {
		if err := a.busy(); err != nil {
			return err
		}
	}
	if a.n++; a.n == 1 {
		a.timer.Stop()
		_ = os.WriteFile(a.file, nil, 0o600) // a hint for others: without it the builder looks idle
	}
	return nil
}

func (a *activity) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.n--; a.n == 0 {
		a.timer.Reset(a.after)
		_ = os.Remove(a.file) // as above
		a.quiet()
	}
}

// unary counts only calls that build: a Solve lasts as long as its build, and a
// question such as Info must not make the builder look busy.
func (a *activity) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	switch info.FullMethod {
	case "/moby.buildkit.v1.Control/Info", "/moby.buildkit.v1.Control/ListWorkers":
		return next(ctx, req)
	}
	if err := a.begin(); err != nil {
		return nil, err
	}
	defer a.end()
	return next(ctx, req)
}

func (a *activity) stream(srv any, ss grpc.ServerStream, _ *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if err := a.begin(); err != nil {
		return err
	}
	defer a.end()
	return next(srv, ss)
}
