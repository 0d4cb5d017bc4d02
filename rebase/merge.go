package rebase

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	shellquote "github.com/kballard/go-shellquote"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"

	"fnb/internal/env"
)

// defaultPath is the PATH that a build gives an image whose base image has none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// merge lays what the image sets itself over the new base image's configuration: what differs from
// the old base image's. It is an error where what it sets may be made of what the bases
// differ in.
func (r *replacement) merge() error {
	old, own, to := r.old.config.Config, r.from.config.Config, r.to.config.Config
	if len(old.OnBuild)+len(to.OnBuild) > 0 {
		return errors.New("a base image has ONBUILD, whose steps a build runs")
	}
	if o, t := r.old.config.Platform, r.to.config.Platform; o.OS != t.OS || o.Architecture != t.Architecture || o.Variant != t.Variant {
		return fmt.Errorf("the new base image is for %s/%s", t.OS, t.Architecture)
	}
	var err error
	if to.Env, err = mergeEnv(withPath(old.Env), own.Env, withPath(to.Env)); err != nil {
		return err
	}
	if to.Labels, err = mergeLabels(old.Labels, own.Labels, to.Labels); err != nil {
		return err
	}
	started := !slices.Equal(old.Entrypoint, own.Entrypoint) || !slices.Equal(old.Cmd, own.Cmd)
	if started {
		if err := r.starts(&to); err != nil {
			return err
		}
		to.Entrypoint, to.Cmd, to.ArgsEscaped = own.Entrypoint, own.Cmd, own.ArgsEscaped //nolint:staticcheck // a field of Windows images
	}
	if own.WorkingDir != old.WorkingDir {
		if old.WorkingDir != to.WorkingDir && len(path.Clean("/"+old.WorkingDir)) > 1 && strings.HasPrefix(own.WorkingDir, old.WorkingDir) {
			return errors.New("its working directory is below that of the old base image, and the new one has another")
		}
		to.WorkingDir = own.WorkingDir
	}
	to.User = changed(old.User, own.User, to.User)
	to.StopSignal = changed(old.StopSignal, own.StopSignal, to.StopSignal)
	r.config.Author = changed(r.old.config.Author, r.from.config.Author, r.to.config.Author)
	to.ExposedPorts = mergeSet(old.ExposedPorts, own.ExposedPorts, to.ExposedPorts)
	to.Volumes = mergeSet(old.Volumes, own.Volumes, to.Volumes)
	if !reflect.DeepEqual(old.Healthcheck, own.Healthcheck) {
		to.Healthcheck = own.Healthcheck
	}
	if !slices.Equal(old.Shell, own.Shell) {
		to.Shell = own.Shell
	}
	r.config.Config = to
	return nil
}

// changed is a value of three: the image's own where it differs from its base image's.
func changed(old, own, to string) string {
	if own != old {
		return own
	}
	return to
}

// starts is an error if the image's function is the program of the old base image, and the new one
// has another.
func (r *replacement) starts(to *dockerspec.DockerOCIImageConfig) error {
	old := &r.old.config.Config
	was, is := slices.Concat(old.Entrypoint, old.Cmd), slices.Concat(to.Entrypoint, to.Cmd)
	if len(was) > 0 && !slices.Equal(was, is) && env.Get(r.from.config.Config.Env, "fprocess") == shellquote.Join(was...) {
		return errors.New("the function is the program that the old base image starts, and the new one starts another")
	}
	return nil
}

// withPath is the environment of a base image as a build has it.
func withPath(base []string) []string {
	if slices.ContainsFunc(base, func(kv string) bool { return strings.HasPrefix(kv, "PATH=") }) {
		return slices.Clone(base)
	}
	return append(slices.Clone(base), "PATH="+defaultPath)
}

func variables(all []string) map[string]string {
	m := map[string]string{}
	for _, kv := range all {
		k, v, _ := strings.Cut(kv, "=")
		m[k] = v
	}
	return m
}

func mergeEnv(old, own, to []string) ([]string, error) {
	before, after, set := variables(old), variables(to), variables(own)
	for _, k := range slices.Sorted(maps.Keys(before)) {
		if _, ok := set[k]; !ok {
			return nil, fmt.Errorf("it has lost the variable %s of its base image", k)
		}
	}
	for _, kv := range own {
		k, v, _ := strings.Cut(kv, "=")
		was, had := before[k]
		if had && was == v {
			continue
		}
		if had && was != after[k] && was != "" && strings.Contains(v, was) {
			return nil, fmt.Errorf("its variable %s is made of that of the base image, which the new one changes", k)
		}
		to = env.Set(to, k, v)
	}
	return to, nil
}

func mergeLabels(old, own, to map[string]string) (map[string]string, error) {
	out := maps.Clone(to)
	for _, k := range slices.Sorted(maps.Keys(old)) {
		if _, ok := own[k]; !ok {
			return nil, fmt.Errorf("it has lost the label %s of its base image", k)
		}
	}
	for k, v := range own {
		if was, had := old[k]; had && was == v {
			continue
		}
		if out == nil {
			out = map[string]string{}
		}
		out[k] = v
	}
	return out, nil
}

// mergeSet is a set with what the image has added.
func mergeSet(old, own, to map[string]struct{}) map[string]struct{} {
	out := maps.Clone(to)
	for k := range own {
		if _, had := old[k]; had {
			continue
		}
		if out == nil {
			out = map[string]struct{}{}
		}
		out[k] = struct{}{}
	}
	return out
}
