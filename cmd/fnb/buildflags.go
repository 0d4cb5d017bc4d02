package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"fnb/builder"
	"fnb/packaging"
	"fnb/schema"
	"fnb/templates"
)

// A destination is where images go; the zero value is the image store.
type destination struct {
	kind string // "", push, load, oci, docker, local
	path string
}

// keep reports whether images go to the image store.
func (d destination) keep() bool { return d.kind == "" }

var buildArgName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// parse checks the flags. All that is wrong is reported at once.
func (o *buildOptions) parse(command string) error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, usagef(command, format, args...)) }
	var err error
	if o.buildArgs, err = keyValues(o.rawArgs, buildArgName); err != nil {
		bad("--build-arg %w", err)
	}
	if o.labels, err = keyValues(o.rawLabels, nil); err != nil {
		bad("--label %w", err)
	}
	if o.secrets, err = readSecrets(o.rawSecrets); err != nil {
		bad("--secret %w", err)
	}
	for _, s := range o.rawSSH {
		id, paths, found := strings.Cut(s, "=")
		a := builder.SSHAgent{ID: id}
		if found {
			a.Paths = strings.Split(paths, ",")
		}
		o.ssh = append(o.ssh, a)
	}
	for _, s := range o.platforms {
		p, err := schema.ParsePlatform(s)
		if err != nil {
			bad("--platform %q: %w", s, err)
		}
		o.forced = append(o.forced, p)
	}
	if o.imports, err = parseCaches(o.cacheFrom); err != nil {
		bad("--cache-from %w", err)
	}
	if o.exports, err = parseCaches(o.cacheTo); err != nil {
		bad("--cache-to %w", err)
	}
	if o.parallel < 1 {
		bad("--parallel %d: it has to be at least 1", o.parallel)
	}
	if o.dest, err = o.parseDestination(); err != nil {
		errs = append(errs, usagef(command, "%w", err))
	}
	return errors.Join(errs...)
}

func (o *buildOptions) parseDestination() (destination, error) {
	var ds []destination
	if o.push {
		ds = append(ds, destination{kind: "push"})
	}
	if o.load {
		ds = append(ds, destination{kind: "load"})
	}
	if o.output != "" {
		kind, path, _ := strings.Cut(o.output, "=")
		if !slices.Contains([]string{"oci", "docker", "local"}, kind) || path == "" {
			return destination{}, fmt.Errorf("--output %q: it is oci=FILE, docker=FILE or local=DIR", o.output)
		}
		ds = append(ds, destination{kind: kind, path: path})
	}
	if len(ds) > 1 {
		return destination{}, errors.New("--push, --load and --output exclude one another")
	}
	if len(ds) == 0 {
		return destination{}, nil
	}
	return ds[0], nil
}

// keyValues reads K=V pairs. The value may be empty and hold more "=". Its
// errors do not repeat the value, which may be a secret.
func keyValues(raw []string, key *regexp.Regexp) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range raw {
		k, v, ok := strings.Cut(s, "=")
		switch {
		case !ok:
			return nil, fmt.Errorf("%q: it has to be KEY=VALUE", s)
		case k == "" || key != nil && !key.MatchString(k):
			return nil, fmt.Errorf("%q: the key is not a name", k)
		}
		out[k] = v
	}
	return out, nil
}

// readSecrets reads id=ID,src=FILE and id=ID,env=VAR.
func readSecrets(raw []string) (map[string][]byte, error) {
	out := map[string][]byte{}
	for _, s := range raw {
		attrs, err := attributes(s)
		if err != nil {
			return nil, err
		}
		id, src, env := attrs["id"], attrs["src"], attrs["env"]
		if src == "" {
			src = attrs["source"]
		}
		switch {
		case id == "":
			return nil, fmt.Errorf("%q: it has no id; write id=ID,src=FILE or id=ID,env=VAR", s)
		case src != "" && env != "":
			return nil, fmt.Errorf("%q: it has both src and env", s)
		case src != "":
			if out[id], err = os.ReadFile(src); err != nil {
				return nil, fmt.Errorf("id=%s: %w", id, err)
			}
		default:
			if env == "" {
				env = id
			}
			v, ok := os.LookupEnv(env)
			if !ok {
				return nil, fmt.Errorf("id=%s: the environment variable %s is not set", id, env)
			}
			out[id] = []byte(v)
		}
	}
	return out, nil
}

