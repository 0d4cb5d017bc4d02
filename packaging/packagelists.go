package packaging

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"fnb/packaging/lists"
	"fnb/schema"
	"fnb/schema/words"
	"fnb/templates"
	"fnb/templates/tree"
)

// The build args of a stage that makes a lock.
const (
	lockedAtArg        = "LOCKED_AT"
	publishedBeforeArg = "PUBLISHED_BEFORE"
	reviewedArg        = "REVIEWED_PACKAGES"
)

// A Relock says how a lock is to be made.
type Relock struct {
	At   string // the time, so that the step that makes it is run again; the build arg LOCKED_AT
	Anew bool   // without what the locks that are there pin
	// Before is the time, as RFC 3339 has it, before which versions have to be published that are
	// chosen, but for those of the packages in Reviewed: the build args PUBLISHED_BEFORE and
	// REVIEWED_PACKAGES, names with blanks between. "" lets all be chosen.
	Before   string
	Reviewed []string
}

// args are the build args that tell a Dockerfile of it.
func (r *Relock) args() map[string]string {
	args := map[string]string{lockedAtArg: r.At}
	if r.Before != "" {
		args[publishedBeforeArg], args[reviewedArg] = r.Before, strings.Join(r.Reviewed, " ")
	}
	return args
}

// Packages are what a context's packages are installed from. The zero value is of a template
// that has no folder packages.
type Packages struct {
	Manager string // "" if there is no package list
	// Dir is the folder that has the lock, absolute: the handler's, or its workspace's.
	Dir string
	// Member is the handler's folder below Dir; "." where they are one.
	Member string
	// Around are files and folders beside the handler, such as members of its workspace,
	// relative to [Input.Root].
	Around []string
	// Aged says that the template's Dockerfile declares PUBLISHED_BEFORE, and so tells the
	// manager how old versions must be.
	Aged bool
	// Lockable says that the template's Dockerfile has a stage that makes a lock.
	Lockable bool
}

// packageInputs are what packages are installed from and by.
type packageInputs struct {
	packages Packages
	given    map[string]string // build args that fnb gives to a Dockerfile that declares them
}

// addPackageLists takes those package lists from the template's starter that
// the handler lacks, each with its lock.
func (a *assembly) addPackageLists(context.Context) error {
	if a.folder == "." {
		return nil
	}
	for _, list := range a.in.Template.Packages.Lists {
		if !inside(a.folder, list.Manifest) || a.has(list.Manifest) || list.Separate() && a.lists(list.Ecosystem) {
			continue
		}
		var taken []string
		for _, name := range []string{list.Manifest, list.Lock} {
			if name == "" || a.has(name) {
				continue
			}
			if err := a.noSecret(name); err != nil {
				return err
			}
			e, err := tree.File(a.in.Template.FS, name, name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return fmt.Errorf("template %s: %w", a.in.Template.Name, err)
			}
			a.entries = append(a.entries, e)
			taken = append(taken, name)
		}
		if len(taken) > 0 {
			a.details = append(a.details, strings.Join(taken, " and ")+" from the template, because the handler has none")
		}
	}
	return nil
}

// lists reports whether the handler has a manifest or a lock of an ecosystem.
func (a *assembly) lists(ecosystem string) bool {
	return slices.ContainsFunc(lists.Names(ecosystem, a.ownLists()), func(name string) bool { return a.has(path.Join(a.folder, name)) })
}

// ownLists are the template's package lists that are installed from the folder packages,
// with their paths below the handler's folder.
func (a *assembly) ownLists() []schema.PackageList {
	below := func(name string) string { return strings.TrimPrefix(name, a.folder+"/") }
	var own []schema.PackageList
	for _, l := range a.in.Template.Packages.Lists {
		if !l.Separate() || !inside(a.folder, l.Manifest) {
			continue
		}
		o := schema.PackageList{Ecosystem: l.Ecosystem, Manifest: below(l.Manifest), Lock: below(l.Lock), Locks: map[string]string{}}
		for _, pattern := range l.Files {
			o.Files = append(o.Files, below(pattern))
		}
		for manager, lock := range l.Locks {
			o.Locks[manager] = below(lock)
		}
		own = append(own, o)
	}
	return own
}

