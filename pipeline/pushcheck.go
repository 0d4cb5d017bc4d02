package pipeline

import (
	"context"
	"sync"
	"time"

	"fnb/builder"
)

// askAfter is how long a solve has to last before the registry is asked whether
// it would take the push: a shorter one is quicker to push than to ask for.
const askAfter = 300 * time.Millisecond

// A permission is what a registry says of pushes to a repository.
type permission struct {
	allowed context.Context // ends when pushes are refused
	ask     func()          // asks the registry, once
}

// whileAllowed runs a solve whose image is pushed. Meanwhile the registry is
// asked whether it would take the push; where it refuses, the solve is stopped,
// and the error is that of the push.
func (p *Pipeline) whileAllowed(ctx context.Context, j *Job, solve func(context.Context) (*builder.Result, error)) (*builder.Result, error) {
	if !p.pushes() || p.isSilent(j.Refs[0]) {
		return solve(ctx)
	}
	perm := p.permission(ctx, j.Refs[0])
	defer time.AfterFunc(askAfter, perm.ask).Stop()
	img, err := solve(perm.allowed)
	if err != nil && perm.allowed.Err() != nil && ctx.Err() == nil {
		return nil, While("pushing "+j.Refs[0].Text, context.Cause(perm.allowed))
	}
	return img, err
}

// registries are what a run knows of registries. The zero value is ready for use.
type registries struct {
	silent sync.Map // hosts of those that do not answer

	mu      sync.Mutex
	permits map[string]permission // by repository
}

// permission returns what is known of pushes to ref's repository. All functions
// of a repository share it, and the one question.
func (p *Pipeline) permission(ctx context.Context, ref Reference) permission {
	r := &p.remotes
	r.mu.Lock()
	defer r.mu.Unlock()
	repository := ref.Says.Name()
	if known, ok := r.permits[repository]; ok {
		return known
	}
	allowed, refuse := context.WithCancelCause(ctx)
	perm := permission{allowed: allowed, ask: sync.OnceFunc(func() {
		// Nobody waits for the answer: an image that is made before it comes is pushed.
		if err := p.Registry.MayPush(ctx, ref.Text); err != nil {
			refuse(err)
		}
	})}
	if r.permits == nil {
		r.permits = map[string]permission{}
	}
	r.permits[repository] = perm
	return perm
}
