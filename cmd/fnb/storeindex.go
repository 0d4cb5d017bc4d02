package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"

	"github.com/spf13/cobra"

	"fnb/store/owners"
	"fnb/store/publish"
	"fnb/store/records"
	"fnb/store/site"
)

type indexRequest struct {
	dir, out string
	noFiles  bool
	push     bool
}

func newStoreIndex(g *globals) *cobra.Command {
	req := indexRequest{dir: "."}
	cmd := &cobra.Command{
		Use:   "index [DIR] --out FOLDER|--push",
		Short: "generate the index and the web page of a store",
		Long: `Index writes what programs and people read of the store in DIR (default the working directory) as HEAD has it. That is the names, the versions of each template and function, what faas-cli needs to use the store, and a web page, index.html, to search and read in. FOLDER must be new, empty or an index, and is replaced as a whole. Any server of files can serve it at any address, which others then add with fnb store add.

With --push the index becomes the branch index of the repository that DIR was cloned from: one commit, which replaces the one before. It depends on the store's commit alone, so two who do it at once do no harm. If the store has got a newer commit since, it is an error.

The page shows the files of each template's newest version, which are fetched for it; a template that cannot be fetched is a note, and has a page without files. With --no-files nothing is fetched, and with --offline what the cache has is shown. Otherwise the same commit always gives the same bytes.`,
		Example: "  # for a server of files\n  fnb store index --out public\n\n" +
			"  # as a branch of the store's repository\n  fnb store index --push\n\n" +
			"  # look at it first\n  fnb store index --out public && xdg-open public/index.html\n\n" +
			"  # what others then add\n  fnb store add acme https://store.example.com/\n\n" +
			"  # what faas-cli then reads\n  faas-cli template store list --url https://example.com/compat/templates.json",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef(cmd.CommandPath(), "accepts at most one folder")
			}
			if req.out == "" && !req.push {
				return usagef(cmd.CommandPath(), "%w", errors.New("--out or --push is missing"))
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
	cmd.Flags().BoolVar(&req.push, "push", false, "replace the branch index of the store's repository")
	cmd.Flags().BoolVar(&req.noFiles, "no-files", false, "show no files of templates on the page, and fetch none")
	return cmd
}

func (g *globals) indexStore(ctx context.Context, req indexRequest) (err error) {
	if req.out == "" {
		temp, err := os.MkdirTemp("", "fnb-index-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(temp) }() // it was pushed, or the error is known
		req.out = filepath.Join(temp, "index")
	}
	// Of a large store little is needed at once: what was read is given back sooner.
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	reader, err := records.Open(ctx, req.dir)
	if err != nil {
		return fmt.Errorf("generating the index of %s: %w", req.dir, err)
	}
	defer reader.Close()
	if err := reader.Judge(owners.All); err != nil {
		return fmt.Errorf("generating the index of %s: %w", req.dir, err)
	}
	pages := site.Folder{Records: reader, Deploy: siteDeployments}
	if !req.noFiles {
		st, err := g.newStore()
		if err != nil {
			return err
		}
		pages.Store = st
	}
	made, err := reader.Generate(ctx, req.out, pages.Add, func(dir string) error {
		about, err := reader.About()
		if err != nil {
			return err
		}
		return site.Write(ctx, dir, &pages, site.About{Name: about.Origin, Intro: about.Description})
	})
	if err != nil {
		return fmt.Errorf("generating the index of %s: %w", req.dir, err)
	}
	g.tell(pages.Notes())
	if req.push {
		return g.pushIndex(ctx, req, made)
	}
	if g.json {
		return g.printJSON(made)
	}
	for _, p := range made.Passed {
		g.tell([]string{"skipped: " + p})
	}
	_, err = fmt.Fprintf(g.out, "%s %d %d\n", relative(req.out), made.Packages, made.Versions)
	return err
}

// pushIndex makes an index that was generated the branch index of its store.
func (g *globals) pushIndex(ctx context.Context, req indexRequest, made records.Generated) error {
	st, err := g.newStore()
	if err != nil {
		return err
	}
	commit, pushed, err := publish.PushIndex(ctx, st, req.dir, req.out, "")
	if errors.Is(err, publish.ErrNotTip) {
		err = hint(err, "get the newest commit first: git pull")
	}
	if err != nil {
		return fmt.Errorf("pushing the index of %s: %w", req.dir, err)
	}
	if g.json {
		return g.printJSON(map[string]any{"commit": commit, "pushed": pushed, "packages": made.Packages, "versions": made.Versions, "passed": made.Passed})
	}
	if !pushed {
		g.tell([]string{"the branch index is at this commit already"})
	}
	_, err = fmt.Fprintln(g.out, "index", commit)
	return err
}