// addPackages adds the folder packages: what packages are installed from and nothing else,
// so that the step that installs them is not made again by a change of another file.
func (a *assembly) addPackages(ctx context.Context) error {
	own := a.ownLists()
	if a.folder == "." || len(own) == 0 {
		a.inHandler()
		return nil
	}
	s, err := a.surroundings()
	if err != nil {
		return err
	}
	search := lists.Search{Files: s, Handler: s.at, Lists: own}
	if again := a.in.Relock; again != nil {
		search.Relock, search.Anew = true, again.Anew
	}
	found, err := lists.Find(search)
	if lock, ok := errors.AsType[*lists.LockError](err); ok {
		return unusable(a.in.Template.Name, lock)
	}
	if err != nil {
		return err
	}
	p := gathering{surroundings: s, root: found.Root, places: map[string]bool{}}
	if err := p.gather(ctx, found); err != nil {
		return err
	}
	a.packages.Manager, a.packages.Member, a.packages.Dir = found.Manager, found.Member, s.full(found.Root)
	a.given = map[string]string{words.PackageManagerArg: found.Manager, words.WorkspaceMemberArg: found.Member}
	npm := slices.ContainsFunc(own, func(l schema.PackageList) bool { return l.Ecosystem == "npm" })
	if npm && !a.hasLifecycleScripts() {
		a.given[words.LifecycleScriptsArg] = "none"
	}
	if a.in.Relock != nil {
		maps.Copy(a.given, a.in.Relock.args())
	}
	return nil
}

// hasLifecycleScripts reports whether the handler's package.json may have a script that npm runs when it
// installs the handler's packages.
func (a *assembly) hasLifecycleScripts() bool {
	data, err := a.handler.ReadFile("package.json")
	if err != nil {
		return !errors.Is(err, fs.ErrNotExist)
	}
	var list struct {
		Scripts map[string]any `json:"scripts"`
	}
	if err := json.Unmarshal(data, &list); err != nil {
		return true // the step says what is wrong with it
	}
	return slices.ContainsFunc([]string{"preinstall", "install", "postinstall", "prepare"}, func(name string) bool { return list.Scripts[name] != nil })
}

// inHandler finds the list that the template's steps install from the handler's folder itself, if the handler has it.
func (a *assembly) inHandler() {
	if a.folder == "." {
		return
	}
	for _, l := range a.in.Template.Packages.Lists {
		manager := lists.Default(l)
		if manager == "" || !inside(a.folder, l.Manifest) {
			continue
		}
		if info, err := a.handler.Stat(strings.TrimPrefix(l.Manifest, a.folder+"/")); err == nil && info.Mode().IsRegular() {
			a.packages = Packages{Manager: manager, Dir: a.dir, Member: "."}
			if a.in.Relock != nil {
				a.given = a.in.Relock.args()
			}
			return
		}
	}
}

// giveArgs sets the build args that say how packages are installed, if the Dockerfile
// declares them and nobody else sets them.
func (a *assembly) giveArgs(d *templates.Dockerfile) (changed bool) {
	says := d.Summary()
	a.packages.Aged, a.packages.Lockable = slices.Contains(says.Args, publishedBeforeArg), hasStage(says, words.LockStage)
	for name, value := range a.given {
		_, set := a.args[name]
		if name == publishedBeforeArg || name == reviewedArg {
			set = false // a stack cannot undo what a policy says
		}
		if !set && value != "" && slices.Contains(says.Args, name) {
			a.args[name] = value
			changed = true
		}
	}
	return changed
}
