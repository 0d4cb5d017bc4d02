package main

import (
	"context"
	"sync"
	"time"

	"fnb/builder"
	"fnb/registry"
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
func (p *pipeline) whileAllowed(ctx context.Context, j *job, solve func(context.Context) (*builder.Result, error)) (*builder.Result, error) {
	if !p.opts.push || p.isSilent(j.refs[0]) {
		return solve(ctx)
	}
	perm := p.permission(ctx, j.refs[0])
	defer time.AfterFunc(askAfter, perm.ask).Stop()
	img, err := solve(perm.allowed)
	if err != nil && perm.allowed.Err() != nil && ctx.Err() == nil {
		j.doing = "pushing " + j.refs[0]
		return nil, context.Cause(perm.allowed)
	}
	return img, err
}

// permission returns what is known of pushes to ref's repository. All functions
// of a repository share it, and the one question.
func (p *pipeline) permission(ctx context.Context, ref string) permission {
	p.mu.Lock()
	defer p.mu.Unlock()
	repository := registry.Repository(ref)
	if known, ok := p.pushes[repository]; ok {
		return known
	}
	allowed, refuse := context.WithCancelCause(ctx)
	perm := permission{allowed: allowed, ask: sync.OnceFunc(func() {
		// Nobody waits for the answer: an image that is made before it comes is pushed.
		if err := p.registry.MayPush(ctx, ref); err != nil {
			refuse(err)
		}
	})}
	if p.pushes == nil {
		p.pushes = map[string]permission{}
	}
	p.pushes[repository] = perm
	return perm
}
