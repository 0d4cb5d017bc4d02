package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"fnb/builder"
	"fnb/builder/authority"
	"fnb/builder/buildcache"
	"fnb/internal/lazyregexp"
	"fnb/pipeline"
	"fnb/schema"
)

// complaints are what is wrong with a command line. All of it is reported at once.
type complaints struct {
	command string
	errs    []error
}

func (c *complaints) add(format string, args ...any) {
	c.errs = append(c.errs, usagef(c.command, format, args...))
}

// inputFlags are those that decide what an image is made of.
type inputFlags struct {
	outside      []string
	args         []string
	options      []string
	secrets      []string
	ssh          []string
	labels       []string
	copies       []string
	platforms    []string
	watchdog     string
	target       string
	noAccelerate bool
	insecure     []string
	authorities  []string
}

func (o *inputFlags) addFlags(f *pflag.FlagSet) {
	addOutsideFlag(f, &o.outside)
	f.StringArrayVarP(&o.args, "build-arg", "b", nil, "set the build arg `K=V` (repeatable)")
	f.StringArrayVar(&o.options, "build-option", nil, "add the packages of the template's option `NAME` (repeatable)")
	f.StringArrayVar(&o.secrets, "secret", nil, "let RUN steps mount a secret: `id=ID,src=FILE` or id=ID,env=VAR (repeatable)")
	f.StringArrayVar(&o.ssh, "ssh", nil, "let RUN steps use the ssh agent `ID`: default, or ID=KEYFILE (repeatable)")
	f.StringArrayVar(&o.labels, "label", nil, "set the label `K=V` on the image (repeatable)")
	f.StringArrayVar(&o.copies, "copy", nil, "copy `PATH` into every handler (repeatable)")
	f.StringVar(&o.watchdog, "watchdog", "", "layer in the watchdog of the image `REF`, or none")
	f.BoolVar(&o.noAccelerate, "no-accelerate", false, "build Dockerfiles as they are written, without cache mounts of fnb's")
	f.StringVar(&o.target, "target", "", "stop at the `STAGE` of the Dockerfile")
	addInsecureFlag(f, &o.insecure)
	addAuthorityFlag(f, &o.authorities)
}

// settings are those of the flags alone.
func (o *inputFlags) settings(command string) (s pipeline.Settings, err error) {
	bad := &complaints{command: command}
	o.fill(&s, bad)
	return s, errors.Join(bad.errs...)
}

func addInsecureFlag(f *pflag.FlagSet, dst *[]string) {
	f.StringSliceVar(dst, "insecure-registry", nil, "speak plain HTTP to the registry `HOST` (repeatable)")
}

// fill reads what the flags say into settings.
func (o *inputFlags) fill(s *pipeline.Settings, bad *complaints) {
	in := &s.Inputs
	var err error
	if in.BuildArgs, err = keyValues(o.args, buildArgName); err != nil {
		bad.add("--build-arg %w", err)
	}
	if in.Labels, err = keyValues(o.labels, nil); err != nil {
		bad.add("--label %w", err)
	}
	if in.Secrets, in.SecretFiles, err = readSecrets(o.secrets); err != nil {
		bad.add("--secret %w", err)
	}
	if in.SSH, err = readAgents(o.ssh); err != nil {
		bad.add("--ssh %w", err)
	}
	for _, file := range o.authorities {
		data, err := authority.Read(file)
		if err != nil {
			bad.add("--%s %w", authorityFlag, err)
		}
		s.Authorities = append(s.Authorities, data...)
	}
	for _, agent := range in.SSH {
		for _, key := range agent.Paths {
			if key, err = filepath.Abs(key); err != nil {
				bad.add("--ssh %w", err)
			}
			in.SecretFiles = append(in.SecretFiles, key)
		}
	}
	if o.platforms != nil && len(o.platforms) == 0 {
		bad.add("--platform names no platform")
	}
	for _, text := range o.platforms {
		p, err := schema.ParsePlatform(text)
		if err != nil {
			bad.add("--platform %q: %w", text, err)
		}
		in.Platforms = append(in.Platforms, p)
	}
	in.BuildOptions, in.Copies, in.Watchdog, in.Target, in.NoAccelerate = o.options, o.copies, o.watchdog, o.target, o.noAccelerate
	if s.Allow, err = absolute(o.outside); err != nil {
		bad.add("--%s: %w", outsideFlag, err)
	}
}

// tagFlags say what images are called.
type tagFlags struct {
	tags       []string
	extra      []string
	noInputTag bool
}

func (o *tagFlags) fill(s *pipeline.Settings, bad *complaints) {
	if len(o.extra) > 0 && len(o.tags) == 0 {
		o.tags = []string{"latest"}
	}
	s.Tags, s.NoInputTag = slices.Concat(o.tags, o.extra), o.noInputTag
	for _, rule := range s.Tags {
		if err := schema.ValidateTag(rule); err != nil && rule != "" {
			bad.add("--tag %q: %w", rule, err)
		}
	}
}

