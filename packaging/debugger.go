package packaging

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"fnb/schema"
	"fnb/schema/words"
	"fnb/templates"
)

// chooseDebugger has the image made for a debugger where that is wanted and the template has
// one: of the Dockerfile's stage for it, if there is one, with the template's command for it.
// Whoever names that stage wants the same.
func (a *assembly) chooseDebugger(context.Context) error {
	debug := a.in.Template.Manifest.Debug
	wanted := a.in.Debug || isDebugStage(a.in.Target)
	watchdog := cmp.Or(a.in.Watchdog, a.in.Function.Watchdog, a.in.Template.Manifest.Watchdog)
	a.in.Debug = wanted && debug != nil && watchdog != words.WatchdogNone
	if !a.in.Debug {
		return nil
	}
	if a.in.Target == "" && slices.ContainsFunc(a.stages(), isDebugStage) {
		a.in.Target = words.DebugStage
	}
	if a.in.Function.FProcess != "" {
		a.note("the template's debug command is run in the place of fprocess")
	}
	a.in.Function.FProcess = debug.Command
	return nil
}

// check is the stage that the template has made beside an image of the whole function; one of another
// stage is for looking at.
func (a *assembly) check(dockerfile schema.Dockerfile) string {
	check := a.in.Template.Manifest.Check
	if a.in.Target != "" && !isDebugStage(a.in.Target) || !hasStage(dockerfile, check) {
		return ""
	}
	return check
}

func isDebugStage(name string) bool { return strings.EqualFold(name, words.DebugStage) }

// stages are those of the Dockerfile; none where it cannot be read, which is an error later.
func (a *assembly) stages() []string {
	data, _, err := a.dockerfileText()
	if err != nil {
		return nil
	}
	dockerfile, err := templates.ReadDockerfile(dockerfileName, data, nil)
	if err != nil {
		return nil
	}
	return dockerfile.Summary().Stages
}
