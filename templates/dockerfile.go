package templates

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"fnb/schema"
	"fnb/schema/document"
)

// A Dockerfile is one as build args make it.
type Dockerfile struct {
	File string // its path in the build context, which errors name
	Data []byte // its text, which is not to be changed

	given  map[string]string // build args
	stages []stage
	named  map[string]int // the last stage with a name, in small letters
	syntax int            // line of a "# syntax=" directive; 0 for none
	args   []argument
	values map[string]string // of the args before the first FROM
}

// A stage is one stage of a Dockerfile, with its variables replaced by their
// defaults where they have one.
type stage struct {
	instructions.Stage
	index  int
	line   int
	parent int      // index of the stage it is built from, or -1
	base   string   // image reference, where parent is -1
	images []string // image references that its steps read from, in order
	copies []copied
	env    map[string]string // what ENV sets
	added  []argument        // what ADD fetches, or may fetch, from elsewhere without a checksum
}

// An argument is a declared build arg.
type argument struct {
	name string
	line int
}

// A copied is one COPY, ADD or mount from the build context.
type copied struct {
	line    int
	sources []string // without those whose variables have no value, and URLs
}

// What a Dockerfile may have. Beyond it the builder's parser takes minutes; each step is
// compared with the stages, and with the variables that are set.
const (
	maxDockerfile   = 1 << 20 // bytes
	maxStages       = 200
	maxInstructions = 2_000
	maxValue        = 1 << 20 // bytes of a variable, which may be made of others
)

// ReadDockerfile reads a Dockerfile: text of a file with the given name, with build
// args. What it declares has the value of these, or its default. An error is a
// [*document.FieldError].
func ReadDockerfile(file string, data []byte, args map[string]string) (*Dockerfile, error) {
	if len(data) > maxDockerfile {
		return nil, &document.FieldError{File: file, Problem: fmt.Sprintf("is larger than %d bytes", maxDockerfile)}
	}
	result, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, dockerfileError(file, err)
	}
	if n := len(result.AST.Children); n > maxInstructions {
		return nil, &document.FieldError{File: file, Line: result.AST.Children[maxInstructions].StartLine, Problem: fmt.Sprintf("has %d instructions, more than %d", n, maxInstructions)}
	}
	stages, meta, err := instructions.Parse(result.AST, nil)
	if err != nil {
		return nil, dockerfileError(file, err)
	}
	if len(stages) > maxStages {
		return nil, &document.FieldError{File: file, Line: firstLine(stages[maxStages].Location), Problem: fmt.Sprintf("has %d stages, more than %d", len(stages), maxStages)}
	}
	if len(stages) == 0 {
		return nil, &document.FieldError{File: file, Line: 1, Problem: "has no FROM"}
	}
	d := &Dockerfile{File: file, Data: data, given: args, named: map[string]int{}}
	if _, _, where, ok := parser.DetectSyntax(data); ok && len(where) > 0 {
		d.syntax = where[0].Start.Line
	}
	global := newScope(result.EscapeToken, args)
	for _, m := range meta {
		for _, a := range m.Args {
			d.args = append(d.args, argument{a.Key, firstLine(m.Location())})
			global.declare(a)
		}
	}
	d.values = maps.Clone(global.values)
	for i, s := range stages {
		d.stages = append(d.stages, d.newStage(i, s, global))
		if s.Name != "" {
			d.named[strings.ToLower(s.Name)] = i
		}
		if *global.tooLong {
			return nil, &document.FieldError{File: file, Line: firstLine(s.Location), Problem: fmt.Sprintf("has a variable in this stage that becomes larger than %d bytes", maxValue)}
		}
	}
	return d, nil
}

// dockerfileError returns the parser's error with its line, without the words
// it puts around.
func dockerfileError(file string, err error) error {
	line := 0
	var located *parser.LocationError
	if errors.As(err, &located) && len(located.Locations) > 0 {
		line = firstLine(located.Locations[0])
	}
	text := err.Error()
	if _, after, ok := strings.Cut(text, "dockerfile parse error on line "); ok {
		if _, rest, ok := strings.Cut(after, ": "); ok {
			text = rest
		}
	}
	return &document.FieldError{File: file, Line: line, Problem: text}
}

