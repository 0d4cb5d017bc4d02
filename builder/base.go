package builder

import (
	"context"
	"maps"

	"fnb/schema"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client/llb/sourceresolver"
	gw "github.com/moby/buildkit/frontend/gateway/client"
	"github.com/moby/buildkit/solver/pb"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"
)

// Annotations of the OCI image spec that say what an image is made of.
const (
	baseName   = ocispecs.AnnotationBaseImageName
	baseDigest = ocispecs.AnnotationBaseImageDigest
)

// baseLabels names the base image and the digest that it has in this build. It
// is nil where the base cannot be found: the Dockerfile's own step says why.
func (b *build) baseLabels(ctx context.Context, g gw.Client, p ocispecs.Platform) map[string]string {
	if b.req.Base == "" {
		return nil
	}
	base, err := schema.ParseImageRef(b.req.Base)
	if err != nil {
		return nil
	}
	base = base.Exact()
	mode := pb.AttrImageResolveModeDefault
	if b.req.Pull {
		mode = pb.AttrImageResolveModeForcePull
	}
	platform := platforms.Normalize(p)
	_, digest, _, err := b.imageConfig(ctx, g, base.String(), sourceresolver.Opt{
		LogName:  "[internal] load metadata for " + base.String(),
		ImageOpt: &sourceresolver.ResolveImageOpt{Platform: &platform, ResolveMode: mode},
	})
	if err != nil {
		return nil
	}
	return map[string]string{baseName: base.String(), baseDigest: digest.String()}
}

// withLabels adds labels to those that the request has.
func (b *build) withLabels(more map[string]string) {
	if len(more) == 0 {
		return
	}
	labels := maps.Clone(more)
	maps.Copy(labels, b.req.Config.Labels)
	b.req.Config.Labels = labels
}
