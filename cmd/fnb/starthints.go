package main

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"fnb/builder"
	"fnb/builder/containers"
	"fnb/internal/lazyregexp"
)

var (
	lackingPython = lazyregexp.New(`ModuleNotFoundError: No module named '(\w[\w.]{0,99})'`)
	// lackingNode is what Node.js and Bun say of a package; Deno wants a prefix before its name.
	lackingNode = lazyregexp.New(`Cannot find (?:module|package) ['"](@?[\w-][\w./-]{0,99})['"]|` +
		`(?:Relative import path|Import) "(@?[\w-][\w./-]{0,99})" not (?:prefixed with|a dependency)`)
)

// packageName is the package of npm that has a module: "@scope/name" of "@scope/name/file".
func packageName(module string) string {
	parts := strings.Split(module, "/")
	if strings.HasPrefix(module, "@") {
		return path.Join(parts[:min(len(parts), 2)]...)
	}
	return parts[0]
}

// startHints say which package list must have a module that a handler imports and does not
// find: when it starts, or in a step that runs its tests.
func startHints(err error) []string {
	said := err.Error()
	if e, ok := errors.AsType[*containers.ExitError](err); ok {
		said += "\n" + strings.Join(e.Log, "\n")
	}
	if e, ok := errors.AsType[*containers.NotListeningError](err); ok {
		said += "\n" + strings.Join(e.Log, "\n")
	}
	if e, ok := errors.AsType[*builder.SolveError](err); ok {
		said += "\n" + strings.Join(e.Log, "\n")
	}
	if m := lackingPython.FindStringSubmatch(said); m != nil {
		module, _, _ := strings.Cut(m[1], ".")
		return []string{fmt.Sprintf("if %s is a package, add it to the handler's package list: requirements.txt, or dependencies in pyproject.toml", module)}
	}
	m := lackingNode.FindStringSubmatch(said)
	if m == nil {
		return nil
	}
	if m[2] != "" {
		return []string{fmt.Sprintf("add %s to imports in the handler's deno.json, and make its lock with: fnb lock --packages", packageName(m[2]))}
	}
	return []string{fmt.Sprintf("add %s to dependencies in the handler's package.json, and make its lock with: fnb lock --packages", packageName(m[1]))}
}
