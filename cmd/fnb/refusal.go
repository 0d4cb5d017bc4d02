package main

import (
	"context"

	"fnb/builder"
	"fnb/registry"
)

// whileAllowed runs a solve whose image is pushed. Meanwhile the registry is
// asked whether it would take the push; where it refuses, the solve is stopped,
// and the error is that of the push.
func (p *pipeline) whileAllowed(ctx context.Context, j *job, solve func(context.Context) (*builder.Result, error)) (*builder.Result, error) {
	if !p.opts.push || p.offline || p.isSilent(j.refs[0]) {
		return solve(ctx)
	}
	allowed := p.allowed(ctx, j.refs[0])
	img, err := solve(allowed)
	if err != nil && allowed.Err() != nil && ctx.Err() == nil {
		j.doing = "pushing " + j.refs[0]
		return nil, context.Cause(allowed)
	}
	return img, err
}

// allowed is a context that ends when the registry refuses pushes to ref's
// repository. All functions of a repository share it, and the one question.
func (p *pipeline) allowed(ctx context.Context, ref string) context.Context {
	p.mu.Lock()
	defer p.mu.Unlock()
	repository := registry.Repository(ref)
	if known, ok := p.pushes[repository]; ok {
		return known
	}
	allowed, refuse := context.WithCancelCause(ctx)
	if p.pushes == nil {
		p.pushes = map[string]context.Context{}
	}
	p.pushes[repository] = allowed
	go func() {
		// Nobody waits for the answer: an image that is made before it comes is pushed.
		if err := p.registry.MayPush(ctx, ref); err != nil {
			refuse(err)
		}
	}()
	return allowed
}
