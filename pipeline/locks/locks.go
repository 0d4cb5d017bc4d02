// Package locks makes the lock files of package managers, in the builder: [Make] has a
// template's stage "lock" run, and writes what it leaves beside the manifest.
package locks

import (
	"archive/tar"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"fnb/internal/disk"
	"fnb/packaging"
	"fnb/packaging/lists"
	"fnb/pipeline"
	"fnb/policy"
	"fnb/sbom"
	lockfiles "fnb/sbom/locks"
	"fnb/schema"
	"fnb/schema/languages"
	"fnb/schema/words"
	"fnb/templates"
	"fnb/templates/tree"
)

// What comes from a builder is bounded, in bytes.
const (
	maxLock  = 64 << 20 // one lock, which is kept in memory
	maxStage = 1 << 30  // all files of the stage, which pass by
)

// A Lock is a lock that was made.
type Lock struct {
	Functions []string `json:"functions"` // that are installed from it
	Manager   string   `json:"manager"`
	File      string   `json:"file"`    // absolute
	Changed   bool     `json:"changed"` // it is not what it was

	Moves []sbom.Move `json:"moves,omitempty"` // packages whose versions are others, as far as the lock can be read
}

// A StageError is a template that makes no locks.
type StageError struct{ Template string }

func (e *StageError) Error() string {
	return fmt.Sprintf("the template %s makes no locks: its Dockerfile has no stage %q", e.Template, words.LockStage)
}

// A NoneError is a function that has no package list that a lock could be made of.
type NoneError struct{ Template string }

func (e *NoneError) Error() string {
	return "there is no package list that the template " + e.Template + " installs from"
}

// A LocklessError is a function whose package manager has no lock.
type LocklessError struct {
	Manager  string
	Manifest string // what it reads
}

func (e *LocklessError) Error() string {
	return fmt.Sprintf("%s has no lock: what it installs is pinned by naming each package with its version in %s", e.Manager, e.Manifest)
}

// A NothingError is a function whose package list names nothing: its package manager makes no
// lock then, and it needs none.
type NothingError struct{ Manager string }

func (e *NothingError) Error() string {
	return fmt.Sprintf("there is nothing to lock: the package list names nothing, so %s makes no lock", e.Manager)
}

// goModules is the package manager whose manifest names each version: whoever makes its lock chooses none.
const goModules = "go"

// unlockable reports whether an error says that a function has nothing to be locked.
func unlockable(err error) bool {
	_, stage := errors.AsType[*StageError](err)
	_, none := errors.AsType[*NoneError](err)
	_, lockless := errors.AsType[*LocklessError](err)
	return stage || none || lockless
}

// Nothing reports whether an error of [Make] says that no function has anything to be locked.
func Nothing(err error) bool {
	run, ok := errors.AsType[*pipeline.RunError](err)
	return ok && !slices.ContainsFunc(run.Failed, func(f *pipeline.FunctionError) bool { return !unlockable(f) })
}

// Make makes the locks of functions, one for those of one workspace. The pipeline is one
// whose settings have [pipeline.Inputs] with Relock. A function that has nothing to be locked
// is an error if it is named or no other has; else it is passed over, and passed says why. One
// whose package list names nothing is passed over always.
func Make(ctx context.Context, p *pipeline.Pipeline, fns []schema.Function, named bool) (all []Lock, passed []*pipeline.FunctionError, err error) {
	return makeAll(ctx, &making{p: p, write: true, made: map[string][]int{}}, fns, named)
}

// Try is Make, and writes nothing.
func Try(ctx context.Context, p *pipeline.Pipeline, fns []schema.Function, named bool) (all []Lock, passed []*pipeline.FunctionError, err error) {
	return makeAll(ctx, &making{p: p, made: map[string][]int{}}, fns, named)
}

func makeAll(ctx context.Context, m *making, fns []schema.Function, named bool) (all []Lock, passed []*pipeline.FunctionError, err error) {
	var nothing []*pipeline.FunctionError
	for _, fn := range fns {
		if fn.SkipBuild {
			continue
		}
		if err := m.lock(ctx, fn); err != nil {
			f := &pipeline.FunctionError{Name: fn.Name, Place: pipeline.PlaceOf(m.p.Stack, fn), Doing: "locking packages", Err: err}
			if _, ok := errors.AsType[*NothingError](err); ok {
				nothing = append(nothing, f)
				continue
			}
			if named || !unlockable(err) {
				return m.all, passed, f
			}
			passed = append(passed, f)
		}
	}
	if len(m.all)+len(nothing) == 0 && len(passed) > 0 {
		return nil, nil, &pipeline.RunError{Failed: passed, All: len(fns)}
	}
	return m.all, append(passed, nothing...), nil
}

// Ask asks the policy about the package managers that [Make] would have choose versions for plans.
func Ask(p *policy.Policy, plans []*pipeline.Plan) error {
	var errs []error
	for _, pl := range plans {
		if packages := pl.Packages(); packages.Lockable {
			errs = append(errs, ask(p, packages))
		}
	}
	return errors.Join(errs...)
}

func ask(p *policy.Policy, packages packaging.Packages) error {
	if m, ok := languages.ManagerNamed(packages.Manager); !ok || len(m.Locks) == 0 || m.Name == goModules {
		return nil
	}
	return p.Packages(packages.Manager, packages.Aged)
}

// A making is locks under way.
type making struct {
	p     *pipeline.Pipeline
	write bool // what is made
	all   []Lock
	made  map[string][]int // folder: the locks that were made there
}

