package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

var upperDir = regexp.MustCompile(`(?m)^\S+ \S+ \S+ / / .*[ ,](upperdir=[^, \n]+)`)

// cmdUpper: upper VAR NAME=VALUE waits for a process in a container that has the variable in
// its environment, and sets VAR to what tells the mount of its files from all others.
func cmdUpper(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: upper VAR NAME=VALUE")
	}
	found := ""
	if !until(func() bool {
		files, err := filepath.Glob("/proc/[0-9]*/environ")
		ts.Check(err)
		for _, file := range files {
			raw, err := os.ReadFile(file) // it may have ended
			if err != nil || !slices.Contains(strings.Split(string(raw), "\x00"), args[1]) {
				continue
			}
			mounts, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "mountinfo")) // as above
			if m := upperDir.FindStringSubmatch(string(mounts)); m != nil {
				found = m[1]
			}
		}
		return found != ""
	}) {
		ts.Fatalf("no container has a process with %s", args[1])
	}
	ts.Setenv(args[0], found)
}

// cmdMounted: mounted TEXT waits until a mount of this machine has the text, ! until none has.
func cmdMounted(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: mounted TEXT")
	}
	if !until(func() bool {
		raw, err := os.ReadFile("/proc/self/mountinfo")
		ts.Check(err)
		return strings.Contains(string(raw), args[0]+",") != neg
	}) {
		ts.Fatalf("a mount with %s: %v", args[0], neg)
	}
}

// cmdAged: aged FUNCTION has the socket of a function be an old one.
func cmdAged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: aged FUNCTION")
	}
	path, err := functionSocket(ts.MkAbs("stack.yaml"), args[0])
	ts.Check(err)
	ts.Check(os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)))
}
