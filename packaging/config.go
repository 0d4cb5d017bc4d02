package packaging

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strings"

	"fnb/internal/lazyregexp"
	"fnb/schema"
	"fnb/schema/words"
)

const (
	additionalPackage = "ADDITIONAL_PACKAGE"
	watchdogPath      = "/usr/bin/fwatchdog"
)

// mergeArgs merges the build args, of which those on the command line win, and
// adds the packages of the build options to ADDITIONAL_PACKAGE.
func (a *assembly) mergeArgs(context.Context) error {
	args := map[string]string{}
	maps.Copy(args, a.in.Function.BuildArgs)
	maps.Copy(args, a.in.BuildArgs)
	packages := strings.Fields(a.in.Function.BuildArgs[additionalPackage] + " " + a.in.BuildArgs[additionalPackage])
	options := a.in.Template.Packages.Options
	for _, name := range slices.Concat(a.in.Function.BuildOptions, a.in.BuildOptions) {
		i := slices.IndexFunc(options, func(o schema.BuildOption) bool { return o.Name == name })
		if i < 0 {
			return unknownOption(name, options)
		}
		packages = append(packages, options[i].Packages...)
	}
	slices.Sort(packages)
	packages = slices.Compact(packages)
	delete(args, additionalPackage)
	if len(packages) > 0 {
		args[additionalPackage] = strings.Join(packages, " ")
	}
	a.args = args
	return nil
}

// predefined are the build args that BuildKit knows without a declaration.
var predefined = lazyregexp.New(`(?i)^((http|https|ftp|no|all)_proxy|buildkit_.*|source_date_epoch)$`)

// unread returns those build args of the command line that the Dockerfile does not
// declare, and notes such ones of the function, and packages that it does not install.
func (a *assembly) unread(dockerfile schema.Dockerfile) []string {
	ignored := func(name string) bool {
		return !slices.Contains(dockerfile.Args, name) && !predefined.MatchString(name)
	}
	for _, name := range slices.Sorted(maps.Keys(a.in.Function.BuildArgs)) {
		if _, again := a.in.BuildArgs[name]; !again && name != additionalPackage && ignored(name) {
			a.note("the build arg %s does nothing: the Dockerfile has no ARG %s", name, name)
		}
	}
	if packages := a.args[additionalPackage]; packages != "" && ignored(additionalPackage) {
		a.note("the packages %s are not installed: the Dockerfile has no ARG %s", packages, additionalPackage)
	}
	return slices.DeleteFunc(slices.Sorted(maps.Keys(a.in.BuildArgs)), func(name string) bool {
		return name == additionalPackage || !ignored(name)
	})
}

// hasStage reports whether a Dockerfile has a stage of a name.
func hasStage(dockerfile schema.Dockerfile, name string) bool {
	return slices.ContainsFunc(dockerfile.Stages, func(s string) bool { return strings.EqualFold(s, name) })
}

// target refuses a stage that the Dockerfile does not have.
func (a *assembly) target(dockerfile schema.Dockerfile) error {
	name := a.in.Target
	if name == "" || hasStage(dockerfile, name) {
		return nil
	}
	known := slices.DeleteFunc(slices.Clone(dockerfile.Stages), func(s string) bool { return s == "" })
	return &TargetError{Name: name, Known: known}
}

func unknownOption(name string, options []schema.BuildOption) error {
	known := []string{}
	for _, o := range options {
		known = append(known, o.Name)
	}
	slices.Sort(known)
	return &OptionError{Name: name, Known: known}
}

// configure decides on the watchdog and on what is laid over the image's
// configuration.
func (a *assembly) configure(out *Context, dockerfile schema.Dockerfile) {
	t, f := a.in.Template, a.in.Function
	choice := a.watchdog(dockerfile)
	title := t.Name
	if t.Manifest.Version != "" {
		title += "@" + t.Manifest.Version
	}
	out.Config.Labels = map[string]string{
		words.LabelTitle:            f.Name,
		words.LabelTemplate:         title,
		words.LabelTemplateChecksum: t.Checksum,
		words.LabelWatchdog:         choice,
	}
	if a.in.Debug {
		out.Config.Labels[words.LabelDebugger] = cmp.Or(t.Manifest.Debug.Adapter, "true")
	}
	out.Config.Env = map[string]string{}
	if f.FProcess != "" {
		out.Config.Env["fprocess"] = f.FProcess
	}
	if choice == words.WatchdogNone || choice == words.WatchdogDockerfile {
		return
	}
	out.Watchdog = choice
	out.Config.Entrypoint = []string{watchdogPath}
	out.Config.Healthcheck = []string{watchdogPath, "--run-healthcheck"}
	for key, value := range map[string]string{
		"fprocess":     t.Manifest.FProcess, // the image has what its Dockerfile says
		"mode":         t.Manifest.Mode,
		"upstream_url": t.Manifest.UpstreamURL,
	} {
		if _, set := out.Config.Env[key]; !set && value != "" {
			out.Config.Env[key] = value
		}
	}
	if dockerfile.BringsWatchdog {
		a.note("the watchdog %s replaces the one that the Dockerfile brings", choice)
	}
}

// watchdog returns the first that is said of the command line, the stack and the
// template, and otherwise what the Dockerfile looks like.
func (a *assembly) watchdog(dockerfile schema.Dockerfile) string {
	for _, choice := range []string{a.in.Watchdog, a.in.Function.Watchdog, a.in.Template.Manifest.Watchdog} {
		if choice != "" {
			return choice
		}
	}
	if dockerfile.BringsWatchdog {
		return words.WatchdogDockerfile
	}
	return words.WatchdogDefault
}
