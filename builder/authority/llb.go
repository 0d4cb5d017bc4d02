package authority

import (
	"fmt"
	"maps"
	"path"
	"slices"

	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	digest "github.com/opencontainers/go-digest"
)

// secretPrefix begins the ids of the secrets that steps mount.
const secretPrefix = "fnb-trust/"

// Secrets are what steps mount that [Trusted.Into] has changed, by id.
func (t Trusted) Secrets() map[string][]byte {
	out := map[string][]byte{}
	for name, data := range t.Files {
		out[secretPrefix+name] = data
	}
	return out
}

// Into has the steps of a description trust a company, for builders that cannot do it
// themselves: each mounts the files as secrets, and has the variables. That changes what
// the steps are called in a cache, and nothing in an image.
func (t Trusted) Into(def *llb.Definition) error {
	became := map[string]string{} // the digest of a step by what it was
	for i, raw := range def.Def {
		var op pb.Op
		if err := op.UnmarshalVT(raw); err != nil {
			return fmt.Errorf("reading a step: %w", err)
		}
		was := digest.FromBytes(raw)
		for _, in := range op.GetInputs() {
			if now, changed := became[in.GetDigest()]; changed {
				in.Digest = now
			}
		}
		if exec := op.GetExec(); exec != nil {
			t.exec(exec)
		}
		data, err := op.MarshalVT()
		if err != nil {
			return fmt.Errorf("writing a step: %w", err)
		}
		now := digest.FromBytes(data)
		if now == was {
			continue
		}
		def.Def[i], became[was.String()] = data, now.String()
		if meta, ok := def.Metadata[was]; ok {
			delete(def.Metadata, was)
			def.Metadata[now] = meta
		}
		if def.Source != nil {
			if at, ok := def.Source.Locations[was.String()]; ok {
				delete(def.Source.Locations, was.String())
				def.Source.Locations[now.String()] = at
			}
		}
	}
	return nil
}

// exec changes one step.
func (t Trusted) exec(e *pb.ExecOp) {
	e.Meta.Env = Step{Env: e.GetMeta().GetEnv()}.environment()
	for _, name := range slices.Sorted(maps.Keys(t.Files)) {
		e.Mounts = append(e.Mounts, &pb.Mount{
			Input: int64(pb.Empty), Output: int64(pb.SkipOutput), Dest: path.Join(Dir, name), MountType: pb.MountType_SECRET,
			SecretOpt: &pb.SecretOpt{ID: secretPrefix + name, Mode: 0o444},
		})
	}
}
