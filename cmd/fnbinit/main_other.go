//go:build !linux

// Command fnbinit is process 1 of a virtual machine that runs Linux: there [main] does what it does.
package main

import "os"

func main() {
	_, _ = os.Stderr.WriteString("fnbinit is process 1 of a virtual machine that runs Linux, and nothing else\n") // it ends with an error in any case
	os.Exit(2)
}
