package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/pflag"

	"fnb/internal/plain"
	"fnb/pipeline/gateway"
	"fnb/pipeline/serve"
	"fnb/schema"
)

// letterFlags have fnb invoke list dead letters, or send them again.
type letterFlags struct {
	list  bool
	send  []string
	flags *pflag.FlagSet
}

func (o *letterFlags) addFlags(f *pflag.FlagSet) {
	o.flags = f
	f.BoolVar(&o.list, "dead-letters", false, "list the calls that a gateway gave up")
	f.StringSliceVar(&o.send, "send", nil, "with --dead-letters, send those with the `ID` again, or all")
}

// check refuses flags that do not go together.
func (o *letterFlags) check(request *requestFlags) error {
	switch {
	case !o.list && len(o.send) > 0:
		return usagef("fnb invoke", "--send needs --dead-letters")
	case o.list && request.given():
		return usagef("fnb invoke", "--dead-letters takes no request: a dead letter is one")
	}
	return nil
}

// A shownLetter is a dead letter as fnb invoke --dead-letters --json shows it: its headers,
// in which there may be secrets, are in its file only.
type shownLetter struct {
	ID       string    `json:"id"`
	CallID   string    `json:"callId"`
	Function string    `json:"function"`
	Method   string    `json:"method"`
	Path     string    `json:"path"`
	Callback string    `json:"callback,omitempty"`
	From     string    `json:"from,omitempty"`
	Accepted time.Time `json:"accepted"`
	Size     int64     `json:"size"`
	Tries    int       `json:"tries"`
	Why      string    `json:"why"`
	File     string    `json:"file"`
}

// runDeadLetters lists the dead letters of a function, or of all, and sends those that are
// asked for.
func (g *globals) runDeadLetters(ctx context.Context, o *letterFlags, names []string) error {
	stack, err := g.readStack()
	if err != nil {
		return err
	}
	letters, err := gateway.OpenLetters(filepath.Dir(stack.File))
	if err != nil {
		return fmt.Errorf("reading the dead letters: %w", err)
	}
	defer letters.Close()
	all, err := letters.List(strings.Join(names, ""))  // of which there is at most one
	if err == nil && len(all) == 0 && len(names) > 0 { // those of a function that is gone are still there
		_, err = chooseFunctions(stack, names, choice{})
	}
	if len(o.send) > 0 {
		all, lerr := chosenLetters(all, o.send)
		return errors.Join(err, lerr, g.sendLetters(ctx, stack, all))
	}
	return errors.Join(err, g.printLetters(all, filepath.Dir(stack.File)))
}

// chosenLetters are those with one of the ids, in their order, and an error of the ids that
// there are not.
func chosenLetters(all []gateway.Call, ids []string) ([]gateway.Call, error) {
	if slices.Contains(ids, "all") {
		return all, nil
	}
	var missing []error
	for _, id := range ids {
		if !slices.ContainsFunc(all, func(c gateway.Call) bool { return c.ID == id }) {
			missing = append(missing, &gateway.UnknownLetterError{ID: id})
		}
	}
	return slices.DeleteFunc(all, func(c gateway.Call) bool { return !slices.Contains(ids, c.ID) }), errors.Join(missing...)
}

func (g *globals) printLetters(all []gateway.Call, folder string) error {
	if g.json {
		shown := []shownLetter{}
		for _, c := range all {
			shown = append(shown, shownLetter{c.ID, c.CallID, c.Function, c.Method, c.Path, c.Callback, c.From, c.Accepted, c.Size, c.Tries, c.Why, relative(gateway.LetterFile(folder, c.ID))})
		}
		return g.printIndented(shown)
	}
	if len(all) == 0 {
		return nil
	}
	tw := tabwriter.NewWriter(g.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "ID\tFUNCTION\tREQUEST\tTRIES\tWHY")
	for _, c := range all {
		request := c.Method + " " + c.Path
		if c.Callback != "" {
			request += " to " + gateway.ShownURL(c.Callback)
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\n", c.ID, plain.Short(c.Function), plain.Short(request), c.Tries, plain.Short(c.Why))
	}
	return tw.Flush()
}

// A NoGatewayError says that dead letters cannot be sent, since no gateway runs.
type NoGatewayError struct{ Stack string }

func (e *NoGatewayError) Error() string {
	return "no fnb run --gateway of " + e.Stack + " runs, which would send them"
}

// sendLetters has the gateway that runs send dead letters again, one after the other.
func (g *globals) sendLetters(ctx context.Context, stack *schema.Stack, all []gateway.Call) error {
	socket, err := functionSocket(stack.File, gatewaySocket)
	if err != nil {
		return err
	}
	var errs []error
	for _, c := range all {
		rt := serve.Dial(ctx, socket)
		if rt == nil {
			return errors.Join(append(errs, &NoGatewayError{relative(stack.File)})...)
		}
		sent, err := gateway.Send(ctx, rt, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && sent.Error != "" {
			err = errors.New(sent.Error)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: sending %s: %w", c.Function, c.ID, err)) // each has a line of its own
		}
		switch {
		case g.json && err == nil:
			errs = append(errs, g.printJSON(sent))
		case err == nil:
			fmt.Fprintf(g.out, "%s %s %d\n", c.ID, plain.Short(c.Function), sent.Status)
		}
	}
	return errors.Join(errs...)
}
