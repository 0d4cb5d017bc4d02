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
		for _, e := range all.missing {
			show(w, e)
		}
		fmt.Fprintln(w, "fnb: "+plain.Line(all.Error()))
		return exitCode(all)
	}
	var run *pipeline.RunError
	if !errors.As(err, &run) {
		show(w, err)
		return exitCode(err)
	}
	for _, f := range run.Failed {
		show(w, f)
	}
	if run.All > 1 {
		fmt.Fprintln(w, "fnb: "+plain.Line(run.Error()))
	}
	return exitCode(run)
}

// show prints one error: a failing step with its log, a line for each problem,
// and hints.
func show(w io.Writer, err error) {
	var se *builder.SolveError
	if errors.As(err, &se) && se.Step != "" {
		fmt.Fprintf(w, "--- %s\n", plain.Line(se.Step))
		for _, line := range se.Log {
			fmt.Fprintf(w, "    %s\n", plain.Line(line))
		}
	}
	var ue *builder.UnreachableError
	if errors.As(err, &ue) {
		for _, line := range ue.Log {
			fmt.Fprintf(w, "    %s\n", plain.Line(line))
		}
	}
	if le, ok := errors.AsType[*services.LogError](err); ok {
		for _, line := range le.Log {
			fmt.Fprintf(w, "    %s | %s\n", plain.Line(le.Service), plain.Line(line))
		}
	}
	prefix := "fnb: "
	var fe *pipeline.FunctionError
	if errors.As(err, &fe) {
		prefix += fe.Name + ": "
		if fe.Doing != "" {
			prefix += fe.Doing + ": "
		}
		err = fe.Err
	}
	for _, e := range flatten(here(err)) {
		fmt.Fprintln(w, plain.Line(prefix+message(e)))
	}
	for _, h := range hints(err) {
		fmt.Fprintln(w, "hint: "+plain.Line(h))
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
