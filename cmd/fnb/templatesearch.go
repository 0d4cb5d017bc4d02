package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/store"
)

func newTemplateSearch(g *globals) *cobra.Command {
	limit := 20
	cmd := &cobra.Command{
		Use:     "search WORD…",
		Short:   "find templates by words",
		Long:    "Search prints the templates that have all the words in their name, language, tags or description, the best first. A word that no template has stands for those that resemble it.",
		Example: "  # templates for HTTP in Go\n  fnb template search go http",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usagef(cmd.CommandPath(), "a word to search for is missing")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return g.searchTemplates(cmd.Context(), args, limit) },
	}
	cmd.Flags().IntVar(&limit, "limit", limit, "print at most `N` templates; 0 for all")
	return cmd
}

func (g *globals) searchTemplates(ctx context.Context, words []string, limit int) error {
	st, where, err := g.storeHere()
	if err != nil {
		return err
	}
	found, notes, err := st.Search(ctx, words, where)
	g.tell(notes)
	if err != nil {
		return err
	}
	return g.printMatches(found, limit, "NAME\tVERSION\tSTORE\tDESCRIPTION", func(m store.Match) []string {
		return []string{m.Name, m.Version, m.Store, m.Description}
	})
}

// printMatches prints at most limit matches, all where it is 0: as a table with a
// row of each, or as JSON.
func (g *globals) printMatches(found []store.Match, limit int, head string, row func(store.Match) []string) error {
	if limit > 0 && len(found) > limit {
		found = found[:limit]
	}
	if g.json {
		if found == nil {
			found = []store.Match{}
		}
		return g.printJSON(found)
	}
	out := bufio.NewWriter(g.out) // there may be very many, in very small pieces
	tw := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, head)
	for _, m := range found {
		cells := row(m)
		for i, c := range cells {
			cells[i] = column(c)
		}
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	return errors.Join(tw.Flush(), out.Flush())
}

// describeVersions writes the versions of a template, the newest first; nothing
// for none.
func describeVersions(versions []store.VersionEntry) string {
	if len(versions) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\nVersions\n")
	for _, v := range versions {
		line := fmt.Sprintf("%s  %s  %.12s", v.Version, v.Published, v.Commit)
		if v.Yanked != "" {
			line += "  withdrawn: " + v.Yanked
		}
		b.WriteString(plain.Line(line) + "\n")
	}
	return b.String()
}
