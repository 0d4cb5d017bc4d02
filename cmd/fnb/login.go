package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"fnb/registry"
)

func newLogin(g *globals) *cobra.Command {
	var user, password string
	var stdin bool
	var insecure []string
	cmd := &cobra.Command{
		Use:   "login HOST",
		Short: "log in to a registry",
		Long: `Login asks a registry whether a user name and a password or token are good, and keeps them where Docker does. That is the credential helper that Docker's config.json names, or that file itself.

The password is read from the terminal, or from standard input with --password-stdin, so that it is in no argument list and no shell history.`,
		Example: "  # ask for the password\n  fnb login ghcr.io --username acme\n\n  # in a pipeline\n  echo \"$TOKEN\" | fnb login ghcr.io --username acme --password-stdin",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if user == "" {
				return usagef("fnb login", "--username is missing")
			}
			if password, err = g.readPassword(stdin, args[0]); err != nil {
				return err
			}
			c, err := newRegistry(insecure)
			if err != nil {
				return err
			}
			stored, err := c.Login(cmd.Context(), args[0], user, password)
			if err != nil {
				return fmt.Errorf("logging in to %s: %w", args[0], err)
			}
			where := relative(stored.File) + ", where anybody who can read the file finds it; a credential helper keeps it better"
			if stored.Helper != "" {
				where = "the credential helper " + stored.Helper
			}
			fmt.Fprintf(g.err, "logged in to %s as %s; the password is in %s\n", args[0], user, where)
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVarP(&user, "username", "u", "", "log in as `NAME`")
	f.BoolVar(&stdin, "password-stdin", false, "read the password from standard input")
	addInsecureFlag(f, &insecure)
	return cmd
}

// readPassword reads a password without showing it.
func (g *globals) readPassword(stdin bool, host string) (string, error) {
	var raw []byte
	var err error
	switch fd := int(g.in.Fd()); {
	case stdin:
		raw, err = io.ReadAll(io.LimitReader(g.in, 1<<20))
	case term.IsTerminal(fd):
		fmt.Fprintf(g.err, "password for %s: ", host)
		raw, err = term.ReadPassword(fd)
		fmt.Fprintln(g.err)
	default:
		return "", usagef("fnb login", "standard input is not a terminal; give the password with --password-stdin")
	}
	if err != nil {
		return "", fmt.Errorf("reading the password: %w", err)
	}
	s := strings.TrimRight(string(raw), "\r\n")
	if s == "" {
		return "", errors.New("the password is empty")
	}
	return s, nil
}

// newRegistry is the client of registries, some of which are spoken to in plain HTTP.
func newRegistry(insecure []string) (*registry.Client, error) {
	return registry.New(registry.Options{Insecure: insecure, UserAgent: userAgent()})
}

// userAgent is what fnb calls itself in requests.
func userAgent() string { return "fnb/" + fnbVersion() }
