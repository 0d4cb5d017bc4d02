package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fnb/internal/spelling"
)

// between takes from least to most arguments. Any other number is a usage error that
// shows how the command is written, and so is an empty one.
func between(least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		written := strings.TrimSuffix(cmd.CommandPath(), cmd.Name()) + cmd.Use
		switch {
		case len(args) < least:
			return usagef(cmd.CommandPath(), "an argument is missing: %s", written)
		case len(args) > most:
			return usagef(cmd.CommandPath(), "unexpected argument %q: %s", args[most], written)
		case slices.Contains(args, ""): // such as a variable that is not set
			return usagef(cmd.CommandPath(), "an argument is empty: %s", written)
		}
		return nil
	}
}

// exactly takes n arguments.
func exactly(n int) cobra.PositionalArgs { return between(n, n) }

// flagError is a flag that cmd does not have, or a value that it does not take. The flag that
// was probably meant is named.
func flagError(cmd *cobra.Command, err error) error {
	u := &usageError{command: cmd.CommandPath(), err: err}
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return u
	}
	name := unknown.GetSpecifiedName()
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			known = append(known, f.Name)
		}
	})
	if near := spelling.Nearest(name, known); len(name) > 1 && near != "" {
		u.hints = []string{"did you mean: --" + near}
	}
	return u
}

// testFlagError is [flagError] for fnb test. It leads from the flags of fnb invoke to the stack file.
func testFlagError(cmd *cobra.Command, err error) error {
	request := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(requestFlags).addFlags(request)
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if ok {
		name := unknown.GetSpecifiedName()
		ok = request.Lookup(name) != nil || len(name) == 1 && request.ShorthandLookup(name) != nil
	}
	if !ok {
		return flagError(cmd, err)
	}
	return &usageError{command: cmd.CommandPath(), err: err, hints: []string{"if fnb test must send another request, " + testRequestHint}}
}

// group is a command that only holds others; alone it shows its help, and an
// unknown word is a usage error.
func group(cmd *cobra.Command) *cobra.Command {
	cmd.Args = cobra.ArbitraryArgs
	cmd.SuggestionsMinimumDistance = 2
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		if hints := ofFaasCLI(cmd.CommandPath(), args[0]); hints != nil {
			return &usageError{command: cmd.CommandPath(), err: fmt.Errorf("%q is a command of faas-cli, but not of fnb", args[0]), hints: hints}
		}
		err := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
		if s := cmd.SuggestionsFor(args[0]); len(s) > 0 {
			return &usageError{command: cmd.CommandPath(), err: err, hints: []string{"did you mean: " + cmd.CommandPath() + " " + s[0]}}
		}
		return usagef(cmd.CommandPath(), "%w", err)
	}
	return cmd
}
