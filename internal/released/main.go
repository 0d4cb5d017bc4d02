// Released says of a release of fnb what is in it and who has made it, with the rooms that say so of images:
//
//	released bill VERSION EPOCH NAME=PROGRAM…     prints the SBOM of programs
//	released sign VERSION COMMIT PAGE [KEY]       writes the provenance of the files of a release page beside them
//
// With a KEY, as fnb sign takes it, the provenance is signed, and so is checksums.txt. "make release" calls it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "released:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	switch {
	case len(args) >= 4 && args[0] == "bill":
		data, err := bill(args[1], args[2], args[3:])
		if err == nil {
			_, err = os.Stdout.Write(data)
		}
		return err
	case (len(args) == 4 || len(args) == 5) && args[0] == "sign":
		r := release{version: args[1], commit: args[2], page: args[3]}
		if len(args) == 5 {
			r.key = args[4]
		}
		return r.sign(ctx)
	}
	return errors.New("usage: released bill VERSION EPOCH NAME=PROGRAM…, or released sign VERSION COMMIT PAGE [KEY]")
}
