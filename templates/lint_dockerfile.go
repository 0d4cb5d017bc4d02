package templates

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"fnb/schema"
	"fnb/schema/words"
)

// dockerfile checks the steps of a Dockerfile.
func (l *linter) dockerfile(d *Dockerfile) {
	if d.syntax > 0 {
		l.add(SeverityWarning, PartDockerfile, d.File, d.syntax, "a syntax directive makes the builder fetch another Dockerfile frontend from a registry")
	}
	for _, a := range d.args {
		if LooksSecret(a.name, "?") {
			l.add(SeverityWarning, PartDockerfile, d.File, a.line, "ARG %s looks like a secret, which stays in the image's history: use RUN --mount=type=secret", a.name)
		}
	}
	l.stageNames(d)
	for _, s := range d.stages {
		l.bases(d, s)
		l.environment(d, s)
		l.copies(d, s)
	}
	l.user(d)
	l.watchdogPlatform(d)
}

// stageNames checks that a name is that of one stage: the builder takes the last one for it, whichever was meant.
func (l *linter) stageNames(d *Dockerfile) {
	lines := map[string]int{}
	for _, s := range d.stages {
		name := strings.ToLower(s.Name)
		if line, taken := lines[name]; taken && name != "" {
			l.add(SeverityWarning, PartDockerfile, d.File, s.line, "a stage of line %d has the name %s too: COPY --from and --target take the last one for both", line, s.Name)
		}
		lines[name] = s.line
	}
}

func (l *linter) bases(d *Dockerfile, s stage) {
	for _, ref := range append([]string{s.base}, s.images...) {
		if strings.Contains(ref, "$") && !strings.Contains(ref, "BUILDPLATFORM") && !strings.Contains(ref, "TARGET") {
			l.add(SeverityWarning, PartDockerfile, d.File, s.line, "base image %s depends on an ARG without a default", ref)
		}
		if ref == "" || strings.ContainsAny(ref, "@$") {
			continue
		}
		switch _, tag, _ := strings.Cut(path.Base(ref), ":"); tag {
		case "":
			l.add(SeverityWarning, PartDockerfile, d.File, s.line, "base image %s has no tag, so that it changes without notice", ref)
		case "latest":
			l.add(SeverityWarning, PartDockerfile, d.File, s.line, "base image %s has the tag latest, so that it changes without notice", ref)
		}
	}
}

func (l *linter) environment(d *Dockerfile, s stage) {
	for _, c := range s.Commands {
		env, ok := c.(*instructions.EnvCommand)
		if !ok {
			continue
		}
		for _, kv := range env.Env {
			if LooksSecret(kv.Key, kv.Value) {
				l.add(SeverityWarning, PartDockerfile, d.File, firstLine(c.Location()), "ENV %s looks like a secret, which stays in the image: use RUN --mount=type=secret", kv.Key)
			}
		}
	}
}

// isPackages reports whether a path is in the folder packages, and a build context has it.
func (l *linter) isPackages(name string) bool {
	return (name == words.PackagesFolder || strings.HasPrefix(name, words.PackagesFolder+"/")) &&
		slices.ContainsFunc(l.manifest.Packages, schema.PackageList.Separate)
}

// copies checks that what the Dockerfile copies from the build context is there,
// with the starter as the handler.
func (l *linter) copies(d *Dockerfile, s stage) {
	root := path.Dir(d.File) // a handler with a Dockerfile is the whole context
	for _, a := range s.added {
		if !isRemote(a.name) {
			continue // nobody knows yet
		}
		l.add(SeverityWarning, PartDockerfile, d.File, a.line, "ADD %s has no --checksum, so that what it fetches can change without notice", a.name)
	}
	for _, c := range s.copies {
		for _, source := range c.sources {
			name := path.Join(root, path.Join("/", source))
			if _, err := fs.Stat(l.view, name); err == nil || name == root || l.isPackages(name) {
				continue
			}
			if !strings.ContainsAny(source, `*?[\`) {
				l.add(SeverityError, PartDockerfile, d.File, c.line, "copies %s, which is not in the template", source)
				continue
			}
			if _, err := path.Match(source, ""); errors.Is(err, path.ErrBadPattern) {
				l.add(SeverityError, PartDockerfile, d.File, c.line, "copies %s, which is not a valid pattern", source)
			}
		}
	}
}

// user checks as whom the function runs.
func (l *linter) user(d *Dockerfile) {
	for _, s := range d.chain() {
		for _, c := range slices.Backward(s.Commands) {
			if u, ok := c.(*instructions.UserCommand); ok {
				l.userName(d, u)
				return
			}
		}
		if _, tag, _ := strings.Cut(path.Base(s.base), ":"); strings.Contains(tag, "nonroot") {
			return
		}
	}
	l.add(SeverityWarning, PartDockerfile, d.File, d.stages[len(d.stages)-1].line, "has no USER, so that the function runs as root")
}

func (l *linter) userName(d *Dockerfile, u *instructions.UserCommand) {
	name, _, _ := strings.Cut(u.User, ":")
	if strings.Contains(name, "$") {
		return
	}
	number, err := strconv.Atoi(name)
	line := firstLine(u.Location())
	switch {
	case name == "root" || (err == nil && number == 0):
		l.add(SeverityWarning, PartDockerfile, d.File, line, "USER %s: the function runs as root", u.User)
	case err != nil:
		l.add(SeverityWarning, PartDockerfile, d.File, line, "USER %s is not a number, so that Kubernetes cannot tell that it is not root", u.User)
	}
}

// watchdogPlatform checks that a watchdog which the Dockerfile brings is built
// for the image's platform.
func (l *linter) watchdogPlatform(d *Dockerfile) {
	for _, s := range d.stages {
		if s.base == "" || !strings.Contains(path.Base(s.base), "watchdog") || s.Platform == "" {
			continue
		}
		if !strings.Contains(s.Platform, "TARGET") {
			l.add(SeverityWarning, PartDockerfile, d.File, s.line, "the watchdog of %s is taken for --platform=%s, whatever platform the image is for", s.base, s.Platform)
		}
	}
}
