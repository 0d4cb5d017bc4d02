package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"fnb/builder"
	"fnb/packaging"
	"fnb/schema"
	"fnb/templates"
)

// sumsFrom is the size of a build context, in files, that is worth telling the
// builder's client about.
const sumsFrom = 256

// A plan is what the builder would be asked to make, and everything that decides
// what comes of it.
type plan struct {
	req      builder.Request
	inputs   packaging.Inputs
	digest   string // of the inputs
	unpinned string // why equal inputs need not be an equal image; "" where they are
	shared   string // reference of the build cache that functions share; "" without
	steps    string // SHA-256 of the Dockerfile
	own      bool   // the Dockerfile is the function's
}

// plan puts together what the builder would be asked to make. The builder itself
// is only asked where the lock lacks a base image.
func (p *pipeline) plan(ctx context.Context, j *job, tmpl *templates.Template, bc *packaging.Context) (*plan, error) {
	j.doing = "building " + j.refs[0]
	defer j.clock("plan")()
	pl := &plan{req: builder.Request{
		Name: j.fn.Name, Context: bc.FS, Dockerfile: bc.Dockerfile.File, BuildArgs: bc.BuildArgs, Target: p.opts.target,
		NoCache: p.opts.noCache, Pull: p.opts.pull, SSH: p.opts.ssh, Proxy: proxies(),
		Config: bc.Config, Affinity: tmpl.Name + "@" + j.report.Pin.Checksum,
		Progress: p.progress, Credentials: p.registry.Credentials, Registries: p.mirrors, Images: imagesOf(bc),
	}}
	req := &pl.req
	if len(bc.Files) > sumsFrom {
		req.Sums = make(map[string]string, len(bc.Files))
		for _, f := range bc.Files {
			req.Sums[f.Path] = f.Sum
		}
	}
	var err error
	if req.Platforms, err = p.platformsOf(ctx, j.fn); err != nil {
		return nil, err
	}
	if p.opts.test {
		if req.Test = testTarget(j.fn, tmpl); req.Test == "" {
			return nil, fmt.Errorf("template %s has no test target; name the stage with test.target in the stack file, or leave out --test", tmpl.Name)
		}
	}
	req.Epoch = p.epoch
	created := int64(builder.DefaultEpoch)
	if p.epoch != nil {
		created = *p.epoch
	}
	req.Config.Labels["org.opencontainers.image.created"] = time.Unix(created, 0).UTC().Format(time.RFC3339)
	maps.Copy(req.Config.Labels, p.opts.labels)
	sum := sha256.Sum256(bc.Dockerfile.Data)
	pl.steps, pl.own = hex.EncodeToString(sum[:]), tmpl.Dockerfile.Path == ""
	if req.Bases, pl.unpinned, err = p.pinBases(ctx, *req, bc); err != nil {
		return nil, err
	}
	req.CacheMounts = p.cacheMounts(j, tmpl, bc.Dockerfile)
	req.Base = bc.Dockerfile.Base(p.opts.target)
	if req.Secrets, err = p.secretsOf(bc); err != nil {
		return nil, err
	}
	if req.Watchdog, err = watchdogOf(bc); err != nil {
		return nil, err
	}
	floating, err := p.pinWatchdog(ctx, j, req, bc.Watchdog)
	if err != nil {
		return nil, err
	}
	pl.unpinned = strings.Join(slices.DeleteFunc([]string{pl.unpinned, floating}, func(s string) bool { return s == "" }), ", ")
	if pl.inputs, err = bc.Inputs(settings(req, created)); err != nil {
		return nil, err
	}
	pl.digest = pl.inputs.Digest()
	j.report.InputDigest = pl.digest
	return pl, p.caches(j, pl, tmpl, bc)
}

// cacheMounts says with which functions one shares the caches that RUN steps mount:
// those of its template, of whichever version, on the same base images. What another
// base image's package manager has built may not work here, and what another template
// has put there is not to be trusted. A build without cache empties them.
func (p *pipeline) cacheMounts(j *job, tmpl *templates.Template, dockerfile *templates.Dockerfile) string {
	bases := slices.Sorted(slices.Values(dockerfile.Summary().Bases))
	words := append([]string{j.report.Pin.Store, tmpl.Name}, bases...)
	if p.apart {
		words = append(words, j.refs[0])
	}
	h := sha256.New()
	for _, s := range words {
		fmt.Fprintf(h, "%q\n", s)
	}
	return "fnb-" + hex.EncodeToString(h.Sum(nil)[:8])
}

// settings are what decides an image beside its build context.
func settings(req *builder.Request, created int64) packaging.Settings {
	s := packaging.Settings{
		Platforms: req.Platforms, Target: req.Target, Bases: req.Bases, Labels: req.Config.Labels,
		Secrets: slices.Sorted(maps.Keys(req.Secrets)), Epoch: created,
	}
	for _, agent := range req.SSH {
		s.SSH = append(s.SSH, agent.ID)
	}
	return s
}

