// Command read does what a page of the documents says, in the working folder, and fails with the first thing that is
// not as the page has it.
//
// Usage:
//
//	read [-port PORT] [-has NAME=TEXT]… PAGE [NAME HERE]…
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"fnb/internal/pages"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	r := pages.Reader{Env: os.Environ(), Home: os.Getenv("HOME"), Has: map[string]string{}}
	flag.StringVar(&r.Port, "port", "8080", "have fnb run serve at this `port`")
	flag.Func("has", "the reader has a file: `NAME=TEXT` (repeatable)", func(v string) error {
		name, text, ok := strings.Cut(v, "=")
		if !ok {
			return errors.New("it must be NAME=TEXT")
		}
		r.Has[name] = text + "\n"
		return nil
	})
	flag.Parse()
	if err := run(ctx, &r, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "read:", err)
		os.Exit(1)
	}
}

// run reads a page; what it speaks of follows, each name with what is in its place here.
func run(ctx context.Context, r *pages.Reader, args []string) error {
	if len(args)%2 != 1 {
		return errors.New("give a page, and each name with what it is here")
	}
	data, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	blocks, err := pages.Blocks(string(data))
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	if r.Dir, err = os.Getwd(); err != nil {
		return err
	}
	r.Names = args[1:]
	defer r.Close()
	done := 0
	for _, b := range blocks {
		if err := r.Do(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", args[0], err)
		}
		if b.Kind == "console" {
			done++
		}
	}
	if done == 0 {
		return fmt.Errorf("%s has no commands", args[0])
	}
	return nil
}
