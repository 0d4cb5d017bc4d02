package layertimes

import (
	"bytes"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"fnb/internal/lazyregexp"
)

// Possible reports whether a stage of a Dockerfile, "" is the last, seems to have no layer whose times are those of its making. It
// knows neither build arguments nor base images, so [Set] has the last word. What it says is the same for all platforms.
func Possible(dockerfile []byte, target string) bool {
	parsed, err := parser.Parse(bytes.NewReader(dockerfile))
	if err != nil {
		return false // the solve says what is wrong with it
	}
	stages, args, err := instructions.Parse(parsed.AST, nil)
	if err != nil || len(stages) == 0 {
		return false
	}
	at := len(stages) - 1
	if target != "" {
		at = find(stages, target)
	}
	for at >= 0 {
		if slices.ContainsFunc(stages[at].Commands, runs) {
			return false
		}
		base := stages[at].BaseName
		below := find(stages[:at], base)
		if below < 0 {
			return !(strings.Contains(base, "$") && ofPlatform(base, args))
		}
		at = below
	}
	return false
}

func runs(c instructions.Command) bool {
	switch c.(type) {
	case *instructions.RunCommand, *instructions.AddCommand:
		return true
	}
	return false
}

// find is the place of the stage of a name or number, or -1.
func find(stages []instructions.Stage, name string) int {
	for i := len(stages) - 1; i >= 0; i-- {
		if strings.EqualFold(stages[i].Name, name) || strconv.Itoa(i) == name {
			return i
		}
	}
	return -1
}

// platformArg is a variable that is another one for each platform.
var platformArg = lazyregexp.New(`(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT)`)

// ofPlatform reports whether what a stage is made of may depend on the platform.
func ofPlatform(base string, args []instructions.ArgCommand) bool {
	if platformArg.MatchString(base) {
		return true
	}
	return slices.ContainsFunc(args, func(a instructions.ArgCommand) bool {
		return slices.ContainsFunc(a.Args, func(kv instructions.KeyValuePairOptional) bool { return platformArg.MatchString(kv.ValueString()) })
	})
}
