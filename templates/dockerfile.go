package templates

import (
	"bytes"
	"errors"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"fnb/schema"
)

// ParseDockerfile returns what a Dockerfile says about the image it makes. The
// file's name goes into the result and into errors, which are
// [*schema.FieldError] values.
func ParseDockerfile(file string, data []byte) (schema.Dockerfile, error) {
	d, err := readDockerfile(file, data, nil)
	if err != nil {
		return schema.Dockerfile{}, err
	}
	return d.summary(), nil
}

// BaseImage returns the image that a stage of a Dockerfile is made of, with the
// given build args; target "" is the last stage. It is "" for scratch, and where
// only the builder knows it, since it depends on the platform.
func BaseImage(data []byte, target string, args map[string]string) (string, error) {
	d, err := readDockerfile("Dockerfile", data, args)
	if err != nil {
		return "", err
	}
	last := len(d.stages) - 1
	if target != "" {
		if last = d.stageNamed(target); last < 0 {
			return "", nil
		}
	}
	for d.stages[last].parent >= 0 {
		last = d.stages[last].parent
	}
	if base := d.stages[last].base; !strings.Contains(base, "$") {
		return base, nil
	}
	return "", nil
}

// A dockerfile is a parsed Dockerfile.
type dockerfile struct {
	file   string
	stages []stage
	syntax int // line of a "# syntax=" directive; 0 for none
	args   []argument
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
	added  []argument // what ADD fetches, or may fetch, from elsewhere without a checksum
}

// An argument is a declared build arg.
type argument struct {
	name string
	line int
}

// A copied is one COPY or ADD from the build context.
type copied struct {
	line    int
	sources []string // without those whose variables have no value, and URLs
}

// BaseImages returns all images that the stages of a Dockerfile are made of or
// read from, with the given build args: each once, as written, in order. One
// that names a digest already, or that only the builder knows, is left out.
func BaseImages(data []byte, args map[string]string) ([]string, error) {
	all, err := AllBaseImages(data, args)
	return slices.DeleteFunc(all, func(ref string) bool { return strings.ContainsAny(ref, "$@") }), err
}

// AllBaseImages is [BaseImages] with those that name a digest, and those that only the
// builder knows, as they are written.
func AllBaseImages(data []byte, args map[string]string) ([]string, error) {
	d, err := readDockerfile("Dockerfile", data, args)
	if err != nil {
		return nil, err
	}
	return d.summary().Bases, nil
}

// readDockerfile parses a Dockerfile. Build args that it declares before the
// first FROM have the value of args, where that has one, or their default.
func readDockerfile(file string, data []byte, args map[string]string) (*dockerfile, error) {
	result, err := parser.Parse(bytes.NewReader(data))
	if err != nil {
		return nil, dockerfileError(file, err)
	}
	stages, meta, err := instructions.Parse(result.AST, nil)
	if err != nil {
		return nil, dockerfileError(file, err)
	}
	if len(stages) == 0 {
		return nil, &schema.FieldError{File: file, Line: 1, Problem: "has no FROM"}
	}
	d := &dockerfile{file: file}
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
	for i, s := range stages {
		d.stages = append(d.stages, d.newStage(i, s, global))
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
	return &schema.FieldError{File: file, Line: line, Problem: text}
}

func firstLine(ranges []parser.Range) int {
	if len(ranges) == 0 {
		return 0
	}
	return ranges[0].Start.Line
}

func (d *dockerfile) newStage(i int, s instructions.Stage, global *scope) stage {
	st := stage{Stage: s, index: i, line: firstLine(s.Location), parent: -1}
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
func (d *dockerfile) step(st *stage, c instructions.Command, global, local *scope) {
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
			local.values[kv.Key] = local.expand(kv.Value)
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
			if m.From != "" {
				d.reads(st, m.From)
			}
		}
	}
}

