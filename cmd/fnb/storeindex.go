package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"fnb/store"
	"fnb/store/site"
)

type indexRequest struct {
	dir, out string
	noFiles  bool
}

func newStoreIndex(g *globals) *cobra.Command {
	req := indexRequest{dir: "."}
	cmd := &cobra.Command{
		Use:   "index [DIR] --out FOLDER",
		Short: "generate the index and the web page of a store",
		Long: `Index writes what programs and people read of the store in DIR (default the working directory) as HEAD has it: the names, the versions of each template and function, what faas-cli needs to use the store, and a web page, index.html, to search and read in. FOLDER must be new, empty or an index, and is replaced as a whole; any server of files can serve it at any address.

The page shows the files of each template's newest version, which are fetched for it; a template that cannot be fetched is a note, and has a page without files. With --no-files nothing is fetched, and with --offline what the cache has is shown. Otherwise the same commit always gives the same bytes.`,
		Example: "  # for a server of files\n  fnb store index --out public\n\n" +
			"  # look at it first\n  fnb store index --out public && xdg-open public/index.html\n\n" +
			"  # what faas-cli then reads\n  faas-cli template store list --url https://example.com/compat/templates.json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef(cmd.CommandPath(), "accepts at most one folder")
			}
			if req.out == "" {
				return usagef(cmd.CommandPath(), "%w", errors.New("--out is missing"))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				req.dir = args[0]
			}
			return g.indexStore(cmd.Context(), req)
		},
	}
	cmd.Flags().StringVarP(&req.out, "out", "o", "", "write the index to `FOLDER`")
	cmd.Flags().BoolVar(&req.noFiles, "no-files", false, "show no files of templates on the page, and fetch none")
	return cmd
}

func (g *globals) indexStore(ctx context.Context, req indexRequest) error {
	pages := site.Folder{Deploy: siteDeployments}
	if !req.noFiles {
		st, err := g.newStore()
		if err != nil {
			return err
		}
		pages.Store = st
	}
	made, err := store.Generate(ctx, req.dir, req.out, func(dir string) error {
		about, err := store.ReadStoreFile(req.dir)
		if err != nil {
			return err
		}
		if err := pages.Read(ctx, req.dir); err != nil {
			return err
		}
		return site.Write(ctx, dir, &pages, site.About{Name: about.Origin, Intro: about.Description})
	})
	if err != nil {
		return fmt.Errorf("generating the index of %s: %w", req.dir, err)
	}
	g.tell(pages.Notes())
	if g.json {
		return json.NewEncoder(g.out).Encode(made)
	}
	for _, p := range made.Passed {
		g.tell([]string{"passed over: " + p})
	}
	_, err = fmt.Fprintf(g.out, "%s %d %d\n", relative(req.out), made.Packages, made.Versions)
	return err
}
