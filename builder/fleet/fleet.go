package fleet

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"fnb/builder"
	"fnb/schema"
)

const (
	// fleetPatience bounds how long one builder of a fleet may hold up the
	// others, and fleetSilence how long one may answer nothing in a solve.
	fleetPatience = 5 * time.Second
	fleetSilence  = 15 * time.Second
	fleetRenewal  = time.Minute
	// fresh is how long an answer of a builder is taken for its health.
	fresh = 2 * time.Second
	// fleetLoad is how many solves a builder has at once before the next of a
	// function's rank gets one.
	fleetLoad = 4
)

// Options say which builders a fleet has. The zero values of all but Builders
// are good.
type Options struct {
	Builders []builder.Options // builders, and selectors of pods
	// Load is how many solves a builder has at once before another one is asked
	// although it has less in its cache; 0 is 4. When all have so many, none gets
	// more than five fourths of its share.
	Load int
	// Patience bounds each dial and each look at a builder's health; 0 is 5
	// seconds.
	Patience time.Duration
	// Silence is how long a builder may answer nothing in a solve; 0 is 15
	// seconds.
	Silence time.Duration
	// Renewal is how long a fleet whose builders have all gone waits until a selector finds others, as
	// in a rollout; 0 is 60 seconds.
	Renewal time.Duration
}

// A Fleet is several builders that share a run's work. Each solve goes to the
// builder that ranks first for the request's Affinity, so that what functions
// share is built once, unless that builder has more than its share; and each
// platform to a builder that has it natively, or else emulates it.
//
// A builder that cannot be reached, falls silent or goes away is retired: it
// gets nothing more from this fleet, and what it was doing goes to the next. Selectors are
// asked again then: a rollout of all builders leaves a fleet of the new ones.
// What is wrong with a function is never tried again. A Fleet dials nobody
// before the first solve, and is safe for concurrent use.
type Fleet struct {
	opts   Options
	once   sync.Once
	cancel context.CancelFunc // of the dials
	opened chan struct{}      // closed when every builder was dialled

	mu      sync.Mutex
	members []*member
	lost    []error

	renewing renewing
}

// A member is one builder of a fleet.
type member struct {
	client imageMaker
	gone   chan struct{} // closed when it is retired

	// Held by the fleet's lock:
	why  error // it was retired; nil while it is used
	busy int   // solves
	seen time.Time
}

// An imageMaker makes images: a [builder.Client], as a fleet uses it.
type imageMaker interface {
	Solve(ctx context.Context, req builder.Request) (*builder.Result, error)
	Digests(ctx context.Context, req builder.Request, refs []string) (digests map[string]string, failed map[string]error, err error)
	Address() string
	Native() schema.Platform
	Fits(p schema.Platform) (has, native bool)
	Ping(ctx context.Context) error
	Close() error
}

// A NoneLeftError says that no builder of a fleet can be used.
type NoneLeftError struct{ Lost []error }

func (e *NoneLeftError) Error() string {
	var why []string
	for _, err := range e.Lost {
		why = append(why, err.Error())
	}
	return "no builder of the fleet is left: " + strings.Join(why, "; ")
}

func (e *NoneLeftError) Unwrap() []error { return e.Lost }

// New returns a fleet that has not dialled anybody yet.
func New(opts Options) *Fleet {
	opts.Load = cmp.Or(max(opts.Load, 0), fleetLoad)
	opts.Patience = cmp.Or(opts.Patience, fleetPatience)
	opts.Silence = cmp.Or(opts.Silence, fleetSilence)
	opts.Renewal = cmp.Or(opts.Renewal, fleetRenewal)
	return &Fleet{opts: opts, opened: make(chan struct{})}
}

// Open dials every builder, all at once, and returns when each has answered or was
// given up; a solve does the same. Where none is left the error is a [*NoneLeftError].
func (f *Fleet) Open(ctx context.Context) error {
	if err := f.open(ctx); err != nil {
		return err
	}
	_, err := f.healthy()
	return err
}

