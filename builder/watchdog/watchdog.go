// Package watchdog hands the watchdog to a builder: [Layer.Over] describes its layer on an
// image, and [Layer.Serve] puts what that is made of into a session.
package watchdog

import (
	"fmt"
	"io/fs"
	"strings"

	"github.com/containerd/platforms"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/client/llb"
	"github.com/moby/buildkit/solver/pb"
	"github.com/moby/buildkit/util/apicaps"
	ocispecs "github.com/opencontainers/image-spec/specs-go/v1"

	"fnb/builder/buildcontext"
)

// Path is where the watchdog stands in every image.
const Path = "/usr/bin/fwatchdog"

// A Layer says which watchdog is meant. The zero value is none.
type Layer struct {
	// Layout is an OCI image layout, and Manifests the digest of the image in
	// it for each platform.
	Layout    fs.FS
	Manifests map[string]string
	// Reference is an image to take /fwatchdog from, instead.
	Reference string
}

// A Use is what a session has a watchdog for: it may have one for each.
type Use string

// Uses of a watchdog.
const (
	Image  Use = "fnbwatchdog" // it is a part of the image
	Tunnel Use = "fnbtunnel"   // it reaches into a container
)

// local is the session's name for the watchdog's program.
func (u Use) local(platform string) string {
	return string(u) + "-" + strings.ReplaceAll(platform, "/", "-")
}

// None reports whether there is no watchdog.
func (w Layer) None() bool { return w.Layout == nil && w.Reference == "" }

// State holds nothing but the watchdog for a platform. A builder that
// cannot read an OCI layout is sent the program itself.
func (w Layer) State(use Use, p ocispecs.Platform, caps apicaps.CapSet) (llb.State, error) {
	id := platforms.Format(p)
	if w.Layout == nil {
		src := llb.Image(w.Reference, llb.Platform(p), llb.WithCustomName("[fnb] watchdog "+w.Reference))
		return llb.Scratch().File(copied(src, "/fwatchdog"), llb.WithCustomName("[fnb] copy the watchdog")), nil
	}
	dgst, ok := w.Manifests[id]
	if !ok {
		return llb.State{}, fmt.Errorf("there is no watchdog for the platform %s", id)
	}
	if caps.Supports(pb.CapSourceOCILayout) == nil {
		layer := llb.OCILayout("fnb.local/watchdog@"+dgst, llb.OCIStore("", string(use)), llb.Platform(p),
			llb.WithCustomName("[fnb] watchdog"))
		if use == Tunnel {
			// A Docker Engine mounts no layer into a container that no step has unpacked.
			layer = llb.Scratch().File(copied(layer, Path), llb.WithCustomName("[fnb] copy the watchdog"))
		}
		return layer, nil
	}
	src := llb.Local(use.local(id), llb.SharedKeyHint("fnb:watchdog:"+dgst), llb.WithCustomName("[fnb] receive the watchdog"))
	return llb.Scratch().File(copied(src, Path), llb.WithCustomName("[fnb] watchdog")), nil
}

func copied(src llb.State, from string) *llb.FileAction {
	mode := llb.ChmodOpt{Mode: 0o755}
	return llb.Copy(src, from, Path,
		&llb.CopyInfo{Mode: &mode, ChownOpt: &llb.ChownOpt{User: &llb.UserOpt{UID: 0}, Group: &llb.UserOpt{UID: 0}}, CreateDestPath: true},
		llb.WithCreatedTime(buildcontext.Time()))
}

// Over lays the watchdog's layer over the Dockerfile's result. A builder without merge
// (a Docker Engine's graph drivers) gets a copy instead.
func (w Layer) Over(app llb.State, p ocispecs.Platform, caps apicaps.CapSet) (llb.State, error) {
	layer, err := w.State(Image, p, caps)
	if err != nil {
		return llb.State{}, err
	}
	if caps.Supports(pb.CapMergeOp) == nil {
		return llb.Merge([]llb.State{app, layer}, llb.WithCustomName("[fnb] merge the watchdog's layer")), nil
	}
	return app.File(copied(layer, Path), llb.WithCustomName("[fnb] copy the watchdog")), nil
}

// Serve puts the watchdog's layout where a session's builder finds it, for platforms.
func (w Layer) Serve(opt *client.SolveOpt, use Use, ps ...ocispecs.Platform) {
	if w.Layout == nil {
		return
	}
	opt.OCIStores[string(use)] = &layoutStore{fsys: w.Layout}
	for _, p := range ps {
		id := platforms.Format(p)
		opt.LocalMounts[use.local(id)] = &program{layout: w.Layout, manifest: w.Manifests[id]}
	}
}
