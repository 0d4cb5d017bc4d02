package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/charmbracelet/huh"
	"golang.org/x/term"

	"fnb/internal/plain"
	_ "fnb/internal/start/colours"
	"fnb/store"
)

// askTemplate lets a person choose a template; typing searches. Without a
// terminal it is a usage error, since nobody is there to answer.
func (g *globals) askTemplate(ctx context.Context) (string, error) {
	if !term.IsTerminal(int(g.in.Fd())) || !term.IsTerminal(int(g.err.Fd())) {
		return "", &usageError{command: "fnb new", err: errors.New("--lang is missing: it says which template to use"), hints: []string{"see all templates with: fnb template list"}}
	}
	st, where, err := g.storeHere()
	if err != nil {
		return "", err
	}
	entries, err := st.List(ctx, where)
	if err != nil {
		return "", err
	}
	var chosen string
	field := huh.NewSelect[string]().Title("Which template?").Description("type to search").Options(templateOptions(entries)...).
		Value(&chosen).Filtering(true).Height(min(len(entries)+3, 15))
	theme := huh.ThemeBase16()
	if os.Getenv("NO_COLOR") != "" {
		theme = huh.ThemeBase()
	}
	form := huh.NewForm(huh.NewGroup(field)).WithInput(g.in).WithOutput(g.err).WithTheme(theme).WithShowHelp(true)
	err = form.RunWithContext(ctx)
	if errors.Is(err, huh.ErrUserAborted) {
		return "", context.Canceled
	}
	if err != nil {
		return "", fmt.Errorf("asking for a template: %w", err)
	}
	return chosen, nil
}

// templateOptions shows each template with its description, in columns.
func templateOptions(entries []store.Entry) []huh.Option[string] {
	width := 0
	for _, e := range entries {
		width = max(width, len(e.Name))
	}
	var opts []huh.Option[string]
	for _, e := range entries {
		opts = append(opts, huh.NewOption(fmt.Sprintf("%-*s  %s", width, plain.Line(e.Name), plain.Line(e.Description)), e.Name))
	}
	return opts
}
