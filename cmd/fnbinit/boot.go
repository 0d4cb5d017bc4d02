package main

import (
	"errors"
	"strconv"
	"strings"
)

// A boot is what is started, as fnb wrote it (images/rootfs, Boot).
type boot struct {
	args      []string
	env       []string // NAME=VALUE
	directory string   // "" is /
	user      string   // as images have it; "" is root
}

// readBoot reads lines of a key, a space and a string in Go's quotes.
func readBoot(text string) (boot, error) {
	var b boot
	for line := range strings.Lines(text) {
		key, quoted, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return b, errors.New(quoted + " is not a string")
		}
		switch key {
		case "arg":
			b.args = append(b.args, value)
		case "env":
			b.env = append(b.env, value)
		case "directory":
			b.directory = value
		case "user":
			b.user = value
		}
	}
	if len(b.args) == 0 {
		return b, errors.New("the image names no program")
	}
	return b, nil
}

// environment joins variables, of which the last of a name counts. PATH and HOME are those given, unless they are among them.
func environment(home string, lists ...[]string) (env []string, path string) {
	path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	at := map[string]int{}
	for _, list := range append([][]string{{"PATH=" + path, "HOME=" + home}}, lists...) {
		for _, pair := range list {
			name, value, _ := strings.Cut(pair, "=")
			if i, there := at[name]; there {
				env[i] = pair
			} else {
				at[name] = len(env)
				env = append(env, pair)
			}
			if name == "PATH" {
				path = value
			}
		}
	}
	return env, path
}

// doing says of an error what was being done. This program has no fmt: what that brings along is a fifth of it.
func doing(what string, err error) error {
	if err == nil {
		return nil
	}
	return &doingError{what, err}
}

type doingError struct {
	what string
	err  error
}

func (e *doingError) Error() string { return e.what + ": " + e.err.Error() }

func (e *doingError) Unwrap() error { return e.err }
