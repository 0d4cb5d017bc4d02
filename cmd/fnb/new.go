package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/store"
)

// newOptions are the flags of fnb new.
type newOptions struct {
	lang    string
	handler string
	prefix  string
	chosen  bool // the prefix was, if only to be none
	list    bool
	outside []string
	from    string // a function of the store whose handler it begins with
	source  store.Handler
	secrets []string // that it reads
}

func newNew(g *globals) *cobra.Command {
	o := &newOptions{}
	cmd := &cobra.Command{
		Use:   "new NAME --lang TEMPLATE[@RANGE]",
		Short: "start a function from a template",
		Long: `New resolves a template, pins it in fnb.lock, writes its starter handler to the folder NAME and adds the function to the stack file. Comments and order of that file stay as they are. Without a stack file it makes stack.yaml. With --from-store it begins with the handler of a function of the store, whose name is the default of NAME. On a terminal, without --lang, it asks for the template; typing searches. When anything fails, nothing is written. Base images are pinned later, by fnb build or fnb lock: they need a builder and a registry, and fnb new needs neither.

The image of the function is NAME:latest, with the prefix of --prefix, FNB_PREFIX or OPENFAAS_PREFIX before it. Without these it is the prefix that the images of the stack's other functions share.`,
		Example: "  # a function in Go whose image goes to ghcr.io/acme\n  fnb new hello --lang go --prefix ghcr.io/acme\n\n  # a template of a git repository, at a tag\n  fnb new resize --lang https://github.com/acme/templates#v1.2.0\n\n  # which templates there are\n  fnb new --list\n\n  # a function that is part of fnb, to begin with\n  fnb new --from-store hash",
		Args: func(cmd *cobra.Command, args []string) error {
			if o.list || o.from != "" && len(args) == 0 {
				return nil
			}
			return exactly(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.list {
				return g.listTemplates(cmd.Context())
			}
			if len(args) == 0 {
				args = []string{nameIn(o.from)}
			}
			o.chosen = o.prefix != "" || cmd.Flags().Changed("prefix")
			return g.runNew(cmd.Context(), o, args[0])
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.lang, "lang", "", "use the template `TEMPLATE`: a name, name@range, a git URL or a folder")
	f.StringVar(&o.handler, "handler", "", "write the handler to `DIR` instead of NAME")
	f.StringVarP(&o.prefix, "prefix", "p", os.Getenv("OPENFAAS_PREFIX"), "registry and owner of the image, such as ghcr.io/acme")
	f.StringVar(&o.from, "from-store", "", "begin with the handler of the function `REF` of the store, and with its template")
	_ = cmd.RegisterFlagCompletionFunc("from-store", g.completeStoreFunctions) // the flag exists
	addOutsideFlag(f, &o.outside)
	g.addReviewedFlag(f)
	f.BoolVar(&o.list, "list", false, "list the templates and stop")
	_ = cmd.RegisterFlagCompletionFunc("lang", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return g.completeTemplates(), cobra.ShellCompDirectiveNoFileComp
	}) // the flag exists
	return cmd
}

func (g *globals) runNew(ctx context.Context, o *newOptions, name string) error {
	if err := schema.ValidateFunctionName(name); err != nil {
		return usagef("fnb new", "%w", err)
	}
	if o.from != "" && o.lang != "" {
		return usagef("fnb new", "--lang and --from-store cannot be used together: a function of the store names its template")
	}
	var err error
	switch {
	case o.from != "":
		err = g.readSource(ctx, o)
		defer o.source.Close()
	case o.lang == "":
		o.lang, err = g.askTemplate(ctx)
	}
	if err != nil {
		return err
	}
	d, err := g.draft(ctx, o, name)
	if err != nil {
		return err
	}
	files, err := d.write()
	if err != nil {
		return err
	}
	if !g.quiet {
		for _, f := range files {
			fmt.Fprintf(g.err, "  %s\n", plain.Line(relative(filepath.Join(d.dir, filepath.FromSlash(f)))))
		}
		if w := strings.TrimSpace(d.tmpl.Manifest.WelcomeMessage); w != "" {
			fmt.Fprintln(g.err)
			for line := range strings.Lines(w) {
				fmt.Fprintln(g.err, plain.Line(strings.TrimRight(line, "\n")))
			}
		}
		fmt.Fprintf(g.err, "\nnext: fnb build %s%s\n", name, plain.Line(d.outside()))
	}
	_, err = fmt.Fprintln(g.out, plain.Line(name), plain.Line(relative(d.dir)))
	return err
}

// readSource gets the handler of a function of the store.
func (g *globals) readSource(ctx context.Context, o *newOptions) error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	f, notes, err := st.Function(ctx, o.from, store.Scope{})
	g.tell(notes)
	if err != nil {
		return err
	}
	o.source, err = st.Handler(ctx, f)
	o.lang = o.source.Lang
	if f.Record.Run != nil {
		o.secrets = f.Record.Run.Secrets
	}
	return err
}
