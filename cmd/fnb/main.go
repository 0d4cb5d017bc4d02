// Command fnb turns functions into OCI images: it resolves their templates,
// packages template and handler, has BuildKit solve them and pushes the images.
//
// This package translates a command line into calls of the rooms and their
// results into words. It is the only one that prints, exits, or knows every
// room.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/sirupsen/logrus"
)

func main() { os.Exit(run()) }

// run is main with an exit code, so that deferred calls happen.
func run() int {
	// Libraries below log through logrus; what they say is for their authors.
	// The managed builder sets this anew for its own log.
	logrus.SetOutput(io.Discard)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends at once
	s := streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}
	root := newRoot(s)
	err := root.ExecuteContext(ctx)
	code := report(s.err, err)
	ci := findCI()
	ci.annotate(s.err, err)
	if file := root.PersistentFlags().Lookup(codeQualityFlag).Value.String(); file != "" {
		if err := ci.writeCodeQuality(file, err); err != nil {
			return max(code, report(s.err, fmt.Errorf("writing the code quality report: %w", err)))
		}
	}
	return code
}

// codeQualityFlag is read when all is done.
const codeQualityFlag = "code-quality"

// streams are the command's standard input, output and error.
type streams struct {
	in  *os.File
	out *os.File
	err *os.File
}
