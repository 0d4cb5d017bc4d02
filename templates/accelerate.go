package templates

import (
	"bytes"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"fnb/internal/lazyregexp"
	"fnb/schema/languages"
)

// Accelerate adds cache mounts to the RUN steps of a Dockerfile that was not
// written for BuildKit, and returns it with the folders that are cached now, by
// the number of their line. Target is the stage that the image is made of; "" is
// the last. Caches are folders that a template offers, beside those known for the
// base image. The files of the image stay the same: only stages that the image
// takes single files from are changed, and only for folders that no step of theirs
// touches by name. All else is left as it is, and so is a Dockerfile that has cache
// mounts of its own there.
func (d *Dockerfile) Accelerate(target string, caches []string) (faster *Dockerfile, cached map[int][]string) {
	if ref, _, _, named := parser.DetectSyntax(d.Data); named && !plainSyntax.MatchString(ref) || d.given["BUILDKIT_SYNTAX"] != "" {
		return d, nil
	}
	final := d.target(target)
	if final < 0 {
		return d, nil
	}
	cached = map[int][]string{}
	scopes := make([]*scope, len(d.stages))
	for i, s := range d.stages {
		scopes[i] = d.scopeOf(s)
	}
	for i, s := range d.stages {
		if s.parent < 0 && i != d.root(final) {
			f := d.family(i, scopes)
			folders := slices.DeleteFunc(append(slices.Clone(caches), knownCaches(s.base)...), f.touches)
			slices.Sort(folders)
			for _, line := range f.runs {
				if folders = slices.Compact(folders); len(folders) > 0 && !f.own {
					cached[line] = folders
				}
			}
		}
	}
	out := mount(d.Data, cached)
	if out == nil {
		return d, nil
	}
	faster, err := ReadDockerfile(d.File, out, d.given)
	if err != nil || len(faster.stages) != len(d.stages) {
		return d, nil
	}
	return faster, cached
}

var (
	// plainSyntax is BuildKit's own frontend from the version on that has mounts.
	plainSyntax = lazyregexp.New(`^(docker\.io/)?docker/dockerfile(:1(\.([2-9]|[1-9]\d)(\.\d+)?)?)?(@sha256:[0-9a-f]{64})?$`)
	runKeyword  = lazyregexp.New(`^\s*(?i:RUN)\s`)
	cacheFolder = lazyregexp.New(`^(/[A-Za-z0-9._+-]+){2,}$`)
	absolute    = lazyregexp.New(`(?:/[A-Za-z0-9._+-]+)+`)
	wholeTree   = lazyregexp.New(`(^|[\s"'=:,])/(\.)?($|[\s"';*&|,)])`)
	// relocates are the variables that say where caches are, or what may stand
	// for such a folder.
	relocates = lazyregexp.New(`\b(HOME|GOPATH|GOCACHE|GOMODCACHE|XDG_CACHE_HOME|(?i:npm_config_cache)|PIP_CACHE_DIR|CARGO_HOME|MAVEN_CONFIG|MAVEN_OPTS)\b|~`)
	// tampers are commands that read or clear a cache as such.
	tampers = lazyregexp.New(`go\s+mod\s+vendor|go\s+work\s+vendor|go\s+clean|go\s+env|cache\s+(clean|clear|purge|rm|verify|dir)|cargo\s+vendor|go-offline`)
)

// knownCaches returns the cache folders of the toolchain in one of Docker's
// official images, whose user is root. Another image of the same name may keep
// something there.
func knownCaches(ref string) []string {
	ref, _, _ = strings.Cut(ref, "@")
	ref = strings.TrimPrefix(strings.TrimPrefix(ref, "docker.io/"), "library/")
	name, _, _ := strings.Cut(ref, ":")
	return languages.Caches(name)
}

