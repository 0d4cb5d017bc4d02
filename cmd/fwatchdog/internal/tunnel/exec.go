package tunnel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

// notFound is the exit code of a command that does not exist, as shells have it.
const notFound = 127

// Exec runs a command, and writes its exit code behind what it writes: BuildKit ends a container in which any process fails.
func Exec(args []string, out *os.File) error {
	if len(args) == 0 {
		return errors.New("exec: takes a command")
	}
	code, err := run(args, out)
	if err != nil {
		code = notFound
		fmt.Fprintln(out, err) // who reads the code reads it too
	}
	_, err = fmt.Fprintf(out, "\n%d\n", code)
	return err
}

func run(args []string, out *os.File) (code int, err error) {
	path, err := exec.LookPath(args[0])
	if err != nil {
		return 0, err
	}
	p, err := os.StartProcess(path, args, &os.ProcAttr{Files: []*os.File{os.Stdin, out, out}})
	if err != nil {
		return 0, err
	}
	state, err := p.Wait()
	if err != nil {
		return 0, err
	}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return state.ExitCode(), nil
}
