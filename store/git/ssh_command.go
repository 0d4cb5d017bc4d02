package git

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// An sshCommand is the program that the user's git is told to use for SSH.
type sshCommand struct {
	line    string // for a shell
	program string // instead: as it is
	variant string // ssh.variant, "" for what the name says
}

// sshCommand returns what git would run instead of ssh, nil for nothing else.
func (r *Remote) sshCommand() *sshCommand {
	getenv := r.client.opts.Getenv
	c := &sshCommand{line: getenv("GIT_SSH_COMMAND"), variant: getenv("GIT_SSH_VARIANT")}
	if c.variant == "" {
		c.variant, _ = r.way.config.Last("ssh", "variant")
	}
	if c.line == "" {
		c.line, _ = r.way.config.Last("core", "sshcommand")
	}
	if c.line == "" {
		c.program = getenv("GIT_SSH")
	}
	if c.line == "" && c.program == "" {
		return nil
	}
	return c
}

// arguments are those for a host, as git gives them.
func (c *sshCommand) arguments(user, host string, port int, command string) ([]string, error) {
	variant := c.variant
	if first := strings.Fields(c.line + c.program); variant == "" && len(first) > 0 {
		switch name := strings.ToLower(strings.TrimSuffix(filepath.Base(strings.Trim(first[0], `"'`)), ".exe")); name {
		case "plink", "putty", "tortoiseplink":
			variant = name
		}
	}
	var args []string
	switch {
	case port == 0 && variant != "tortoiseplink":
	case variant == "simple":
		return nil, errors.New("ssh.variant of git's configuration is simple, which knows no ports")
	case variant == "tortoiseplink":
		args = append(args, "-batch")
		if port != 0 {
			args = append(args, "-P", strconv.Itoa(port))
		}
	case variant == "plink", variant == "putty":
		args = append(args, "-P", strconv.Itoa(port))
	default:
		args = append(args, "-p", strconv.Itoa(port))
	}
	if user != "" {
		host = user + "@" + host
	}
	return append(args, host, command), nil
}

// commandWire speaks through the program. It is asked for nothing at the terminal.
func (r *Remote) commandWire(own *sshCommand) *streamWire {
	return &streamWire{open: func(ctx context.Context, service string) (*stream, error) {
		ep := r.way.ep
		args, err := own.arguments(ep.User, bare(ep.Host), ep.Port, service+" "+shellQuoted(ep.Path))
		if err != nil {
			return nil, err
		}
		ctx = context.WithoutCancel(ctx) // the stream ends it
		cmd := exec.CommandContext(ctx, own.program, args...)
		if own.line != "" {
			cmd = exec.CommandContext(ctx, "sh", append([]string{"-c", own.line + ` "$@"`, own.line}, args...)...)
		}
		cmd.Env = append(os.Environ(), "SSH_ASKPASS_REQUIRE=never", "GIT_TERMINAL_PROMPT=0")
		if home := r.client.opts.Getenv("HOME"); home != "" {
			cmd.Env = append(cmd.Env, "HOME="+home)
		}
		cmd.WaitDelay = lastWords
		withoutTerminal(cmd)
		said := &lastSaid{}
		cmd.Stderr = said
		in, err := cmd.StdinPipe()
		if err != nil {
			return nil, err
		}
		// A pipe of cmd's own would be closed when the program ends, and not when all is read.
		out, write, err := os.Pipe()
		if err != nil {
			return nil, err
		}
		cmd.Stdout = write
		if err := errors.Join(cmd.Start(), write.Close()); err != nil {
			return nil, errors.Join(err, out.Close())
		}
		ended := make(chan struct{})
		go func() { _ = cmd.Wait(); close(ended) }() // how it ended is of no interest
		return &stream{in: in, out: out, words: func() string { return said.after(func() { <-ended }) }, stop: func() error {
			_ = in.Close()                     // it may have ended
			defer func() { _ = out.Close() }() // it was only read from
			select {
			case <-ended:
			case <-time.After(lastWords):
				killAll(cmd)
				<-ended
			}
			return nil
		}}, nil
	}}
}