// mount inserts the mounts behind the RUN of their lines. It returns nil where
// there are none, or where a line does not begin with RUN.
func mount(data []byte, cached map[int][]string) []byte {
	if len(cached) == 0 {
		return nil
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	for n, folders := range cached {
		if n < 1 || n > len(lines) {
			return nil
		}
		line := lines[n-1]
		at := runKeyword.FindIndex(line)
		if at == nil {
			return nil
		}
		var text strings.Builder
		for _, f := range folders {
			text.WriteString(" --mount=type=cache,target=" + f)
			if path.Base(f) == ".m2" {
				text.WriteString(",sharing=locked") // Maven writes there without a lock
			}
		}
		lines[n-1] = slices.Concat(line[:at[1]-1], []byte(text.String()), line[at[1]-1:])
	}
	return bytes.Join(lines, nil)
}

// root returns the first stage that stage i is built from.
func (d *Dockerfile) root(i int) int {
	for d.stages[i].parent >= 0 {
		i = d.stages[i].parent
	}
	return i
}

// A stageFamily is a stage and all that are built from it. What one leaves in a
// folder the others may need, so they are accelerated together.
type stageFamily struct {
	runs    []int    // lines of their RUN steps
	own     bool     // it is not to be changed
	paths   []string // what their steps and the stages that copy from them name
	scripts []string // of their RUN steps
}

// touches reports whether a folder cannot be a cache.
func (f *stageFamily) touches(folder string) bool {
	if !cacheFolder.MatchString(folder) || path.Clean(folder) != folder {
		return true
	}
	if slices.ContainsFunc(f.paths, func(p string) bool { return overlap(p, folder) }) {
		return true
	}
	parts := strings.Split(folder, "/")
	words := []string{strings.Join(parts[len(parts)-2:], "/")}
	for _, p := range parts {
		if strings.HasPrefix(p, ".") {
			words = append(words, p)
		}
	}
	return slices.ContainsFunc(f.scripts, func(script string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(script, w) })
	})
}

