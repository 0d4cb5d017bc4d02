package buildcontext

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/parser"
)

// A stage is one FROM of a Dockerfile and what comes after it.
type stage struct {
	name  string
	steps []*parser.Node
}

// Seen reports whether a RUN step can see files of the build context whose
// times it could take over into what it makes, on the way to one of the stages,
// "" being the last. Where none can, the exporter gives the files their one time.
// What it cannot tell, it takes for seen.
func (bc *Context) Seen(dockerfile []byte, targets ...string) bool {
	parsed, err := parser.Parse(bytes.NewReader(dockerfile))
	if err != nil {
		return true // the frontend says what is wrong
	}
	stages := stagesOf(parsed.AST)
	seen := false
	for i, needed := range reachable(stages, targets) {
		if !needed {
			continue
		}
		for _, step := range stages[i].steps {
			switch strings.ToLower(step.Value) {
			case "run":
				if seen || mountsContext(step) {
					return true
				}
			case "add":
				seen = true
			case "copy":
				seen = seen || option(step, "from") == "" && !onlyLists(step, bc.entries)
			}
		}
	}
	return false
}

func stagesOf(ast *parser.Node) []stage {
	var stages []stage
	for _, step := range ast.Children {
		if strings.EqualFold(step.Value, "from") {
			s := stage{}
			if args := arguments(step); len(args) == 3 {
				s.name = args[2]
			}
			stages = append(stages, s)
		}
		if n := len(stages); n > 0 {
			stages[n-1].steps = append(stages[n-1].steps, step)
		}
	}
	return stages
}

// reachable tells of each stage whether a target is made of it.
func reachable(stages []stage, targets []string) []bool {
	needed := make([]bool, len(stages))
	var need func(name string, before int)
	visit := func(i int) {
		if needed[i] {
			return
		}
		needed[i] = true
		for _, step := range stages[i].steps {
			switch strings.ToLower(step.Value) {
			case "from":
				if args := arguments(step); len(args) > 0 {
					need(args[0], i)
				}
			case "copy", "add":
				need(option(step, "from"), i)
			case "run":
				for _, m := range step.Flags {
					for o := range strings.SplitSeq(m, ",") {
						if from, ok := strings.CutPrefix(o, "from="); ok {
							need(from, i)
						}
					}
				}
			}
		}
	}
	need = func(name string, before int) {
		if n, err := strconv.Atoi(name); err == nil && n >= 0 && n < before {
			visit(n)
		}
		for i := range before {
			// A name with a variable may be any that fits around it.
			if ok, err := path.Match(strings.ToLower(wild(name)), strings.ToLower(stages[i].name)); stages[i].name != "" && (ok || err != nil) {
				visit(i)
			}
		}
	}
	for _, t := range targets {
		if t == "" && len(stages) > 0 {
			visit(len(stages) - 1)
		} else {
			need(t, len(stages))
		}
	}
	return needed
}

// wild puts a star in the place of everything from the first variable on.
func wild(name string) string {
	if head, _, found := strings.Cut(name, "$"); found {
		return head + "*"
	}
	return name
}

// mountsContext reports whether a RUN step mounts the build context.
func mountsContext(step *parser.Node) bool {
	return slices.ContainsFunc(step.Flags, func(f string) bool {
		options, mount := strings.CutPrefix(f, "--mount=")
		return mount && (strings.Contains(options, "type=bind") || !strings.Contains(options, "type=")) && !strings.Contains(options, "from=")
	})
}

// onlyLists reports whether a COPY step takes nothing but single files that
// nobody compiles: package lists. Python notes in what it compiles how old the
// source was, and folders would be as old as the last transfer.
func onlyLists(step *parser.Node, entries []entry) bool {
	args := arguments(step)
	if len(args) < 2 || len(step.Heredocs) > 0 {
		return len(step.Heredocs) > 0 && len(args) == len(step.Heredocs)+1
	}
	for _, source := range args[:len(args)-1] {
		if strings.Contains(source, "$") {
			return false
		}
		pattern := strings.TrimPrefix(path.Clean("/"+source), "/")
		for _, e := range entries {
			fits, err := path.Match(pattern, e.path)
			if err != nil || pattern == "" || fits && (!e.mode.IsRegular() || path.Ext(e.path) == ".py") {
				return false
			}
		}
	}
	return true
}

func arguments(step *parser.Node) []string {
	var args []string
	for n := step.Next; n != nil; n = n.Next {
		args = append(args, n.Value)
	}
	return args
}

// option is the value of a step's flag, "" where it has none.
func option(step *parser.Node, name string) string {
	for _, f := range step.Flags {
		if v, ok := strings.CutPrefix(f, "--"+name+"="); ok {
			return v
		}
	}
	return ""
}
