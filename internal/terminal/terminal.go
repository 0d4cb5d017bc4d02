package terminal

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"

	"golang.org/x/term"
)

// A Size is that of a terminal, in characters.
type Size struct{ Columns, Rows int }

// Is reports whether all files are terminals.
func Is(files ...*os.File) bool {
	for _, f := range files {
		if !term.IsTerminal(int(f.Fd())) {
			return false
		}
	}
	return true
}

// A Loan is a terminal that a program elsewhere has: nothing that is typed means anything
// to this process, also not Ctrl-C.
type Loan struct {
	// Sizes has the terminal's size now, and again when it changes.
	Sizes <-chan Size

	in, out *os.File
	sizes   chan Size
	before  *term.State
	changed chan os.Signal
	hungUp  chan os.Signal
	ended   chan struct{}
	once    sync.Once
	err     error
}

// Lend lends the terminal that in and out are, until ctx ends or [Loan.Return] is called,
// which has to be: both give it back as it was. When the terminal is closed, closed is called.
func Lend(ctx context.Context, in, out *os.File, closed func()) (*Loan, error) {
	before, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, fmt.Errorf("having the terminal pass on what is typed: %w", err)
	}
	l := &Loan{
		in: in, out: out, before: before, sizes: make(chan Size, 1),
		changed: make(chan os.Signal, 1), hungUp: make(chan os.Signal, 1), ended: make(chan struct{}),
	}
	l.Sizes = l.sizes
	signal.Notify(l.changed, resized()...)
	signal.Notify(l.hungUp, hangups()...)
	l.measure()
	go l.follow(ctx, closed)
	return l, nil
}

// Return gives the terminal back as it was. It may be called twice.
func (l *Loan) Return() error {
	l.once.Do(func() {
		signal.Stop(l.changed)
		signal.Stop(l.hungUp)
		close(l.ended)
		l.err = term.Restore(int(l.in.Fd()), l.before)
	})
	return l.err
}

func (l *Loan) follow(ctx context.Context, closed func()) {
	for {
		select {
		case <-l.changed:
			l.measure()
		case <-l.hungUp:
			closed()
		case <-ctx.Done():
			_ = l.Return() // who has to call it is told
			return
		case <-l.ended:
			return
		}
	}
}

// measure says the terminal's size, in the place of one that nobody has taken.
func (l *Loan) measure() {
	columns, rows, err := term.GetSize(int(l.out.Fd()))
	if err != nil {
		return
	}
	select {
	case <-l.sizes:
	default:
	}
	l.sizes <- Size{Columns: columns, Rows: rows} // nobody else puts one there
}
