// Command fnb turns functions into OCI images: it resolves their templates,
// packages template and handler, has BuildKit solve them and pushes the images.
//
// This package translates a command line into calls of the rooms and their
// results into words. It is the only one that prints, exits, or knows every
// room.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"

	"fnb/internal/ci"
	_ "fnb/internal/start"
)

func main() { os.Exit(run()) }

// run is main with an exit code, so that deferred calls happen.
func run() int {
	// What libraries below log is for their authors. The managed builder sets this
	// anew for its own log.
	logrus.SetOutput(io.Discard)
	log.SetOutput(io.Discard)
	ctx, cancel := interruptible()
	defer cancel()
	s := streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	root := newRoot(s)
	err := root.ExecuteContext(ctx)
	if ended, ok := errors.AsType[*endedError](err); ok {
		return ended.code
	}
	runner := ci.Here()
	unquote := func() {}
	if err != nil { // much of which may be a failing step's log
		unquote = runner.Quote(s.err)
	}
	code := report(s.err, err)
	unquote()
	places := remarks(runner, err)
	runner.Annotate(s.err, places)
	if file := root.PersistentFlags().Lookup(codeQualityFlag).Value.String(); file != "" {
		if err := ci.WriteCodeQuality(file, places); err != nil {
			return max(code, report(s.err, fmt.Errorf("writing the code quality report: %w", err)))
		}
	}
	return code
}

// interruptible returns a context that the first Ctrl-C or SIGTERM ends, so that
// what is under way ends in order. A second one ends fnb itself at once. A terminal
// that closes is a first one too, however often it says so.
func interruptible() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	hangup := make(chan os.Signal, 1)
	if !signal.Ignored(syscall.SIGHUP) { // which nohup sees to
		signal.Notify(hangup, syscall.SIGHUP)
	}
	go func() {
		select {
		case <-signals:
		case <-hangup:
		}
		cancel()
		<-signals
		os.Exit(exitInterrupted)
	}()
	return ctx, cancel
}

// codeQualityFlag is read when all is done.
const codeQualityFlag = "code-quality"

// streams are the command's standard input, output and error.
type streams struct {
	in  *os.File
	out *os.File
	err *os.File
}