// cacheFlags say where build cache is.
type cacheFlags struct {
	from, to []string
	share    string
}

func (o *cacheFlags) addFlags(f *pflag.FlagSet) {
	f.StringArrayVar(&o.from, "cache-from", nil, "import build cache from `SPEC`: a reference, or type=TYPE,K=V,… (repeatable)")
	f.StringArrayVar(&o.to, "cache-to", nil, "export build cache to `SPEC` (repeatable)")
	f.StringVar(&o.share, "cache", "", "share build cache through the registry: `MODE` auto, or read to write none")
}

func (o *cacheFlags) fill(s *pipeline.Settings, bad *complaints) {
	var err error
	if s.Cache.Imports, err = parseCaches(o.from, false); err != nil {
		bad.add("--cache-from %w", err)
	}
	if s.Cache.Exports, err = parseCaches(o.to, true); err != nil {
		bad.add("--cache-to %w", err)
	}
	switch s.Cache.Share = pipeline.Sharing(o.share); s.Cache.Share {
	case pipeline.ShareNothing, pipeline.ShareAuto:
	case pipeline.ShareRead:
		if len(s.Cache.Exports) > 0 {
			bad.add("--cache read and --cache-to cannot be used together: one writes nothing")
		}
	default:
		bad.add("--cache %q: it must be auto or read", o.share)
	}
}

// destinationFlags say where images go.
type destinationFlags struct {
	push, load   bool
	output       string
	changedSince string
	contextOnly  string
	shrinkwrap   bool
	attest       attestFlags
}

func (o *destinationFlags) addFlags(f *pflag.FlagSet) {
	f.BoolVar(&o.push, "push", false, "push straight from the builder instead of keeping the image")
	o.attest.addFlags(f)
	f.BoolVar(&o.load, "load", false, "load the image into a Docker Engine")
	f.StringVarP(&o.output, "output", "o", "", "write the image to `DEST`: "+outputWords())
	f.StringVar(&o.changedSince, "changed-since", "", "print the functions whose inputs differ from the git revision `REV`, and stop")
	f.StringVar(&o.contextOnly, "context-only", "", "write the build contexts below `DIR` and stop")
	f.BoolVar(&o.shrinkwrap, "shrinkwrap", false, "write the build contexts below the folder build and stop")
	_ = f.MarkHidden("shrinkwrap") // by faas-cli's word; it is there
}

func (o *destinationFlags) fill(s *pipeline.Settings, bad *complaints) {
	if o.shrinkwrap && o.contextOnly == "" {
		o.contextOnly = "build"
	}
	if elsewhere := o.push || o.load || o.output != ""; elsewhere && o.contextOnly != "" {
		bad.add("--context-only builds nothing: leave out --push, --load and --output")
	} else if elsewhere && o.changedSince != "" {
		bad.add("--changed-since builds nothing: leave out --push, --load and --output")
	}
	d, err := o.destination(len(s.Inputs.Platforms))
	if err != nil {
		bad.add("%w", err)
	}
	if o.contextOnly != "" {
		d = pipeline.Destination{Kind: pipeline.ToContexts, Path: o.contextOnly}
	}
	if d.Attest, err = o.attest.wants(d.Kind); err != nil {
		bad.add("%w", err)
	}
	s.Destination, s.CompareOnly = d, o.changedSince != ""
}

func (o *destinationFlags) destination(platforms int) (pipeline.Destination, error) {
	var ds []pipeline.Destination
	if o.push {
		ds = append(ds, pipeline.Destination{Kind: pipeline.ToRegistry})
	}
	if o.load {
		ds = append(ds, pipeline.Destination{Kind: pipeline.ToEngine})
	}
	if o.output != "" {
		word, path, _ := strings.Cut(o.output, "=")
		all := pipeline.Outputs()
		i := slices.IndexFunc(all, func(k pipeline.Output) bool { return string(k.Kind) == word })
		if i < 0 || path == "" {
			return pipeline.Destination{}, fmt.Errorf("--output %q: it must be %s", o.output, outputWords())
		}
		switch {
		case path == "-":
			return pipeline.Destination{}, fmt.Errorf("--output %s: images are written to files only; name one", o.output)
		case all[i].OnePlatform && platforms > 1:
			return pipeline.Destination{}, fmt.Errorf("--output %s: that format has one platform; name one with --platform, or write several with: --output oci=%s", o.output, path)
		}
		ds = append(ds, pipeline.Destination{Kind: all[i].Kind, Path: path})
	}
	if len(ds) > 1 {
		return pipeline.Destination{}, errors.New("--push, --load and --output cannot be used together")
	}
	if len(ds) == 0 {
		return pipeline.Destination{}, nil
	}
	return ds[0], nil
}

// outputWords says what --output can be.
func outputWords() string {
	var words []string
	for _, o := range pipeline.Outputs() {
		words = append(words, string(o.Kind)+"="+o.Operand)
	}
	return either(words)
}