func (f *Fleet) open(ctx context.Context) error {
	f.once.Do(func() {
		// Another caller's solve needs the dials when the first is interrupted.
		dctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		f.cancel = cancel
		f.renewing.life = dctx
		go func() {
			defer close(f.opened)
			f.dial(dctx)
		}()
	})
	select {
	case <-f.opened:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (f *Fleet) dial(ctx context.Context) {
	members := slices.Clone(f.opts.Builders)
	for i := range members {
		members[i].Patience, members[i].Silence = f.opts.Patience, f.opts.Silence
	}
	members, err := builder.Expand(ctx, members)
	clients := make([]*builder.Client, len(members))
	errs := make([]error, len(members))
	var wg sync.WaitGroup
	for i, o := range members {
		wg.Go(func() { clients[i], errs[i] = builder.Dial(ctx, o) })
	}
	wg.Wait()
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		f.lost = append(f.lost, unjoin(err)...)
	}
	for i, c := range clients {
		if errs[i] != nil {
			f.lost = append(f.lost, errs[i])
			continue
		}
		f.members = append(f.members, &member{client: c, gone: make(chan struct{}), seen: time.Now()})
	}
}

func unjoin(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // only a bare join is taken apart
		return j.Unwrap()
	}
	return []error{err}
}

// Close ends all connections. Solves under way fail.
func (f *Fleet) Close() error {
	f.once.Do(func() { close(f.opened) })
	if f.cancel != nil {
		f.cancel()
	}
	<-f.opened
	f.renewing.wait(&f.mu)
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs []error
	for _, n := range f.members {
		errs = append(errs, n.client.Close())
	}
	f.members = nil
	return errors.Join(errs...)
}

// Lost says which builders were retired, and why, in that order.
func (f *Fleet) Lost() []error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.lost)
}

// retire has nothing more sent to a builder. What it is doing for others is
// broken off.
func (f *Fleet) retire(n *member, why error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n.why != nil {
		return
	}
	n.why = why
	f.lost = append(f.lost, why)
	close(n.gone)
	f.lookAgain()
}

// healthy are the builders that can be used.
func (f *Fleet) healthy() ([]*member, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*member
	for _, n := range f.members {
		if n.why == nil {
			out = append(out, n)
		}
	}
	if len(out) == 0 {
		return nil, &NoneLeftError{Lost: slices.Clone(f.lost)}
	}
	return out, nil
}

// check makes sure that a builder answers, unless it just did. A process that
// was stopped keeps its connections and would hold a solve up for long.
func (f *Fleet) check(ctx context.Context, n *member) error {
	f.mu.Lock()
	known := time.Since(n.seen) < fresh
	f.mu.Unlock()
	if known {
		return nil
	}
	return f.ask(ctx, n)
}

// ask is check for a builder that is under suspicion.
func (f *Fleet) ask(ctx context.Context, n *member) error {
	pctx, cancel := context.WithTimeout(ctx, f.opts.Patience)
	defer cancel()
	if err := n.client.Ping(pctx); err != nil {
		return cmp.Or(ctx.Err(), err)
	}
	f.mu.Lock()
	n.seen = time.Now()
	f.mu.Unlock()
	return nil
}

// A MixedError says that a fleet's builders have different platforms and that
// nobody said which one is wanted.
type MixedError struct{ Platforms []string }

func (e *MixedError) Error() string {
	return "the builders are of different platforms, " + strings.Join(e.Platforms, " and ") + ", and none was asked for"
}

