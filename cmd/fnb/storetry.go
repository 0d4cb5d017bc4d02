package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"fnb/store"
)

type tryOptions struct {
	request  requestFlags // if any of them is given it is sent, instead of the examples
	secrets  []string
	insecure []string
}

func newStoreTry(g *globals) *cobra.Command {
	o := &tryOptions{}
	cmd := &cobra.Command{
		Use:   "try REF",
		Short: "run a published function and call it",
		Long: `Try compares the image of a function with its record, pulls it by digest and runs it in the builder, on this machine and without Docker. It has no network and nothing of this machine. With --data, --path, --request, --header or --include fnb calls it once, as fnb invoke does, and prints the answer. Else it runs the examples, with a line for each that says what came of it. The function ends with the command.

The exit code is 1 if an example fails or the answer's status is 400 or more.`,
		Example:           "  # its examples\n  fnb store try acme/shorten\n\n  # a request of your own\n  fnb store try acme/shorten -d 'a very long text'\n\n  # a file\n  fnb store try acme/thumb -d @cat.png -H 'Content-Type: image/png' > thumb.png",
		Args:              exactly(1),
		ValidArgsFunction: g.completeStoreFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.tryFunction(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	o.request.addFlags(f)
	f.StringArrayVar(&o.secrets, "secret", nil, "give it a secret, `id=NAME,src=FILE` or id=NAME,env=VAR (repeatable)")
	addInsecureFlag(f, &o.insecure)
	return cmd
}

func (g *globals) tryFunction(ctx context.Context, ref string, o *tryOptions) error {
	req, err := o.request.request(ctx, "fnb store try", g.in)
	if err != nil {
		return err
	}
	defer func() { _ = req.Body.Close() }() // it was only read from
	st, err := g.newStore()
	if err != nil {
		return err
	}
	found, notes, err := st.Function(ctx, ref, store.Scope{})
	g.tell(notes)
	if err != nil {
		return err
	}
	rec := found.Record
	if rec.Image == nil {
		return hint(fmt.Errorf("function %s is part of fnb as source, and has no image", rec.Name),
			"build it with: fnb new --from-store "+rec.Name, "and call it with: fnb invoke "+rec.Name)
	}
	if !o.request.given() && len(rec.Examples) == 0 {
		return hint(fmt.Errorf("function %s has no examples", rec.Name), "call it with: fnb store try "+ref+" --data DATA")
	}
	f, err := g.published(ctx, rec, o)
	if err != nil {
		return err
	}
	client, err := g.connect(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // nothing is asked of it any more
	if f.platform, err = choosePlatform(ctx, client, rec.RunsOn()); err != nil {
		return fmt.Errorf("function %s: %w", rec.Name, err)
	}
	defer g.ci.Quote(g.err)()
	running, err := g.startPublished(ctx, client, f)
	if err != nil {
		return fmt.Errorf("function %s: %w", rec.Name, err)
	}
	defer running.Close()
	if !o.request.given() {
		results, failed := caller(running).RunExamples(ctx, rec.Examples)
		return errors.Join(ctx.Err(), g.printExamples(rec.Name, results, failed))
	}
	if err := g.exchange(&o.request, running.Transport(), req); err != nil {
		return fmt.Errorf("function %s: %w", rec.Name, err)
	}
	return nil
}