func firstLine(ranges []parser.Range) int {
	if len(ranges) == 0 {
		return 0
	}
	return ranges[0].Start.Line
}

func (d *Dockerfile) newStage(i int, s instructions.Stage, global *scope) stage {
	st := stage{Stage: s, index: i, line: firstLine(s.Location), parent: -1, env: map[string]string{}}
	base := global.expand(s.BaseName)
	st.parent = d.stageNamed(base)
	if st.parent < 0 && base != "scratch" {
		st.base = base
	}
	local := global.inside()
	for _, c := range s.Commands {
		d.step(&st, c, global, local)
	}
	return st
}

// step takes one instruction of a stage in.
func (d *Dockerfile) step(st *stage, c instructions.Command, global, local *scope) {
	switch c := c.(type) {
	case *instructions.ArgCommand:
		for _, a := range c.Args {
			d.args = append(d.args, argument{a.Key, firstLine(c.Location())})
			if v, ok := global.values[a.Key]; ok && a.Value == nil {
				a.Value = &v
			}
			local.declare(a)
		}
	case *instructions.EnvCommand:
		for _, kv := range c.Env {
			local.assign(kv.Key, kv.Value)
			st.env[kv.Key] = local.unquoted(kv.Value)
		}
	case *instructions.CopyCommand:
		if c.From != "" {
			d.reads(st, global.expand(c.From))
			return
		}
		st.copies = append(st.copies, copied{firstLine(c.Location()), local.sources(c.SourcePaths)})
	case *instructions.AddCommand:
		for _, source := range c.SourcePaths {
			if from, known := local.try(source); c.Checksum == "" && (isRemote(from) || !known && (isRemote(source) || local.mayBeRemote(source))) {
				st.added = append(st.added, argument{source, firstLine(c.Location())})
			}
		}
		st.copies = append(st.copies, copied{firstLine(c.Location()), local.sources(c.SourcePaths)})
	case *instructions.RunCommand:
		// A mount's variables are known to the builder only; what cannot be
		// expanded is not an image that could be pinned.
		if err := c.Expand(func(word string) (string, error) { return local.expand(word), nil }); err != nil {
			return
		}
		for _, m := range instructions.GetMounts(c) {
			switch {
			case m.From != "":
				d.reads(st, m.From)
			case m.Type == instructions.MountTypeBind:
				st.copies = append(st.copies, copied{firstLine(c.Location()), []string{m.Source}})
			}
		}
	}
}

// reads notes that st reads from an image, unless from names a stage.
func (d *Dockerfile) reads(st *stage, from string) {
	if n, err := strconv.Atoi(from); err == nil && n >= 0 && n < st.index {
		return
	}
	if d.stageNamed(from) < 0 && from != "scratch" && !strings.EqualFold(from, st.Name) {
		st.images = append(st.images, from)
	}
}

// stageNamed returns the index of the last stage so far with a name, or -1.
func (d *Dockerfile) stageNamed(name string) int {
	if i, ok := d.named[strings.ToLower(name)]; ok {
		return i
	}
	return -1
}

// target returns the index of the stage that an image is made of, or -1: the last
// one, or the one with a name.
func (d *Dockerfile) target(name string) int {
	if name == "" {
		return len(d.stages) - 1
	}
	return d.stageNamed(name)
}

// chain returns the stages that the final image is made of, the last first.
func (d *Dockerfile) chain() []stage {
	var list []stage
	for i := len(d.stages) - 1; i >= 0; i = d.stages[i].parent {
		list = append(list, d.stages[i])
	}
	return list
}

// Base returns the image that a stage is made of; target "" is the last stage. It is ""
// for scratch, where there is no such stage, and where only the builder knows the
// image, since it depends on the platform.
func (d *Dockerfile) Base(target string) string {
	at := d.target(target)
	if at < 0 {
		return ""
	}
	if base := d.stages[d.root(at)].base; !strings.Contains(base, "$") {
		return base
	}
	return ""
}