// describeSource adds the labels that are no inputs: where the source is, its
// revision, and the digest of the inputs. An image of equal inputs that is there
// already keeps those it has.
func (p *pipeline) describeSource(ctx context.Context, j *job, req *builder.Request, input string) {
	source, note := p.source, ""
	if source == nil {
		source, note = p.revisionLabels(ctx)
	}
	if note != "" {
		j.report.Warnings = append(j.report.Warnings, note)
	}
	for k, v := range source {
		if _, given := p.opts.labels[k]; !given {
			req.Config.Labels[k] = v
		}
	}
	req.Config.Labels[schema.InputLabel] = input
}

// platformsOf are the platforms to build for: those of the command line, of the
// stack, or else the builder's own.
func (p *pipeline) platformsOf(ctx context.Context, fn schema.Function) ([]schema.Platform, error) {
	switch {
	case len(p.opts.forced) > 0:
		return p.opts.forced, nil
	case len(fn.Platforms) > 0:
		return fn.Platforms, nil
	}
	own, err := p.builder.platform(ctx)
	return []schema.Platform{own}, err
}

// secretsOf reads the function's secrets; those of the command line win.
func (p *pipeline) secretsOf(bc *packaging.Context) (map[string][]byte, error) {
	out := map[string][]byte{}
	for id, file := range bc.Secrets {
		data, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading the build secret %s: %w", id, err)
		}
		out[id] = data
	}
	for id, data := range p.opts.secrets {
		out[id] = data
	}
	return out, nil
}

func watchdogOf(bc *packaging.Context) (builder.Watchdog, error) {
	switch bc.Watchdog {
	case "":
		return builder.Watchdog{}, nil
	case "default":
		w, err := packaging.Watchdog()
		if err != nil {
			return builder.Watchdog{}, err
		}
		return builder.Watchdog{Layout: w.FS, Manifests: w.Manifests}, nil
	}
	return builder.Watchdog{Reference: bc.Watchdog}, nil
}

// epoch is SOURCE_DATE_EPOCH, nil where it is not set.
func epoch() (*int64, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return nil, usagef("fnb", "SOURCE_DATE_EPOCH=%q: it has to be seconds since 1970", s)
	}
	return &n, nil
}

// proxies are the proxy variables of the environment, which BuildKit passes to
// RUN steps and keeps out of images and cache keys.
func proxies() map[string]string {
	out := map[string]string{}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"} {
		for _, n := range []string{strings.ToLower(name), name} {
			if v := os.Getenv(n); v != "" {
				out[name] = v
			}
		}
	}
	return out
}

// output says where a job's image goes. The target, where there is one, has to
// be committed once the image is made.
func (p *pipeline) output(ctx context.Context, j *job) (builder.Output, target, error) {
	d := p.opts.dest
	var t *freshTarget
	var err error
	switch d.kind {
	case "":
		return builder.Output{Store: p.images.Dir()}, nil, nil
	case "push":
		return builder.Output{Push: j.refs, PlainHTTP: p.registry.PlainHTTP(j.refs[0])}, nil, nil
	case "local":
		return builder.Output{Local: p.perFunction(d.path, j)}, nil, nil
	case "load":
		t, err = newTarget(func() (target, error) { return newDockerTarget(ctx) })
	default:
		t, err = newTarget(func() (target, error) { return newFileTarget(p.perFunction(d.path, j)) })
	}
	if err != nil {
		return builder.Output{}, nil, err
	}
	out := builder.Output{Names: j.refs}
	open := t.open
	if d.kind == "oci" {
		out.OCI = open
	} else {
		out.Docker = open
	}
	return out, t, nil
}

// perFunction gives each function a file of its own: "%s" in the path is
// replaced with its name.
func (p *pipeline) perFunction(path string, j *job) string {
	return filepath.Clean(strings.ReplaceAll(path, "%s", j.fn.Name))
}

// prepareOutput refuses an output that several functions would write over one
// another.
func (p *pipeline) prepareOutput(jobs []*job) error {
	for _, c := range p.opts.exports {
		key := cacheKey(c.Type)
		if place := c.Attrs[key]; len(jobs) > 1 && !strings.Contains(place, "%s") {
			return usagef("fnb build", "--cache-to type=%s,%s=%s: %d functions would write over one another; put %%s, the function's name, into it", c.Type, key, place, len(jobs))
		}
	}
	d := p.opts.dest
	if d.path != "" && len(jobs) > 1 && !strings.Contains(d.path, "%s") {
		return usagef("fnb build", "--output %s: %d functions would write over one another; put %%s, the function's name, into the path", p.opts.output, len(jobs))
	}
	return nil
}
