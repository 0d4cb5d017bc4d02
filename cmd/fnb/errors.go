package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"fnb/builder"
	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/pipeline/services"
)

// Exit codes, as fnb help exit-codes explains them.
const (
	exitDone        = 0
	exitError       = 1
	exitUsage       = 2
	exitBuild       = 3
	exitNotFound    = 4
	exitRegistry    = 5
	exitBuilder     = 6
	exitNewer       = 7
	exitPolicy      = 8
	exitDeploy      = 9
	exitFindings    = 10
	exitNoProgram   = 126
	exitNotThere    = 127
	exitInterrupted = 130
)

// A usageError is a command line that makes no sense.
type usageError struct {
	command string
	err     error
	hints   []string
}

func usagef(command, format string, args ...any) error {
	return &usageError{command: command, err: fmt.Errorf(format, args...)}
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// A hinted error carries hints of its own.
type hinted struct {
	error
	hints []string
}

func (e *hinted) Unwrap() error { return e.error }

// hint adds what to type to an error.
func hint(err error, hints ...string) error { return &hinted{err, hints} }

// report prints an error with its hints and returns the exit code.
func report(w io.Writer, err error) int {
	if err == nil {
		return exitDone
	}
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(w, "fnb: interrupted")
		return exitInterrupted
	}
	if all, ok := errors.AsType[*missingError](err); ok {
		show(w, all.missing...)
		fmt.Fprintln(w, "fnb: "+plain.Line(all.Error()))
		return exitCode(err)
	}
	show(w, err)
	if run, ok := errors.AsType[*pipeline.RunError](err); ok && run.All > 1 {
		fmt.Fprintln(w, "fnb: "+plain.Line(run.Error()))
	}
	return exitCode(err)
}

// show prints errors: of each what went wrong with each function, and then what is no function's. A hint that is the same for several is
// said once, behind the last of them.
func show(w io.Writer, errs ...error) {
	var all []error
	for _, err := range errs {
		var others []error
		for _, e := range flatten(err) {
			if is[*pipeline.FunctionError](e) {
				all = append(all, e)
			} else {
				others = append(others, e)
			}
		}
		if len(others) > 0 {
			all = append(all, errors.Join(others...))
		}
	}
	about, last := make([][]string, len(all)), map[string]int{}
	for i, e := range all {
		about[i] = hints(here(e))
		for _, h := range about[i] {
			last[h] = i
		}
	}
	for i, e := range all {
		showOne(w, e)
		for _, h := range about[i] {
			if at, ok := last[h]; ok && at == i {
				fmt.Fprintln(w, "hint: "+plain.Line(h))
				delete(last, h)
			}
		}
	}
}

// showOne prints what went wrong with one thing: a failing step with its log, and a line for each
// problem.
func showOne(w io.Writer, err error) {
	if se, ok := errors.AsType[*builder.SolveError](err); ok && se.Step != "" {
		fmt.Fprintf(w, "--- %s\n", plain.Line(se.Step))
		for _, line := range se.Log {
			fmt.Fprintf(w, "    %s\n", plain.Line(line))
		}
	}
	if ue, ok := errors.AsType[*builder.UnreachableError](err); ok {
		for _, line := range ue.Log {
			fmt.Fprintf(w, "    %s\n", plain.Line(line))
		}
	}
	if le, ok := errors.AsType[*services.LogError](err); ok {
		for _, line := range le.Log {
			fmt.Fprintf(w, "    %s | %s\n", plain.Line(le.Service), plain.Line(line))
		}
	}
	prefix, problems := "fnb: ", err
	if fe, ok := errors.AsType[*pipeline.FunctionError](err); ok {
		prefix += fe.Name + ": "
		if fe.Doing != "" {
			prefix += fe.Doing + ": "
		}
		problems = fe.Err
	}
	for _, e := range flatten(here(problems)) {
		fmt.Fprintln(w, plain.Line(prefix+message(e)))
	}
}

// message is an error's text in the words of the command line.
func message(err error) string {
	if t, ok := err.(*pipeline.TagError); ok { //nolint:errorlint // what is around it has words of its own
		return "--tag " + t.Rule + ": " + t.Err.Error()
	}
	if n, ok := err.(*pipeline.NoTestsError); ok { //nolint:errorlint // the same
		return n.Error() + ", or leave out --test"
	}
	return err.Error()
}

// flatten takes joined errors apart, so that each gets a line.
func flatten(err error) []error {
	if j, ok := err.(interface{ Unwrap() []error }); ok { //nolint:errorlint // only a bare join is taken apart
		var out []error
		for _, e := range j.Unwrap() {
			out = append(out, flatten(e)...)
		}
		return out
	}
	return []error{err}
}

// column is a text that stays in its column of a table.
func column(s string) string { return strings.ReplaceAll(plain.Line(s), "\t", " ") }