// reads notes that st reads from an image, unless from names a stage.
func (d *dockerfile) reads(st *stage, from string) {
	if n, err := strconv.Atoi(from); err == nil && n >= 0 && n < st.index {
		return
	}
	if d.stageNamed(from) < 0 && from != "scratch" && !strings.EqualFold(from, st.Name) {
		st.images = append(st.images, from)
	}
}

// stageNamed returns the index of the last stage so far with a name, or -1.
func (d *dockerfile) stageNamed(name string) int {
	for i, s := range slices.Backward(d.stages) {
		if s.Name != "" && strings.EqualFold(s.Name, name) {
			return i
		}
	}
	return -1
}

// chain returns the stages that the final image is made of, the last first.
func (d *dockerfile) chain() []stage {
	var list []stage
	for i := len(d.stages) - 1; i >= 0; i = d.stages[i].parent {
		list = append(list, d.stages[i])
	}
	return list
}

func (d *dockerfile) summary() schema.Dockerfile {
	out := schema.Dockerfile{Path: d.file, BringsWatchdog: d.bringsWatchdog()}
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

// bringsWatchdog reports whether the final image starts a watchdog that the
// Dockerfile put there: its command is one, one is copied in, or the function
// is compiled into one (mode inproc).
func (d *dockerfile) bringsWatchdog() bool {
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

// isRemote reports whether ADD takes a source from elsewhere than the build context: by
// URL, or from a git repository in ssh's short form.
func isRemote(source string) bool {
	return strings.Contains(source, "://") || scpLike.MatchString(source)
}

var (
	scpLike = regexp.MustCompile(`^[\w.-]+@[\w.-]+:`)
	leading = regexp.MustCompile(`^\$\{?([A-Za-z_][A-Za-z0-9_]*)`)
	// platformArg is a variable that the builder sets, to nothing that is a URL.
	platformArg = regexp.MustCompile(`^(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT|STAGE)$`)
)

// A scope is the variables that are set at one place of a Dockerfile.
type scope struct {
	values map[string]string
	args   map[string]string // build args that are given
	empty  map[string]bool   // build args without a value
	lex    *shell.Lex
}

func newScope(escape rune, args map[string]string) *scope {
	return &scope{values: map[string]string{}, args: args, empty: map[string]bool{}, lex: shell.NewLex(escape)}
}

// inside returns the empty scope of a stage.
func (s *scope) inside() *scope {
	return &scope{values: map[string]string{}, args: s.args, empty: map[string]bool{}, lex: s.lex}
}

// declare gives a build arg its value: the one that is given, or else its default.
func (s *scope) declare(a instructions.KeyValuePairOptional) {
	if given, ok := s.args[a.Key]; ok {
		s.values[a.Key] = given
	} else if a.Value == nil {
		s.empty[a.Key] = true
	} else {
		s.values[a.Key] = s.expand(*a.Value)
	}
}

// expand returns word with its variables replaced, or word as it is where one
// of them has neither a value nor a default.
func (s *scope) expand(word string) string {
	result, ok := s.try(word)
	if !ok {
		return word
	}
	return result
}

func (s *scope) try(word string) (string, bool) {
	var env []string
	for k, v := range s.values {
		env = append(env, k+"="+v)
	}
	result, missing, err := s.lex.ProcessWord(word, shell.EnvsFromSlice(env))
	if err != nil {
		return "", false
	}
	for name := range missing {
		if !strings.Contains(word, "${"+name+":-") && !strings.Contains(word, "${"+name+"-") {
			return "", false
		}
	}
	return result, true
}

// mayBeRemote reports whether a source of ADD whose value nobody knows may turn out to
// be a URL: where it begins with a variable that the base image may have set.
func (s *scope) mayBeRemote(source string) bool {
	m := leading.FindStringSubmatch(source)
	return m != nil && !platformArg.MatchString(m[1]) && !s.empty[m[1]]
}

// sources returns the paths in the build context that COPY or ADD is given.
func (s *scope) sources(words []string) []string {
	var list []string
	for _, w := range words {
		p, ok := s.try(w)
		if !ok || isRemote(p) {
			continue
		}
		list = append(list, p)
	}
	return list
}
