package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/registry"
	"fnb/schema"
	"fnb/store"
)

type tryOptions struct {
	data     string
	method   string
	path     string
	headers  []string
	secrets  []string
	insecure []string
	call     bool // a request of the user's own, instead of the examples
}

func newStoreTry(g *globals) *cobra.Command {
	o := &tryOptions{}
	cmd := &cobra.Command{
		Use:   "try REF",
		Short: "run a published function and call it",
		Long: `Try compares the image of a function with its record, pulls it by digest and runs it in the builder, on this machine and without Docker. It has no network and nothing of this machine. With --data, --path or --request it is called, and the answer printed; else its examples are run, and a line for each says what came of it. The function ends with the command.

The exit code is 1 where an example fails or the answer's status is 400 or more.`,
		Example:           "  # its examples\n  fnb store try acme/shorten\n\n  # a request of your own\n  fnb store try acme/shorten -d 'a very long text'\n\n  # a file\n  fnb store try acme/thumb -d @cat.png -H 'Content-Type: image/png' > thumb.png",
		Args:              exactly(1),
		ValidArgsFunction: g.completeStoreFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			for _, name := range []string{"data", "path", "request", "header"} {
				o.call = o.call || cmd.Flags().Changed(name)
			}
			return g.tryFunction(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.data, "data", "d", "", "send `DATA`, @FILE or - for standard input")
	f.StringVarP(&o.method, "request", "X", "", "use the `METHOD` instead of POST, or GET without data")
	f.StringVar(&o.path, "path", "", "call the `PATH` of the function, with a query")
	f.StringArrayVarP(&o.headers, "header", "H", nil, "send the header `NAME: VALUE` (repeatable)")
	f.StringArrayVar(&o.secrets, "secret", nil, "give it a secret, `id=NAME,src=FILE` or id=NAME,env=VAR (repeatable)")
	f.StringSliceVar(&o.insecure, "insecure-registry", nil, "speak plain HTTP to the registry `HOST` (repeatable)")
	return cmd
}

// request is the request that the flags ask for.
func (o *tryOptions) request(g *globals) (schema.Example, error) {
	e := schema.Example{Method: o.method, Path: o.path, Headers: map[string]string{}}
	data, err := []byte(o.data), error(nil)
	switch file, isFile := strings.CutPrefix(o.data, "@"); {
	case o.data == "-" || o.data == "@-":
		data, err = io.ReadAll(g.in)
	case isFile:
		data, err = os.ReadFile(file)
	}
	if err != nil {
		return e, usagef("fnb store try", "--data: %w", err)
	}
	if e.Body = string(data); e.Body == "" && e.Method == "" && o.data == "" {
		e.Method = "GET"
	}
	if e.Path != "" && !strings.HasPrefix(e.Path, "/") {
		e.Path = "/" + e.Path
	}
	for _, h := range o.headers {
		k, v, ok := strings.Cut(h, ":")
		if !ok {
			return e, usagef("fnb store try", "--header %q: write NAME: VALUE", h)
		}
		e.Headers[strings.TrimSpace(k)] = strings.TrimSpace(v)
	}
	return e, nil
}

func (g *globals) tryFunction(ctx context.Context, ref string, o *tryOptions) error {
	e, err := o.request(g)
	if err != nil {
		return err
	}
	st, err := g.newStore()
	if err != nil {
		return err
	}
	found, notes, err := st.Function(ctx, ref, store.Where{})
	g.tell(notes)
	if err != nil {
		return err
	}
	rec := found.Record
	if rec.Image == nil {
		return hint(fmt.Errorf("function %s is part of fnb as source, and has no image", rec.Name),
			"build it with: fnb new --from-store "+rec.Name, "and call it with: fnb invoke "+rec.Name)
	}
	if !o.call && len(rec.Examples) == 0 {
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
	defer g.ci.quote(g.err)()
	running, err := g.startPublished(ctx, client, f)
	if err != nil {
		return fmt.Errorf("function %s: %w", rec.Name, err)
	}
	defer running.Close()
	if !o.call {
		results, failed := runExamples(ctx, running.Transport(), rec.Examples)
		return errors.Join(ctx.Err(), g.printExamples(rec.Name, results, failed))
	}
	status, answer, err := send(ctx, running.Transport(), e)
	if err != nil {
		return fmt.Errorf("function %s: %w", rec.Name, err)
	}
	if _, err := io.WriteString(g.out, answer); err != nil {
		return err
	}
	if status >= 400 {
		return fmt.Errorf("function %s answered %d", rec.Name, status)
	}
	return nil
}

// published is the function of a record, whose image was compared with what the
// registry has. One of OpenFaaS's lists gets the digest that it has now.
func (g *globals) published(ctx context.Context, rec schema.Record, o *tryOptions) (publishedFunction, error) {
	_, name, _ := strings.Cut(rec.Name, "/")
	f := publishedFunction{name: name, run: rec.Run}
	var err error
	if f.secrets, err = g.giveSecrets(rec, o.secrets); err != nil {
		return f, usagef("fnb store try", "--secret %w", err)
	}
	if f.registry, err = registry.New(registry.Options{Insecure: o.insecure, UserAgent: "fnb/" + fnbVersion()}); err != nil {
		return f, err
	}
	if g.offline {
		return f, &store.OfflineError{Ref: rec.Name}
	}
	if rec.Image.Digest != "" {
		if err := store.VerifyImage(ctx, f.registry, rec); err != nil {
			return f, err
		}
		f.image = rec.Image.Ref + "@" + rec.Image.Digest
		return f, nil
	}
	ref, err := pullReference(rec)
	if err != nil {
		return f, err
	}
	has, err := f.registry.Describe(ctx, ref)
	if err != nil {
		return f, fmt.Errorf("function %s: %w", rec.Name, err)
	}
	if !strings.Contains(ref, "@") {
		g.tell([]string{fmt.Sprintf("the list has no digest for %s; it is %s now", ref, has.Digest)})
	}
	f.image = has.Pinned
	return f, nil
}

// functionLog is where a function's own log goes, which shares standard error with
// another.
func (g *globals) functionLog(shared *sync.Mutex) io.Writer {
	if g.quiet {
		return nil
	}
	return plain.NewWriter(shared, g.err, "  | ")
}

// printExamples prints what came of the examples.
func (g *globals) printExamples(name string, results []exampleResult, failed int) error {
	if g.json {
		if err := g.printJSON(results); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			word, what := "ok", describeAnswer(r.Example)
			if r.Problem != "" {
				word, what = "FAILED", r.Problem
			}
			if _, err := fmt.Fprintf(g.out, "%s  %s  %s\n", word, plain.Line(describeRequest(r.Example)), plain.Line(what)); err != nil {
				return err
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("function %s: %d of %d examples failed", name, failed, len(results))
	}
	return nil
}
