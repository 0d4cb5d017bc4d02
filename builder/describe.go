package builder

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"strconv"
	"strings"

	"github.com/containerd/containerd/v2/core/content"
	"github.com/moby/buildkit/client"
	"github.com/moby/buildkit/session"
	"github.com/moby/buildkit/session/secrets/secretsprovider"
	"github.com/moby/buildkit/session/sshforward/sshprovider"

	"fnb/builder/buildcache"
	"fnb/builder/buildcontext"
	"fnb/builder/engine"
	"fnb/builder/watchdog"
	"fnb/schema"
)

// attach gives the session what the build may ask for: credentials for its registries
// and for those of further references, secrets, agents.
func attach(opt *client.SolveOpt, req *Request, refs ...string) error {
	var as []session.Attachable
	if req.Credentials != nil {
		as = append(as, req.credentials(refs...))
	}
	secrets := map[string][]byte{}
	maps.Copy(secrets, req.trusted)
	maps.Copy(secrets, req.Secrets)
	if len(secrets) > 0 {
		as = append(as, secretsprovider.FromMap(secrets))
	}
	if len(req.SSH) > 0 {
		var confs []sshprovider.AgentConfig
		for _, a := range req.SSH {
			confs = append(confs, sshprovider.AgentConfig{ID: a.ID, Paths: a.Paths})
		}
		p, err := sshprovider.NewSSHAgentProvider(confs)
		if err != nil {
			return fmt.Errorf("forwarding the ssh agent: %w", err)
		}
		as = append(as, p)
	}
	opt.Session = as
	return nil
}

// engineExporter gives a Docker Engine an image. It has it in both of its stores, and writes names in full there, without which
// the engine does not find them again ("docker.io/library/hello:1").
const engineExporter = "moby"

// export says where the image goes. What it returns is to be called after the
// solve.
func export(opt *client.SolveOpt, req *Request, keeps engine.Store) (release func(), err error) {
	release = func() {}
	attrs := map[string]string{
		"oci-mediatypes":    "true",
		"rewrite-timestamp": "true",
		"source-date-epoch": strconv.FormatInt(req.epoch(), 10),
		"compression":       "gzip",
		"force-compression": "false",
	}
	out := req.Output
	if len(out.Names) > 0 {
		attrs["name"] = strings.Join(out.Names, ",")
	}
	switch {
	case out.Store != "":
		var store content.Store
		if store, release, err = openStore(out.Store); err != nil {
			return nil, fmt.Errorf("opening the image store: %w", err)
		}
		attrs["tar"] = "false"
		opt.Exports = []client.ExportEntry{{Type: client.ExporterOCI, Attrs: attrs, OutputStore: store}}
	case len(out.Push) > 0:
		attrs["push"] = "true"
		attrs["name"] = strings.Join(out.Push, ",")
		attrs["store"] = "false"
		if out.ByDigest {
			repo, err := repository(out.Push[0])
			if err != nil {
				return nil, err
			}
			attrs["name"], attrs["push-by-digest"], attrs["name-canonical"] = repo, "true", "true"
		}
		attrs["registry.insecure"] = strconv.FormatBool(out.PlainHTTP)
		opt.Exports = []client.ExportEntry{{Type: client.ExporterImage, Attrs: attrs}}
	case out.OCI != nil:
		opt.Exports = []client.ExportEntry{{Type: client.ExporterOCI, Attrs: attrs, Output: fileOutput(out.OCI)}}
	case out.Docker != nil:
		opt.Exports = []client.ExportEntry{{Type: client.ExporterDocker, Attrs: attrs, Output: fileOutput(out.Docker)}}
	case out.Engine && keeps == engine.Drivers:
		opt.Exports = []client.ExportEntry{{Type: engineExporter, Attrs: map[string]string{"name": attrs["name"]}}}
	case out.Engine:
		opt.Exports = []client.ExportEntry{{Type: engineExporter, Attrs: attrs}}
	case out.Local != "":
		opt.Exports = []client.ExportEntry{{Type: client.ExporterLocal, OutputDir: out.Local}}
	case out.Tar != nil:
		opt.Exports = []client.ExportEntry{{Type: client.ExporterTar, Output: fileOutput(out.Tar)}}
	}
	return release, nil
}

// rewriting says whether exporters set the times of layers. That is part of an image: they keep a note of it at each layer.
// An engine cannot unpack an image of which it does, and unpacks it when a container is made of it.
func rewriting(exports []client.ExportEntry, wanted bool) {
	for _, e := range exports {
		if e.Attrs["rewrite-timestamp"] == "" {
			continue
		}
		e.Attrs["rewrite-timestamp"] = strconv.FormatBool(wanted)
		if e.Type == engineExporter {
			e.Attrs["unpack"] = strconv.FormatBool(!wanted)
		}
	}
}

func fileOutput(open func() (io.WriteCloser, error)) func(map[string]string) (io.WriteCloser, error) {
	return func(map[string]string) (io.WriteCloser, error) { return open() }
}

// cacheEntries has a cache that cannot be written fail no build, unless it says
// otherwise itself.
func cacheEntries(caches []buildcache.Cache) []client.CacheOptionsEntry {
	var es []client.CacheOptionsEntry
	for _, c := range caches {
		attrs := maps.Clone(c.Attrs)
		if attrs["ignore-error"] == "" {
			attrs["ignore-error"] = "true"
		}
		es = append(es, client.CacheOptionsEntry{Type: string(c.Type), Attrs: attrs})
	}
	return es
}

// prepare puts the build context and the watchdog's layout where the build
// finds them.
func (b *build) prepare(ctx context.Context, opt *client.SolveOpt) error {
	bc, err := buildcontext.Read(ctx, b.req.Context)
	if err != nil {
		return err
	}
	dockerfile, err := fs.ReadFile(b.req.Context, b.req.dockerfile())
	if err != nil {
		return fmt.Errorf("reading the Dockerfile: %w", err)
	}
	// Where nothing can see the times, the exporter sets them.
	seen := !b.req.exporterTimes() || bc.Seen(dockerfile, b.req.targets()...)
	st, sent, err := bc.Give(opt, "fnb:"+b.req.Name, b.req.Sums, seen)
	if err != nil {
		return err
	}
	b.sent, b.dockerfile, b.foreign = sent, dockerfile, Frontend(dockerfile, b.req.BuildArgs) != ""
	def, err := st.Marshal(ctx)
	if err != nil {
		return fmt.Errorf("describing the build context: %w", err)
	}
	b.context = def.ToPB()
	b.req.Watchdog.Serve(opt, watchdog.Image, ociPlatforms(b.req.Platforms)...)
	return nil
}

// repository is what an image is pushed to by its digest.
func repository(ref string) (string, error) {
	image, err := schema.ParseImageRef(ref)
	return image.Name(), err
}
