//go:build !linux

// Command fnbinit is process 1 of a virtual machine that runs Linux: there [main] does what it does.
package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "fnbinit is process 1 of a virtual machine that runs Linux, and nothing else")
	os.Exit(2)
}