// Unpinned returns what the Dockerfile reads that no lock pins, so that equal files
// need not make equal images: base images that only the builder can name, and what
// ADD fetches without a checksum, or may fetch, where a variable says from where.
func (d *Dockerfile) Unpinned() []string {
	var out []string
	for _, ref := range d.Summary().Bases {
		if strings.Contains(ref, "$") && !strings.Contains(ref, "@sha256:") {
			out = append(out, ref)
		}
	}
	for _, s := range d.stages {
		for _, a := range s.added {
			out = append(out, a.name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Summary returns what the Dockerfile says about the image it makes.
func (d *Dockerfile) Summary() schema.Dockerfile {
	out := schema.Dockerfile{Path: d.File, BringsWatchdog: d.bringsWatchdog(), Watchdog: d.watchdogImage()}
	for _, s := range d.stages {
		out.Stages = append(out.Stages, s.Name)
		for _, ref := range append([]string{s.base}, s.images...) {
			if ref != "" && !slices.Contains(out.Bases, ref) {
				out.Bases = append(out.Bases, ref)
			}
		}
	}
	for _, a := range d.args {
		out.Args = append(out.Args, a.name)
	}
	slices.Sort(out.Args)
	out.Args = slices.Compact(out.Args)
	return out
}

// Default returns the value of a build arg that is declared before the first FROM; "" where
// it has none.
func (d *Dockerfile) Default(arg string) string { return d.values[arg] }

// Env returns what ENV gives a variable in the image: the text as it is written, without
// its quotes, where nobody knows the value yet; "" where the Dockerfile does not set it.
func (d *Dockerfile) Env(name string) string {
	for _, s := range d.chain() {
		if value, ok := s.env[name]; ok {
			return value
		}
	}
	return ""
}

func (d *Dockerfile) sets(name string) bool { return d.Env(name) != "" }

// bringsWatchdog reports whether the final image starts a watchdog that the
// Dockerfile put there: its command is one, one is copied in, or the function
// is compiled into one (mode inproc).
func (d *Dockerfile) bringsWatchdog() bool {
	for _, s := range d.chain() {
		for _, c := range s.Commands {
			switch c := c.(type) {
			case *instructions.CmdCommand:
				if startsWatchdog(c.ShellDependantCmdLine) {
					return true
				}
			case *instructions.EntrypointCommand:
				if startsWatchdog(c.ShellDependantCmdLine) {
					return true
				}
			case *instructions.CopyCommand:
				if copiesWatchdog(c.SourcesAndDest) {
					return true
				}
			case *instructions.AddCommand:
				if copiesWatchdog(c.SourcesAndDest) {
					return true
				}
			case *instructions.EnvCommand:
				if slices.ContainsFunc(c.Env, func(kv instructions.KeyValuePair) bool {
					return kv.Key == "mode" && strings.Trim(kv.Value, `"'`) == "inproc"
				}) {
					return true
				}
			}
		}
	}
	return false
}

// watchdogImage is the image whose watchdog gets into the final one, also by way of
// other stages.
func (d *Dockerfile) watchdogImage() string {
	for _, s := range d.chain() {
		if image := d.watchdogOf(s, len(d.stages)); image != "" {
			return image
		}
	}
	return ""
}

// watchdogOf is the image whose watchdog a stage copies; in steps stages at most.
func (d *Dockerfile) watchdogOf(s stage, steps int) string {
	for _, c := range s.Commands {
		c, ok := c.(*instructions.CopyCommand)
		if !ok || steps == 0 || c.From == "" || !copiesWatchdog(c.SourcesAndDest) {
			continue
		}
		for i, from := range slices.Backward(d.stages) { // of two with one name, the builder takes the last
			if strings.EqualFold(from.Name, c.From) || strconv.Itoa(i) == c.From {
				return cmp.Or(d.watchdogOf(from, steps-1), from.base)
			}
		}
		return c.From
	}
	return ""
}

const watchdogName = "fwatchdog"

func startsWatchdog(line instructions.ShellDependantCmdLine) bool {
	words := line.CmdLine
	if line.PrependShell {
		words = strings.Fields(strings.Join(words, " "))
	}
	return slices.ContainsFunc(words, func(w string) bool {
		return path.Base(strings.Trim(w, `"';`)) == watchdogName
	})
}

func copiesWatchdog(c instructions.SourcesAndDest) bool {
	return slices.ContainsFunc(append([]string{c.DestPath}, c.SourcePaths...), func(p string) bool {
		return path.Base(p) == watchdogName
	})
}
