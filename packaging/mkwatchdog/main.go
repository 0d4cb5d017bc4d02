// Command mkwatchdog writes the watchdog's layers as an OCI layout, which fnb
// embeds.
//
// Usage:
//
//	mkwatchdog -o DIR PLATFORM=FILE...
//
// FILE is the watchdog's static binary for PLATFORM, such as linux/amd64.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"fnb/packaging"
)

func main() {
	if err := run(os.Args[1:], os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "mkwatchdog:", err)
		os.Exit(1)
	}
}

func run(args []string, usage io.Writer) error {
	flags := flag.NewFlagSet("mkwatchdog", flag.ContinueOnError)
	flags.SetOutput(usage)
	dir := flags.String("o", "", "write the layout into the folder `DIR`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *dir == "" || flags.NArg() == 0 {
		return errors.New("say where to write, and what: mkwatchdog -o DIR PLATFORM=FILE…, such as linux/amd64=fwatchdog")
	}
	binaries := map[string]string{}
	for _, arg := range flags.Args() {
		platform, file, ok := strings.Cut(arg, "=")
		if !ok || file == "" {
			return fmt.Errorf("%q is not PLATFORM=FILE", arg)
		}
		if _, twice := binaries[platform]; twice {
			return fmt.Errorf("two binaries for %s", platform)
		}
		binaries[platform] = file
	}
	return packaging.WriteWatchdog(*dir, binaries)
}
