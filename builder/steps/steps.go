package steps

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/moby/buildkit/client/llb"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	gwpb "github.com/moby/buildkit/frontend/gateway/pb"
	"github.com/moby/buildkit/solver/errdefs"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"

	"fnb/internal/lazyregexp"
)

// A Failure is a step that failed, and can be looked at while its solve waits.
type Failure struct {
	Gateway gw.Client
	Step
	// Before says that the builder has lost what the step had changed: its files are those
	// that it began with.
	Before bool
	// Closed is why no container can be made of the step; "" where one can.
	Closed error
}

// A Step is one of a Dockerfile, with all that a container needs to be like it.
type Step struct {
	Name   string // as progress shows it
	Exec   *pb.ExecOp
	Mounts []gw.Mount // the first is its root
}

var (
	errRunsNothing = errors.New("it runs no program")
	errNoStep      = errors.New("the builder does not say which step it is")
)

// Failed is the step of a description that made its solve fail with err. What it has left the
// builder keeps under identifiers that come with the error. Said has the name of the step, if the error
// does not say which it is.
func Failed(ctx context.Context, g gw.Client, def *llb.Definition, err error, said <-chan string) *Failure {
	f := &Failure{Gateway: g}
	f.Closed = f.open(ctx, def, err, said)
	return f
}

func (f *Failure) open(ctx context.Context, def *llb.Definition, err error, said <-chan string) error {
	caps := f.Gateway.BuildOpts().Caps
	if caps.Supports(gwpb.CapGatewayExec) != nil {
		return errors.New("this builder runs no containers")
	}
	var se *errdefs.SolveError
	var ve *errdefs.VertexError
	if errors.As(err, &ve) {
		f.Name = Short(nameOf(def, digest.Digest(ve.Digest)))
	}
	if errors.As(err, &se) && se.GetOp() != nil {
		if f.Exec = se.GetOp().GetExec(); f.Exec == nil {
			return errRunsNothing
		}
		if ids := se.GetMountIDs(); len(ids) == len(f.Exec.GetMounts()) {
			for i, m := range f.Exec.GetMounts() {
				f.Mounts = append(f.Mounts, mountOf(m, ids[i], nil))
			}
			return nil
		}
	}
	// BuildKit v0.34 loses the error of a step of which two mounts are of one stage or context.
	step, err := named(ctx, def, said)
	if err != nil {
		return err
	}
	f.Before = true
	f.Step, err = makeStep(ctx, f.Gateway, def, step)
	return err
}

// patience is how long the word may take which step has failed.
const patience = 5 * time.Second

// named is the step of a description whose name is said.
func named(ctx context.Context, def *llb.Definition, said <-chan string) ([]byte, error) {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	select {
	case name := <-said:
		for _, raw := range def.Def {
			if nameOf(def, digest.FromBytes(raw)) == name {
				return raw, nil
			}
		}
	case <-ctx.Done():
	}
	return nil, errNoStep
}

// nameOf is what the Dockerfile calls a step of a description.
func nameOf(def *llb.Definition, step digest.Digest) string {
	return def.Metadata[step].Description["llb.customname"]
}

// mountOf is a step's mount for a container: of a result of the solve, or of ref, or of
// neither.
func mountOf(m *pb.Mount, id string, ref gw.Reference) gw.Mount {
	return gw.Mount{
		Selector: m.GetSelector(), Dest: m.GetDest(), ResultID: id, Ref: ref, Readonly: m.GetReadonly(), MountType: m.GetMountType(),
		CacheOpt: m.GetCacheOpt(), SecretOpt: m.GetSecretOpt(), SSHOpt: m.GetSSHOpt(),
	}
}

// makeStep has the builder make what a step is run on, from its cache.
func makeStep(ctx context.Context, g gw.Client, def *llb.Definition, step []byte) (Step, error) {
	var op pb.Op
	if err := op.UnmarshalVT(step); err != nil {
		return Step{}, fmt.Errorf("reading a step: %w", err)
	}
	made := Step{Name: Short(nameOf(def, digest.FromBytes(step))), Exec: op.GetExec()}
	if made.Exec == nil {
		return made, errRunsNothing
	}
	refs := make([]gw.Reference, len(op.GetInputs()))
	for _, m := range made.Exec.GetMounts() {
		var ref gw.Reference
		if n := m.GetInput(); n >= 0 && int(n) < len(refs) {
			if refs[n] == nil {
				var err error
				if refs[n], err = makePart(ctx, g, def, op.GetInputs()[n]); err != nil {
					return made, err
				}
			}
			ref = refs[n]
		}
		made.Mounts = append(made.Mounts, mountOf(m, "", ref))
	}
	return made, nil
}