// attributes reads k=v,k=v with the quoting of CSV, as docker build does.
func attributes(s string) (map[string]string, error) {
	fields, err := csv.NewReader(strings.NewReader(s)).Read()
	if err != nil {
		return nil, fmt.Errorf("%q: %w", s, err)
	}
	out := map[string]string{}
	for _, f := range fields {
		k, v, ok := strings.Cut(f, "=")
		if !ok {
			return nil, fmt.Errorf("%q: %q has to be KEY=VALUE", s, f)
		}
		out[strings.ToLower(strings.TrimSpace(k))] = v
	}
	return out, nil
}

// parseCaches reads cache specs. A bare reference is a cache in a registry.
func parseCaches(raw []string) ([]builder.Cache, error) {
	var out []builder.Cache
	for _, s := range raw {
		if !strings.Contains(s, "=") {
			s = "type=registry,ref=" + s
		}
		attrs, err := attributes(s)
		if err != nil {
			return nil, err
		}
		typ := attrs["type"]
		if typ == "" {
			return nil, fmt.Errorf("%q: it has no type", s)
		}
		delete(attrs, "type")
		out = append(out, builder.Cache{Type: typ, Attrs: attrs})
	}
	return out, nil
}

// request puts together what the builder is asked to make.
func (p *pipeline) request(j *job, tmpl *templates.Template, bc *packaging.Context) (builder.Request, error) {
	req := builder.Request{
		Name: j.fn.Name, Context: bc.FS, Dockerfile: bc.Dockerfile,
		Platforms: p.platformsOf(j.fn), BuildArgs: bc.BuildArgs, Target: p.opts.target,
		NoCache: p.opts.noCache, Pull: p.opts.pull, SSH: p.opts.ssh, Proxy: proxies(),
		Config: bc.Config, CacheFrom: p.opts.imports, CacheTo: p.opts.exports,
		Progress: p.progress, Credentials: p.registry.Credentials,
	}
	var err error
	if req.Epoch, err = epoch(); err != nil {
		return req, err
	}
	if p.opts.test {
		if tmpl.Manifest.Test == nil || tmpl.Manifest.Test.Target == "" {
			return req, fmt.Errorf("template %s has no test target; leave out --test", tmpl.Name)
		}
		req.Test = tmpl.Manifest.Test.Target
	}
	for k, v := range p.labels {
		req.Config.Labels[k] = v
	}
	for k, v := range p.opts.labels {
		req.Config.Labels[k] = v
	}
	if req.Secrets, err = p.secretsOf(bc); err != nil {
		return req, err
	}
	if req.Watchdog, err = watchdogOf(bc); err != nil {
		return req, err
	}
	return req, nil
}

func (p *pipeline) platformsOf(fn schema.Function) []schema.Platform {
	if len(p.opts.forced) > 0 {
		return p.opts.forced
	}
	return fn.Platforms
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

// epoch is SOURCE_DATE_EPOCH, 0 where it is not set.
func epoch() (int64, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("SOURCE_DATE_EPOCH=%q: it has to be seconds since 1970", s)
	}
	return n, nil
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
	var t target
	var err error
	switch d.kind {
	case "":
		return builder.Output{Store: p.images.Dir()}, nil, nil
	case "push":
		return builder.Output{Push: j.refs, PlainHTTP: p.registry.PlainHTTP(j.refs[0])}, nil, nil
	case "local":
		return builder.Output{Local: p.perFunction(d.path, j)}, nil, nil
	case "load":
		t, err = newDockerTarget(ctx)
	default:
		t, err = newFileTarget(p.perFunction(d.path, j))
	}
	if err != nil {
		return builder.Output{}, nil, err
	}
	out := builder.Output{Names: j.refs}
	open := func() (io.WriteCloser, error) { return t, nil }
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
	d := p.opts.dest
	if d.path != "" && len(jobs) > 1 && !strings.Contains(d.path, "%s") {
		return usagef("fnb build", "--output %s: %d functions would write over one another; put %%s, the function's name, into the path", p.opts.output, len(jobs))
	}
	return nil
}