// either lists words of which one is to be chosen.
func either(words []string) string {
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// withoutNetwork refuses flags that --offline leaves no sense.
func (g *globals) withoutNetwork(s pipeline.Settings) error {
	if !g.offline {
		return nil
	}
	remote := func(c buildcache.Cache) bool { return c.Type != buildcache.Local }
	for _, f := range []struct {
		name  string
		given bool
	}{
		{"--push", s.Destination.Kind == pipeline.ToRegistry},
		{"--pull", s.Pinning.Pull},
		{"--cache", s.Cache.Share != pipeline.ShareNothing},
		{"--cache-from", slices.ContainsFunc(s.Cache.Imports, remote)},
		{"--cache-to", slices.ContainsFunc(s.Cache.Exports, remote)},
	} {
		if f.given {
			return usagef("fnb build", "--offline and %s cannot be used together: one uses no network", f.name)
		}
	}
	return nil
}

// absolute are paths from the root.
func absolute(paths []string) ([]string, error) {
	var out []string
	for _, path := range paths {
		full, err := filepath.Abs(path)
		if err != nil {
			return nil, err
		}
		out = append(out, full)
	}
	return out, nil
}

// epoch is SOURCE_DATE_EPOCH, nil where it is not set.
func epoch() (*int64, error) {
	s := os.Getenv("SOURCE_DATE_EPOCH")
	if s == "" {
		return nil, nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 {
		return nil, usagef("fnb", "SOURCE_DATE_EPOCH=%q: it must be seconds since 1970", s)
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

var buildArgName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)

// keyValues reads K=V pairs. The value may be empty and hold more "=". Its
// errors do not repeat the value, which may be a secret.
func keyValues(raw []string, key *lazyregexp.Regexp) (map[string]string, error) {
	out := map[string]string{}
	for _, s := range raw {
		k, v, ok := strings.Cut(s, "=")
		switch {
		case !ok:
			return nil, fmt.Errorf("%q: it must be KEY=VALUE", s)
		case k == "" || key != nil && !key.MatchString(k):
			return nil, fmt.Errorf("%q: the key is not a name", k)
		}
		out[k] = v
	}
	return out, nil
}

// readSecrets reads id=ID,src=FILE and id=ID,env=VAR. The files are absolute.
func readSecrets(raw []string) (out map[string][]byte, files []string, err error) {
	out = map[string][]byte{}
	for _, s := range raw {
		attrs, err := attributes(s)
		if err != nil {
			return nil, nil, err
		}
		id, src, env := attrs["id"], attrs["src"], attrs["env"]
		if src == "" {
			src = attrs["source"]
		}
		switch {
		case id == "":
			return nil, nil, errors.New("it has no id; write id=ID,src=FILE or id=ID,env=VAR")
		case src != "" && env != "":
			return nil, nil, fmt.Errorf("id=%s: it has both src and env", id)
		case src != "":
			if out[id], err = os.ReadFile(src); err != nil {
				return nil, nil, fmt.Errorf("id=%s: %w", id, err)
			}
			if src, err = filepath.Abs(src); err != nil {
				return nil, nil, err
			}
			files = append(files, src)
		default:
			if env == "" {
				env = id
			}
			v, ok := os.LookupEnv(env)
			if !ok {
				return nil, nil, fmt.Errorf("id=%s: the environment variable %s is not set", id, env)
			}
			out[id] = []byte(v)
		}
	}
	return out, files, nil
}

// readAgents reads ID and ID=KEYFILE,…. Without a file it is the agent of SSH_AUTH_SOCK.
func readAgents(raw []string) ([]builder.SSHAgent, error) {
	var out []builder.SSHAgent
	for _, s := range raw {
		id, paths, found := strings.Cut(s, "=")
		a := builder.SSHAgent{ID: id}
		switch {
		case id == "":
			return nil, fmt.Errorf("%q: it has no id; write default, or ID=KEYFILE", s)
		case found:
			a.Paths = strings.Split(paths, ",")
		case os.Getenv("SSH_AUTH_SOCK") == "":
			return nil, fmt.Errorf("%s: no ssh agent runs, for SSH_AUTH_SOCK is not set; start one with: eval \"$(ssh-agent)\" && ssh-add", s)
		}
		for _, file := range a.Paths {
			if _, err := os.Stat(file); err != nil {
				return nil, fmt.Errorf("%s: %w", id, err)
			}
		}
		out = append(out, a)
	}
	return out, nil
}

// attributes reads k=v,k=v with the quoting of CSV, as docker build does. Its errors
// repeat no value, which may be a secret.
func attributes(s string) (map[string]string, error) {
	fields, err := csv.NewReader(strings.NewReader(s)).Read()
	if err != nil {
		return nil, fmt.Errorf("K=V,K=V…: %w", err)
	}
	out := map[string]string{}
	for i, f := range fields {
		k, v, ok := strings.Cut(f, "=")
		if !ok {
			return nil, fmt.Errorf("part %d of it must be KEY=VALUE", i+1)
		}
		out[strings.ToLower(strings.TrimSpace(k))] = v
	}
	return out, nil
}
