//go:build !unix

package git

import "os/exec"

func withoutTerminal(*exec.Cmd) {}

// killAll ends the program.
func killAll(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
