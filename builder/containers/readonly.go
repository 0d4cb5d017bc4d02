package containers

import (
	"context"
	"os"
	"slices"

	"github.com/moby/buildkit/client/llb"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/builder"
)

// tmpDir is where a container can write whose other files it cannot change.
const tmpDir = "/tmp"

// locked is a root whose folders are those of an image and cannot be written to, with an empty /tmp that can be. BuildKit
// lets every container write to its root: so this one has little of its own, and mounts the rest.
// What is copied belongs to whom it belongs in the image, and that is root with what a runtime writes to itself.
func (r *runner) locked(ctx context.Context, s *builder.Session, root gw.Reference) (gw.Reference, []gw.Mount, error) {
	all, err := root.ReadDir(ctx, gw.ReadDirRequest{Path: "/"})
	if err != nil {
		return nil, nil, err
	}
	image, err := root.ToState()
	if err != nil {
		return nil, nil, err
	}
	copied := []string{"etc"} // the builder mounts files there
	if len(r.Secrets) > 0 {
		copied = append(copied, "var")
	}
	own := llb.Scratch().File(llb.Mkdir(tmpDir, 0o1777))
	mounts := []gw.Mount{{Dest: tmpDir, MountType: pb.MountType_TMPFS}}
	for _, f := range all {
		name := f.Path
		switch folder := os.FileMode(f.Mode).IsDir(); {
		case slices.Contains([]string{"dev", "proc", "sys", tmpDir[1:], tunnelDir[1:]}, name):
		case folder && !slices.Contains(copied, name):
			mounts = append(mounts, gw.Mount{Dest: "/" + name, Ref: root, Selector: "/" + name, MountType: pb.MountType_BIND, Readonly: true})
		default:
			how := &llb.CopyInfo{CopyDirContentsOnly: folder, CreateDestPath: true}
			if mode := os.FileMode(f.Mode); mode.IsRegular() {
				how.Mode = &llb.ChmodOpt{Mode: mode.Perm() &^ 0o222}
			}
			own = own.File(llb.Copy(image, "/"+name, "/"+name, how))
		}
	}
	p := r.image.Platforms[0]
	def, err := own.Marshal(ctx, llb.Platform(ocispecs.Platform{OS: p.OS, Architecture: p.Architecture, Variant: p.Variant}), llb.WithCaps(s.Gateway.BuildOpts().LLBCaps))
	if err != nil {
		return nil, nil, err
	}
	made, err := s.Gateway.Solve(ctx, gw.SolveRequest{Definition: def.ToPB(), Evaluate: true})
	if err != nil {
		return nil, nil, err
	}
	ref, err := made.SingleRef()
	return ref, mounts, err
}