// makePart has the builder make what one step of a description gives to another.
func makePart(ctx context.Context, g gw.Client, def *llb.Definition, in *pb.Input) (gw.Reference, error) {
	part, err := partOf(def, in)
	if err != nil {
		return nil, err
	}
	res, err := g.Solve(ctx, gw.SolveRequest{Definition: part, Evaluate: true})
	if err != nil {
		return nil, err
	}
	return res.SingleRef()
}

// partOf is the description of what one of its steps gives to another.
func partOf(def *llb.Definition, in *pb.Input) (*pb.Definition, error) {
	ops := map[string][]byte{}
	for _, raw := range def.Def {
		ops[digest.FromBytes(raw).String()] = raw
	}
	needed, todo := map[string]bool{}, []string{in.GetDigest()}
	for len(todo) > 0 {
		step := todo[0]
		todo = todo[1:]
		if needed[step] {
			continue
		}
		needed[step] = true
		var op pb.Op
		if err := op.UnmarshalVT(ops[step]); err != nil {
			return nil, fmt.Errorf("reading a step: %w", err)
		}
		for _, in := range op.GetInputs() {
			todo = append(todo, in.GetDigest())
		}
	}
	part := &llb.Definition{Metadata: map[digest.Digest]llb.OpMetadata{}, Constraints: def.Constraints}
	for _, raw := range def.Def { // in their order: each comes behind what it needs
		if step := digest.FromBytes(raw); needed[step.String()] {
			part.Def = append(part.Def, raw)
			part.Metadata[step] = def.Metadata[step]
		}
	}
	last, err := (&pb.Op{Inputs: []*pb.Input{in}}).MarshalVT()
	if err != nil {
		return nil, fmt.Errorf("writing a step: %w", err)
	}
	part.Def = append(part.Def, last)
	return part.ToPB(), nil
}

// Last is the RUN step of a description that its result was left by, or that came before it,
// with what it is run on; that has no Exec where there is none.
func Last(ctx context.Context, g gw.Client, def *llb.Definition) (Step, error) {
	ops := map[string][]byte{}
	for _, raw := range def.Def {
		ops[digest.FromBytes(raw).String()] = raw
	}
	var step []byte
	if len(def.Def) > 0 {
		step = def.Def[len(def.Def)-1]
	}
	for step != nil {
		var op pb.Op
		if err := op.UnmarshalVT(step); err != nil {
			return Step{}, fmt.Errorf("reading a step: %w", err)
		}
		if op.GetExec() != nil {
			return makeStep(ctx, g, def, step)
		}
		if len(op.GetInputs()) == 0 {
			break
		}
		step = ops[op.GetInputs()[0].GetDigest()]
	}
	return Step{}, nil
}

// Environment is what a step's program has of it.
func (s *Step) Environment() []string {
	meta := s.Exec.GetMeta()
	out := append([]string{}, meta.GetEnv()...)
	if p := meta.GetProxyEnv(); p != nil {
		for _, v := range [][2]string{{"HTTP_PROXY", p.GetHttpProxy()}, {"HTTPS_PROXY", p.GetHttpsProxy()}, {"FTP_PROXY", p.GetFtpProxy()}, {"NO_PROXY", p.GetNoProxy()}, {"ALL_PROXY", p.GetAllProxy()}} {
			if v[1] != "" {
				out = append(out, v[0]+"="+v[1], strings.ToLower(v[0])+"="+v[1])
			}
		}
	}
	return out
}

var runStep = lazyregexp.New(`^((?:\[[^\]]*\] )?RUN)(?:\s+--(?:mount|network|security|device)=\S+)*\s`)

// runWords is how many characters are shown of what a RUN step runs.
const runWords = 60

// Short is what a step is called wherever it is shown: RUN has its first words alone,
// since the Dockerfile has the rest.
func Short(name string) string {
	m := runStep.FindStringSubmatch(name)
	if m == nil {
		return name
	}
	script := []rune(strings.Join(strings.Fields(name[len(m[0]):]), " "))
	if len(script) > runWords {
		script = append(script[:runWords], '…')
	}
	return m[1] + " " + string(script)
}

// IgnoreCache has every step made anew, where BuildKit's frontend does that for those
// of RUN, COPY and ADD. What only fetches stays: it is what its digest says.
func IgnoreCache(def *llb.Definition) error {
	for _, raw := range def.Def {
		var op pb.Op
		if err := op.UnmarshalVT(raw); err != nil {
			return fmt.Errorf("reading a step: %w", err)
		}
		if op.GetSource() != nil {
			continue
		}
		step := digest.FromBytes(raw)
		meta := def.Metadata[step]
		meta.IgnoreCache = true
		def.Metadata[step] = meta
	}
	return nil
}
