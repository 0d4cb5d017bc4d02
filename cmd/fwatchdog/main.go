// Command fwatchdog answers HTTP in front of a function's process. It is the entrypoint of every image that fnb builds: run
// without arguments it serves what its environment describes, which docs/watchdog.md lists.
//
// A request falls through these files:
//
//	plainserver.go   accepts connections, and reads and answers (plainwriter.go) their plain requests; net/http gets all others
//	clientconn.go    the client's connection: when the client goes away, and which request is the last
//	watchdog.go      ServeHTTP: its own paths (health.go, ready.go), refusals, tokens (auth.go), the limit (limit.go), the function
//	exchange.go      one request and its answer, as the log (logs.go) and the metrics see it
//	proxy.go         mode http: heads; then bodies (relay.go) or an upgrade (upgrade.go), over connections of upstream.go
//	fork.go          modes streaming and serializing: a process for each request (child.go)
//	static.go        mode static
//
// lambda.go takes requests from AWS Lambda instead of a port. process.go is the function's process in mode http, reap_linux.go
// takes the processes that others left behind. Packages below internal are what needs none of this: wire has the bytes of HTTP,
// rawio the system's calls, token the gateway's tokens, lambdaevent Lambda's events, environ, metrics and tunnel what they
// are called.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/debug"
	"strconv"
	"syscall"

	"fnb/cmd/fwatchdog/internal/tunnel"
)

// version is set at link time with -X main.version=…
var version = ""

const usage = `usage: fwatchdog [--version | --run-healthcheck | tunnel [--names ADDRESS] [NAME=ADDRESS…] | hold ADDRESS COMMAND… | exec COMMAND… | longline BYTES COMMAND…]

Without arguments it serves the function that the environment describes.

  --version          print the version and exit
  --run-healthcheck  exit 0 if the watchdog of this container is healthy, 1 if not
  tunnel [--names ADDRESS] [NAME=ADDRESS…]  carry connections over standard input and output, into the container and from each ADDRESS out of it (fnb run)
  hold ADDRESS COMMAND…    wait until something listens at ADDRESS and become the command (fnb run)
  exec COMMAND…            run the command and write its exit code behind what it writes (fnb run)
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
	case "tunnel":
		return tunnel.Run(context.Background(), args[1:], in, out)
	case "hold":
		return report(errs, tunnel.Hold(context.Background(), args[1:], os.Environ(), out))
	case "exec":
		return report(errs, tunnel.Exec(args[1:], os.Stdout))
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

// runLongLine writes a line of so many bytes to errs and becomes the command that follows. With it, the
// contract test sees what a function's long line does to the watchdog in front of it.
func runLongLine(args []string, errs io.Writer) error {
	if len(args) < 2 {
		return errors.New("longline: takes a number of bytes and a command")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil || n < 1 || n > 1<<20 {
		return fmt.Errorf("longline: %q is not a number of bytes up to a million", args[0])
	}
	if _, err := errs.Write(append(bytes.Repeat([]byte("x"), n-1), '\n')); err != nil {
		return err
	}
	program, err := exec.LookPath(args[1])
	if err != nil {
		return err
	}
	return syscall.Exec(program, args[1:], os.Environ())
}
