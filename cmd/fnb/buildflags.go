package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"fnb/builder"
	"fnb/schema"
)

// A destination is where images go; the zero value is the image store.
type destination struct {
	kind string // "", push, load, oci, docker, local, or toContainer
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
	if o.secrets, o.secretFiles, err = readSecrets(o.rawSecrets); err != nil {
		bad("--secret %w", err)
	}
	if o.ssh, err = readAgents(o.rawSSH); err != nil {
		bad("--ssh %w", err)
	}
	if len(o.extraTags) > 0 && len(o.tags) == 0 {
		o.tags = []string{"latest"}
	}
	o.tags = append(o.tags, o.extraTags...)
	for _, agent := range o.ssh {
		for _, key := range agent.Paths {
			if key, err = filepath.Abs(key); err != nil {
				bad("--ssh %w", err)
			}
			o.secretFiles = append(o.secretFiles, key)
		}
	}
	for _, rule := range o.tags {
		if err := schema.ValidateTag(rule); err != nil && rule != "" {
			bad("--tag %q: %w", rule, err)
		}
	}
	if o.platforms != nil && len(o.platforms) == 0 {
		bad("--platform names no platform")
	}
	for _, s := range o.platforms {
		p, err := schema.ParsePlatform(s)
		if err != nil {
			bad("--platform %q: %w", s, err)
		}
		o.forced = append(o.forced, p)
	}
	if o.imports, err = parseCaches(o.cacheFrom, false); err != nil {
		bad("--cache-from %w", err)
	}
	if o.exports, err = parseCaches(o.cacheTo, true); err != nil {
		bad("--cache-to %w", err)
	}
	if o.cache != "" && o.cache != "auto" && o.cache != "read" {
		bad("--cache %q: it is auto or read", o.cache)
	}
	if o.cache == "read" && len(o.exports) > 0 {
		bad("--cache read and --cache-to exclude one another: one writes nothing")
	}
	if o.shrinkwrap && o.contextOnly == "" {
		o.contextOnly = "build"
	}
	if elsewhere := o.push || o.load || o.output != ""; elsewhere && o.contextOnly != "" {
		bad("--context-only builds nothing: leave out --push, --load and --output")
	} else if elsewhere && o.changedSince != "" {
		bad("--changed-since builds nothing: leave out --push, --load and --output")
	}
	if o.frozen && o.pull {
		bad("--frozen and --pull exclude one another: one keeps to the lock, the other moves it")
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
		switch {
		case path == "-":
			return destination{}, fmt.Errorf("--output %s: images are written to files only; name one", o.output)
		case kind == "docker" && len(o.forced) > 1:
			return destination{}, fmt.Errorf("--output %s: that format has one platform; write several with: --output oci=%s", o.output, path)
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
			return nil, fmt.Errorf("part %d of it has to be KEY=VALUE", i+1)
		}
		out[strings.ToLower(strings.TrimSpace(k))] = v
	}
	return out, nil
}
