// Command fwatchdog answers HTTP in front of a function's process.
//
// It is the entrypoint of every image that fnb builds. All configuration comes from the
// environment; docs/watchdog.md lists it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
)

// version is set at link time with -X main.version=…
var version = ""

const usage = `usage: fwatchdog [--version | --run-healthcheck | connect [ADDRESS] | tunnel ADDRESS | longline BYTES COMMAND…]

Without arguments it serves the function that the environment describes.

  --version          print the version and exit
  --run-healthcheck  exit 0 if the watchdog of this container is healthy, 1 if not
  connect [ADDRESS]  join standard input and output to ADDRESS (default: the function's port)
  tunnel ADDRESS     the same, until either side ends, and always with exit code 0 (fnb run)
  longline BYTES COMMAND…  write a long line to standard error and become the command (fnb test)
`

func main() {
	os.Exit(command(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// command is main with its surroundings as arguments; it returns the exit code.
func command(args []string, in io.Reader, out, errs io.Writer) int {
	if len(args) == 0 {
		return report(errs, serve(context.Background(), os.Environ(), out, errs))
	}
	switch args[0] {
	case "-version", "--version", "version":
		fmt.Fprintf(out, "fwatchdog %s\n", versionText())
		return 0
	case "-run-healthcheck", "--run-healthcheck":
		return report(errs, runHealthcheck(os.Environ()))
	case "connect":
		return report(errs, runConnect(context.Background(), args[1:], os.Environ(), in, out))
	case "tunnel":
		return runTunnel(context.Background(), args[1:], in, out, errs)
	case "longline":
		return report(errs, runLongLine(args[1:], errs))
	case "-h", "-help", "--help", "help":
		fmt.Fprint(out, usage)
		return 0
	}
	fmt.Fprintf(errs, "fwatchdog: unknown argument %q\n%s", args[0], usage)
	return 2
}

// report writes err, one line for each problem it joins, and turns it into an exit code.
func report(errs io.Writer, err error) int {
	if err == nil {
		return 0
	}
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, problem := range joined.Unwrap() {
			fmt.Fprintf(errs, "fwatchdog: %v\n", problem)
		}
		return 1
	}
	fmt.Fprintf(errs, "fwatchdog: %v\n", err)
	return 1
}

// versionText is the version from the linker or else from the module's build information.
func versionText() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	text := info.Main.Version
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" {
			text += " " + setting.Value
		}
	}
	return text
}
