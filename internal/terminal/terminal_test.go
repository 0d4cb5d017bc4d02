package terminal

import (
	"context"
	"errors"
	"io"
	"os"
	"testing"

	"github.com/creack/pty"
	"golang.org/x/term"
)

// A program that has read from the input takes nothing that is for the next.
func TestInput(t *testing.T) {
	t.Parallel()
	r, w := io.Pipe()
	ended := make(chan struct{})
	in := NewInput(r, func() { close(ended) })
	first := in.Reader()
	waits := make(chan error)
	go func() {
		_, err := first.Read(make([]byte, 10))
		waits <- err
	}()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waits; !errors.Is(err, errTakenBack) {
		t.Errorf("a read that was taken back: %v", err)
	}
	second := in.Reader()
	go func() {
		_, _ = io.WriteString(w, "typed")
		_ = w.Close()
	}()
	got, err := io.ReadAll(second)
	if string(got) != "typed" || err != nil {
		t.Errorf("the second reads %q, %v", got, err)
	}
	<-ended
	if n, err := in.Reader().Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %d, %v", n, err)
	}
}

// A lent terminal passes on what is typed, says its size when that changes, and is what it
// was when it is given back or ctx ends.
func TestLend(t *testing.T) {
	host, own, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	defer own.Close()
	if err := pty.Setsize(host, &pty.Winsize{Rows: 40, Cols: 120}); err != nil {
		t.Fatal(err)
	}
	state := func() term.State {
		t.Helper()
		s, err := term.GetState(int(own.Fd()))
		if err != nil {
			t.Fatal(err)
		}
		return *s
	}
	before := state()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	loan, err := Lend(ctx, own, own, func() {})
	if err != nil {
		t.Fatal(err)
	}
	if s := <-loan.Sizes; s != (Size{Columns: 120, Rows: 40}) {
		t.Errorf("its size is %v", s)
	}
	if state() == before {
		t.Error("a lent terminal is as it was")
	}
	if _, err := io.WriteString(host, "\x03"); err != nil {
		t.Fatal(err)
	}
	key := make([]byte, 1)
	if _, err := own.Read(key); err != nil || key[0] != 3 {
		t.Errorf("Ctrl-C is %v, %v", key, err)
	}
	for range 2 {
		if err := loan.Return(); err != nil {
			t.Error(err)
		}
	}
	if state() != before {
		t.Error("it is not given back as it was")
	}
	if loan, err = Lend(ctx, own, own, func() {}); err != nil {
		t.Fatal(err)
	}
	stop()
	<-loan.ended
	if err := loan.Return(); err != nil || state() != before {
		t.Errorf("after the end of ctx: %v", err)
	}
	if Is(os.Stdin, own) && !term.IsTerminal(int(os.Stdin.Fd())) {
		t.Error("a file that is no terminal is one")
	}
}

// What is no terminal cannot be lent.
func TestLendFile(t *testing.T) {
	t.Parallel()
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := Lend(t.Context(), f, f, func() {}); err == nil {
		t.Error("a file is lent as a terminal")
	}
}
