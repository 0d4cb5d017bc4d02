package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"

	"fnb/builder"
	"fnb/builder/containers"
	"fnb/builder/steps"
	"fnb/internal/plain"
	"fnb/internal/terminal"
	"fnb/pipeline/shell"
)

const shellOnFailureFlag = "shell-on-failure"

// failureShells are those of a build that are opened where steps fail, one after another.
type failureShells struct {
	g      *globals
	p      *shownPipeline
	input  *terminal.Input
	closed chan struct{} // when the terminal is
	once   sync.Once
	one    sync.Mutex
}

// openOnFailure has a build open shells where its steps fail, if that is wanted.
func (g *globals) openOnFailure(want *wanted, wanted bool) error {
	if !wanted {
		return nil
	}
	if !terminal.Is(g.in, g.err) {
		return &usageError{
			command: "fnb build", err: errors.New("--" + shellOnFailureFlag + " needs a terminal: standard input and standard error must be one"),
			hints: []string{"run it where somebody can type, or leave out --" + shellOnFailureFlag},
		}
	}
	f := &failureShells{g: g, closed: make(chan struct{})}
	f.input = terminal.NewInput(g.in, f.hangUp)
	want.failures = f
	return nil
}

// of has a build open them.
func (f *failureShells) of(p *shownPipeline) {
	if f != nil {
		f.p, p.Failed = p, f.open
	}
}

func (f *failureShells) hangUp() { f.once.Do(func() { close(f.closed) }) }

// open opens a shell where a step failed, and returns when that has ended.
func (f *failureShells) open(ctx context.Context, function string, at *steps.Failure) {
	f.one.Lock()
	defer f.one.Unlock()
	if ctx.Err() != nil {
		return
	}
	if f.p.Progress != nil {
		defer f.p.Progress.Pause()()
	}
	var told sync.Mutex
	if at.Name != "" {
		f.g.say(&told, function, "%s failed", at.Name)
	}
	if at.Closed != nil {
		f.g.say(&told, function, "no shell can be opened at this step: %v", builder.WithoutGRPC(at.Closed))
		return
	}
	what := "as it left them"
	if at.Before {
		what = "as they were before, since the builder lost what it changed"
	}
	f.g.say(&told, function, "this shell is at that step, with its files %s; exit goes on", what)
	if _, err := f.talk(ctx, at); err != nil && ctx.Err() == nil {
		f.g.say(&told, function, "the shell at that step: %v", err)
	}
}

func (f *failureShells) talk(ctx context.Context, at *steps.Failure) (int, error) {
	ctx, closed := context.WithCancel(ctx)
	defer closed()
	go func() {
		select {
		case <-f.closed:
			closed()
		case <-ctx.Done():
		}
	}()
	in := f.input.Reader()
	defer in.Close()
	out := unclosed{f.g.err}
	req := containers.Request{Stdout: out, Stderr: out}
	req.Service.Talk = &containers.Talk{TTY: true, Term: os.Getenv("TERM"), In: in}
	return f.g.lend(ctx, f.g.err, f.hangUp, func(ctx context.Context, sizes <-chan terminal.Size) (int, error) {
		return containers.Enter(ctx, at, req, sizes)
	})
}

// hintAtFailure says how a shell is opened in a stage that fails.
func hintAtFailure(err error, function, stage string) error {
	if e, ok := errors.AsType[*builder.SolveError](err); !ok || stage == "" || e.Step == "" || e.Foreign != "" {
		return err
	}
	return hint(err, fmt.Sprintf("open a shell at the step that fails: fnb build %s --target %s --%s", plain.ShellWord(function), plain.ShellWord(stage), shellOnFailureFlag))
}

// shellHints say where there is a shell, or what was meant.
func shellHints(err error) []string {
	e, ok := errors.AsType[*shell.MissingError](err)
	if !ok {
		return nil
	}
	var out []string
	if len(e.Stages) > 0 {
		names := e.Stages
		if len(names) > 1 {
			out = append(out, "a stage of its build may have one: "+strings.Join(names, ", "))
		}
		out = append(out, fmt.Sprintf("open it there: fnb shell %s --stage %s", plain.ShellWord(e.Function), plain.ShellWord(names[len(names)-1])))
	}
	return append(out, fmt.Sprintf("or run a program that it has: fnb shell %s -- PROGRAM", plain.ShellWord(e.Function)))
}