// lock makes the lock of one function, if it was not made for another.
func (m *making) lock(ctx context.Context, fn schema.Function) error {
	fn.Platforms = nil // a lock is for all of them
	pl, err := m.p.Prepare(ctx, &pipeline.Job{Function: fn})
	if target, ok := errors.AsType[*packaging.TargetError](err); ok && target.Name == words.LockStage {
		return stageless(pl.Template, fn.Lang)
	}
	if err != nil {
		return err
	}
	packages := pl.Packages()
	if packages.Manager == "" {
		return &NoneError{fn.Lang}
	}
	if manager, ok := languages.ManagerNamed(packages.Manager); ok && len(manager.Locks) == 0 {
		return &LocklessError{manager.Name, manager.Manifest}
	}
	if err := ask(m.p.Policy, packages); err != nil {
		return err
	}
	if before, ok := m.made[packages.Dir]; ok {
		for _, i := range before {
			m.all[i].Functions = append(m.all[i].Functions, fn.Name)
		}
		return nil
	}
	files, err := solve(ctx, m.p, pl)
	if err != nil {
		return err
	}
	for name, data := range files {
		l := Lock{Functions: []string{fn.Name}, Manager: packages.Manager, File: filepath.Join(packages.Dir, name)}
		if err := m.put(&l, data); err != nil {
			return err
		}
		m.made[packages.Dir] = append(m.made[packages.Dir], len(m.all))
		m.all = append(m.all, l)
	}
	return nil
}

// stageless is why a template without a stage that makes locks has none: it may install by
// managers alone that know none.
func stageless(tmpl *templates.Template, lang string) error {
	var err error = &StageError{lang}
	for _, l := range tmpl.Packages.Lists {
		m, ok := languages.ManagerNamed(lists.Default(l))
		if !ok || len(m.Locks)+len(l.Locks) > 0 {
			return &StageError{lang}
		}
		err = &LocklessError{m.Name, m.Manifest}
	}
	return err
}

// put says how a lock differs from what is there, and writes it if that is wanted.
func (m *making) put(l *Lock, data []byte) error {
	if m.write {
		if err := replaceable(l.File); err != nil {
			return err
		}
	}
	old, err := os.ReadFile(l.File)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if l.Changed = err != nil || !bytes.Equal(old, data); !l.Changed {
		return nil
	}
	l.Moves = sbom.Moves(packagesIn(l.File, old), packagesIn(l.File, data))
	if !m.write {
		return nil
	}
	return disk.ReplaceFile(l.File, data, 0o644)
}

// packagesIn are the packages that a lock has; of one that cannot be read there are none.
func packagesIn(file string, data []byte) []sbom.Package {
	files, err := tree.New([]tree.Entry{tree.Bytes(filepath.Base(file), data)})
	if err != nil {
		return nil
	}
	return lockfiles.Read(files, ".").Packages
}

// replaceable refuses what is no plain file: a link would have the template's words written to where it leads.
func replaceable(file string) error {
	switch info, err := os.Lstat(file); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is not a plain file, so fnb does not replace it", filepath.Base(file))
	}
	return nil
}

// solve has the builder make the locks, and returns them by name.
func solve(ctx context.Context, p *pipeline.Pipeline, pl *pipeline.Plan) (map[string][]byte, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	out, in := io.Pipe()
	got := stage{manager: pl.Packages().Manager, most: maxStage}
	read := make(chan error, 1)
	go func() {
		err := got.read(out)
		if err != nil {
			stop() // a builder goes on with what nobody reads
		}
		read <- errors.Join(err, out.CloseWithError(err))
	}()
	err := p.Export(ctx, pl, in)
	_ = in.CloseWithError(cmp.Or(err, io.ErrUnexpectedEOF)) // a stage that was sent whole has its own end
	if wrong := <-read; err == nil || got.refused {
		err = wrong
	}
	if err != nil {
		return nil, err
	}
	if len(got.files) == 0 && got.manager == "deno" {
		return nil, &NothingError{got.manager}
	}
	if len(got.files) == 0 {
		return nil, fmt.Errorf("the stage %q of the template left no lock of %s", words.LockStage, got.manager)
	}
	return got.files, nil
}

// A stage is what a builder sends of one. Only locks of the manager are kept: others are other functions', or another
// language's.
type stage struct {
	manager string
	most    int64 // bytes of all files
	files   map[string][]byte
	refused bool // it is not what it should be
}

// read reads the files of a stage, a tar, to the end.
func (s *stage) read(from io.Reader) error {
	bounded := &io.LimitedReader{R: from, N: s.most}
	err := s.readFiles(tar.NewReader(bounded))
	if err == nil {
		_, err = io.Copy(io.Discard, bounded) // what follows a tar
	}
	if bounded.N == 0 {
		s.refused = true
		return fmt.Errorf("the stage %q of the template has more than %d bytes; one that begins with FROM scratch has only what is copied into it", words.LockStage, s.most)
	}
	return err
}

func (s *stage) readFiles(files *tar.Reader) error {
	s.files = map[string][]byte{}
	for {
		file, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			s.refused = errors.Is(err, tar.ErrHeader)
			return err
		}
		name := path.Clean(strings.TrimPrefix(file.Name, "/"))
		if m, _, ok := languages.ManagerOf(name); !ok || m.Name != s.manager {
			continue
		}
		if file.Typeflag != tar.TypeReg || file.Size > maxLock {
			s.refused = true
			return fmt.Errorf("the builder's %s is not a file of at most %d bytes", name, maxLock)
		}
		if s.files[name], err = io.ReadAll(files); err != nil {
			return err
		}
	}
}