// defaultPlatform is the one that all builders have natively. Taking the first
// builder's would make another image when that one is away.
func (f *Fleet) defaultPlatform() (schema.Platform, error) {
	members, err := f.healthy()
	if err != nil {
		return schema.Platform{}, err
	}
	var all []string
	for _, n := range members {
		if s := builder.PlatformName(n.client.Native()); !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	if len(all) > 1 {
		slices.Sort(all)
		return schema.Platform{}, &MixedError{Platforms: all}
	}
	p := members[0].client.Native()
	if p.OS == "" {
		return schema.Platform{}, &builder.UnreachableError{Address: members[0].client.Address(), Err: builder.ErrNoWorkers}
	}
	return p, nil
}

// DefaultPlatform returns the platform that images are made for when none is
// asked for. Where the builders differ the error is a [*MixedError].
func (f *Fleet) DefaultPlatform(ctx context.Context) (schema.Platform, error) {
	if err := f.open(ctx); err != nil {
		return schema.Platform{}, err
	}
	return f.defaultPlatform()
}

// A group is the builders that may solve platforms together.
type group struct {
	platforms []schema.Platform
	members   []*member
}

// groups says which platforms are solved together, and by whom. A platform goes
// to the builders that have it natively, or else to those that emulate it, or
// else, since an image without a RUN step needs neither, to any. Platforms that
// one builder can have together stay together.
func groups(members []*member, ps []schema.Platform) []group {
	var out []group
	for _, p := range ps {
		able := fitting(members, p)
		i := slices.IndexFunc(out, func(c group) bool { return len(common(c.members, able)) > 0 })
		if i < 0 {
			out = append(out, group{platforms: []schema.Platform{p}, members: able})
			continue
		}
		out[i].platforms = append(out[i].platforms, p)
		out[i].members = common(out[i].members, able)
	}
	return out
}

func fitting(members []*member, p schema.Platform) []*member {
	var native, listed []*member
	for _, n := range members {
		has, own := n.client.Fits(p)
		if own {
			native = append(native, n)
		}
		if has {
			listed = append(listed, n)
		}
	}
	switch {
	case len(native) > 0:
		return native
	case len(listed) > 0:
		return listed
	}
	return members
}

func common(a, b []*member) []*member {
	var out []*member
	for _, n := range a {
		if slices.Contains(b, n) {
			out = append(out, n)
		}
	}
	return out
}

// take chooses a builder of a group for a key, and counts the solve.
func (f *Fleet) take(c group, key string) (*member, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ranked []*member
	total := 1 // with this one
	for _, n := range c.members {
		if n.why == nil {
			ranked = append(ranked, n)
			total += n.busy
		}
	}
	if len(ranked) == 0 {
		return nil, errNobody
	}
	slices.SortStableFunc(ranked, func(a, b *member) int {
		return cmp.Compare(score(b.client.Address(), key), score(a.client.Address(), key))
	})
	share := (total + len(ranked) - 1) / len(ranked)
	limit := max(f.opts.Load, share, 5*total/(4*len(ranked)))
	chosen := ranked[0]
	if i := slices.IndexFunc(ranked, func(n *member) bool { return n.busy < limit }); i >= 0 {
		chosen = ranked[i]
	}
	chosen.busy++
	return chosen, nil
}

func (f *Fleet) put(n *member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n.busy--
	n.seen = time.Now()
}

var (
	errNobody  = errors.New("every builder that could do it was retired just now")
	errRetired = errors.New("it was retired")
)

// within returns a context that ends when the builder is retired.
func (n *member) within(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() {
		select {
		case <-n.gone:
			cancel(errRetired)
		case <-ctx.Done():
		}
	}()
	return ctx, func() { cancel(nil) }
}

// lostTo returns why a builder is to be retired after err, nil where err is the
// function's own fault.
func (f *Fleet) lostTo(ctx context.Context, n *member, err error) error {
	var se *builder.SolveError
	if errors.As(err, &se) && se.Step != "" && !strings.Contains(se.Problem, context.Canceled.Error()) {
		return nil
	}
	f.mu.Lock()
	why := n.why
	f.mu.Unlock()
	if why != nil {
		return why
	}
	var ue *builder.UnreachableError
	if errors.As(err, &ue) {
		return ue
	}
	// A builder that is ending fails its solves in words of its own.
	if gone := f.ask(ctx, n); gone != nil && ctx.Err() == nil {
		return gone
	}
	return nil
}