// overlap reports whether one path is the other or lies in it.
func overlap(a, b string) bool {
	a, b = strings.TrimSuffix(a, "/")+"/", strings.TrimSuffix(b, "/")+"/"
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

// family describes the stages that are built from the stage with index first; the
// scopes are those of all stages.
func (d *Dockerfile) family(first int, scopes []*scope) *stageFamily {
	f := &stageFamily{}
	dirs := map[int]string{} // working directories; "" is not known
	for i, s := range d.stages {
		scope := scopes[i]
		if d.root(i) != first {
			f.readBy(d, s, scope, first)
			continue
		}
		dir := dirs[s.parent]
		for _, c := range s.Commands {
			dir = f.step(c, scope, dir)
		}
		f.readBy(d, s, scope, first)
		dirs[i] = dir
	}
	return f
}

// scopeOf returns the variables of a stage. A variable that is set twice has no
// value, since it depends on the step.
func (d *Dockerfile) scopeOf(s stage) *scope {
	sc := newScope('\\', nil)
	twice := map[string]bool{}
	set := func(k string, v *string) {
		if _, ok := sc.values[k]; ok {
			twice[k] = true
		}
		if v != nil {
			sc.set(k, *v)
		}
	}
	for _, c := range s.Commands {
		switch c := c.(type) {
		case *instructions.EnvCommand:
			for _, kv := range c.Env {
				set(kv.Key, &kv.Value)
			}
		case *instructions.ArgCommand:
			for _, a := range c.Args {
				set(a.Key, nil) // its value may come from outside
				twice[a.Key] = true
			}
		}
	}
	for k, v := range sc.values {
		if twice[k] || strings.ContainsAny(v, "$\"'") {
			delete(sc.values, k)
		}
	}
	return sc
}

// step notes what one instruction of the family touches, and returns the
// working directory behind it.
func (f *stageFamily) step(c instructions.Command, sc *scope, dir string) string {
	switch c := c.(type) {
	case *instructions.EnvCommand:
		for _, kv := range c.Env {
			f.own = f.own || relocates.MatchString(kv.Key)
		}
	case *instructions.ArgCommand:
		for _, a := range c.Args {
			f.own = f.own || relocates.MatchString(a.Key)
		}
	case *instructions.UserCommand:
		user, _, _ := strings.Cut(c.User, ":")
		f.own = f.own || user != "root" && user != "0"
	case *instructions.WorkdirCommand:
		if dir = resolvePath(dir, c.Path, sc); dir == "" {
			f.own = true
		} else if dir != "/" {
			f.paths = append(f.paths, dir)
		}
	case *instructions.CopyCommand:
		f.written(resolvePath(dir, c.DestPath, sc))
	case *instructions.AddCommand:
		f.written(resolvePath(dir, c.DestPath, sc))
	case *instructions.RunCommand:
		f.run(c)
	}
	return dir
}

// written notes a path that files are put to; "" is one that is not known.
func (f *stageFamily) written(p string) {
	f.own = f.own || p == ""
	f.paths = append(f.paths, p)
}

func (f *stageFamily) run(c *instructions.RunCommand) {
	f.runs = append(f.runs, firstLine(c.Location()))
	for _, flag := range c.FlagsUsed {
		f.own = f.own || flag != "mount"
	}
	// The mounts of a step are known when their variables are; none is needed
	// to see what they are mounted on.
	if err := c.Expand(func(word string) (string, error) { return word, nil }); err != nil {
		f.own = true
		return
	}
	for _, m := range instructions.GetMounts(c) {
		f.own = f.own || m.Type == instructions.MountTypeCache || strings.Contains(m.Target, "$")
		if m.Target != "" {
			f.paths = append(f.paths, path.Join("/", m.Target))
		}
	}
	script := strings.Join(c.CmdLine, " ")
	for _, file := range c.Files {
		script += "\n" + file.Data
	}
	f.own = f.own || relocates.MatchString(script) || tampers.MatchString(script) || wholeTree.MatchString(script)
	f.scripts = append(f.scripts, script)
	f.paths = append(f.paths, absolute.FindAllString(script, -1)...)
}

// readBy notes what a stage takes from the stages that are built from first.
func (f *stageFamily) readBy(d *Dockerfile, s stage, sc *scope, first int) {
	of := func(from string) bool {
		if strings.Contains(from, "$") {
			f.own = true // it may be one of them
			return false
		}
		i, err := strconv.Atoi(from)
		if err != nil || i < 0 || i >= len(d.stages) {
			i = d.stageNamed(from)
		}
		return i >= 0 && d.root(i) == first
	}
	for _, c := range s.Commands {
		switch c := c.(type) {
		case *instructions.CopyCommand:
			if c.From == "" || !of(c.From) {
				continue
			}
			for _, src := range c.SourcePaths {
				f.paths = append(f.paths, plainPart(resolvePath("/", src, sc)))
			}
		case *instructions.RunCommand:
			if c.Expand(func(word string) (string, error) { return word, nil }) != nil {
				f.own = true
				continue
			}
			for _, m := range instructions.GetMounts(c) {
				if m.From != "" && of(m.From) {
					f.paths = append(f.paths, plainPart(resolvePath("/", m.Source, sc)))
				}
			}
		}
	}
}

// plainPart is a path up to its first wildcard; the whole tree where it is not
// known.
func plainPart(p string) string {
	if p == "" {
		return "/"
	}
	if i := strings.IndexAny(p, `*?[\`); i >= 0 {
		return path.Dir(p[:i] + "x")
	}
	return p
}

// resolvePath returns the absolute path of p in dir, or "" where a variable or
// dir is not known.
func resolvePath(dir, p string, sc *scope) string {
	p, missing, err := sc.process(p)
	if err != nil || len(missing) > 0 || !path.IsAbs(p) && dir == "" {
		return ""
	}
	if path.IsAbs(p) {
		return path.Clean(p)
	}
	return path.Join(dir, p)
}
