package pipeline

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fnb/builder"
	"fnb/builder/buildcache"
	"fnb/internal/plain"
	"fnb/packaging/lists"
	"fnb/schema"
	"fnb/schema/words"
	"fnb/templates"
)

// A FunctionError is what went wrong with one function.
type FunctionError struct {
	Name  string
	Place Place
	Doing string   // what was being done, to what; "" where that is clear
	Also  []string // functions that share its image, and so what went wrong
	Err   error
}

func (e *FunctionError) Error() string {
	if e.Doing == "" {
		return e.Name + ": " + e.Err.Error()
	}
	return e.Name + ": " + e.Doing + ": " + e.Err.Error()
}

func (e *FunctionError) Unwrap() error { return e.Err }

// A RunError is a run in which functions failed.
type RunError struct {
	Failed []*FunctionError
	All    int
}

func (e *RunError) Error() string {
	var names []string
	for _, f := range e.Failed {
		names = append(append(names, f.Name), f.Also...)
	}
	return fmt.Sprintf("%d of %d functions failed: %s", len(names), e.All, strings.Join(names, ", "))
}

func (e *RunError) Unwrap() []error {
	var errs []error
	for _, f := range e.Failed {
		errs = append(errs, f)
	}
	return errs
}

// A StepError says what was being done to a function, to what.
type StepError struct {
	Doing string
	Err   error
}

func (e *StepError) Error() string { return e.Doing + ": " + e.Err.Error() }
func (e *StepError) Unwrap() error { return e.Err }

// While says what was being done when err happened; nil where there is none. The innermost
// step is the one that is told.
func While(doing string, err error) error {
	if err == nil || is[*StepError](err) {
		return err
	}
	return &StepError{doing, err}
}

// stepOf takes an error apart into what was being done and what went wrong.
func stepOf(err error) (doing string, cause error) {
	if s, ok := err.(*StepError); ok { //nolint:errorlint // what it wraps is told as it is
		return s.Doing, s.Err
	}
	return "", err
}

// cause is an error without what was being done.
func cause(err error) error {
	_, err = stepOf(err)
	return err
}

// Failed is an error of the job's function.
func (j *Job) Failed(err error) *FunctionError {
	doing, cause := stepOf(err)
	return &FunctionError{Name: j.Function.Name, Place: j.Place, Doing: doing, Err: cause}
}

// oneLine is an error as a report has it, without what was being done.
func oneLine(err error) string {
	err = cause(err)
	var se *builder.SolveError
	if errors.As(err, &se) {
		return plain.Line(se.Error())
	}
	return plain.Line(err.Error())
}

// An OfferError is that of a build, or of what packages are installed from, with what the
// function's template could do about it.
type OfferError struct {
	Function string
	Options  []schema.BuildOption // groups of packages that it could add
	Locks    bool                 // it makes locks of packages, and that is not what failed
	Err      error
}

func (e *OfferError) Error() string { return e.Err.Error() }
func (e *OfferError) Unwrap() error { return e.Err }

// offering adds what a function's template could do about an error.
func (p *Pipeline) offering(fn schema.Function, tmpl *templates.Template, err error) error {
	if tmpl == nil || !is[*builder.SolveError](err) && !is[*lists.BadLockError](err) && !is[*lists.ContradictionError](err) {
		return err
	}
	failed := p.settings.Inputs.Relock != nil && is[*builder.SolveError](err) // what would make a lock
	locks := !failed && slices.Contains(tmpl.Dockerfile.Stages, words.LockStage)
	return &OfferError{Function: fn.Name, Options: tmpl.Manifest.BuildOptions, Locks: locks, Err: err}
}

// A TemplateError is why a function's template cannot be had.
type TemplateError struct {
	Reference string
	Err       error
}

func (e *TemplateError) Error() string { return e.Err.Error() }
func (e *TemplateError) Unwrap() error { return e.Err }

// A TagError is a rule for tags that does not apply.
type TagError struct {
	Rule string
	Err  error
}

func (e *TagError) Error() string { return "the tag rule " + e.Rule + ": " + e.Err.Error() }
func (e *TagError) Unwrap() error { return e.Err }

// A NoTestsError says that a function's tests are to be run, and its template has none.
type NoTestsError struct{ Template string }

func (e *NoTestsError) Error() string {
	return "template " + e.Template + " has no test target; name the stage with test.target in the stack file"
}

// A ContextError is a build context that cannot be written.
type ContextError struct {
	Dir string
	Err error
}

func (e *ContextError) Error() string { return e.Err.Error() }
func (e *ContextError) Unwrap() error { return e.Err }

// An OverwriteError says that functions would write over one another: Path, of the
// destination or of a build cache, lacks the function's name.
type OverwriteError struct {
	Functions int
	Path      string
	Cache     buildcache.Cache // the zero value where it is the destination
	Key       string           // of the cache, whose value Path is
}

func (e *OverwriteError) Error() string {
	return fmt.Sprintf("%s: %d functions would write over one another; put %%s, the function's name, into it", e.Path, e.Functions)
}

// An UnknownFunctionError names what neither is a function of the stack nor in its lock.
type UnknownFunctionError struct {
	Name, File string
	Near       []string
}

func (e *UnknownFunctionError) Error() string {
	return fmt.Sprintf("%s has no function %q", e.File, e.Name)
}

// A Place is where a function stands in a checkout.
type Place struct {
	Stack      string // the stack file
	Line       int    // of the function in it
	Template   string // the folder of its template, where it is in the project; else ""
	Dockerfile string // the function's, where it is in the project; else ""
}

// PlaceOf finds a function's place.
func PlaceOf(stack *schema.Stack, fn schema.Function) Place {
	p := Place{Stack: stack.File, Line: fn.Line, Template: templateFolder(stack, fn)}
	dir := p.Template
	if dir == "" && fn.Lang == "dockerfile" {
		dir = filepath.Join(filepath.Dir(stack.File), filepath.FromSlash(fn.Handler))
	}
	file := filepath.Join(dir, "Dockerfile")
	if _, err := os.Stat(file); err == nil && dir != "" {
		p.Dockerfile = file
	}
	return p
}

// templateFolder is the folder of a function's template in the project; "" where
// it comes from elsewhere.
func templateFolder(stack *schema.Stack, fn schema.Function) string {
	ref, err := schema.ParseTemplateRef(fn.Lang)
	if err != nil {
		return ""
	}
	root := filepath.Dir(stack.File)
	dir := filepath.Join(root, "template", ref.Name)
	if ref.Kind == schema.RefFolder {
		if dir = filepath.FromSlash(ref.Dir); !filepath.IsAbs(dir) {
			dir = filepath.Join(root, dir)
		}
	} else if ref.Kind != schema.RefName || ref.Namespace != "" {
		return ""
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return ""
	}
	return dir
}

// is reports whether an error of type T is in err's tree.
func is[T error](err error) bool {
	_, ok := errors.AsType[T](err)
	return ok
}
