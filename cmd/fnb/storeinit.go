package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"fnb/internal/ci"
	"fnb/internal/plain"
	"fnb/schema"
)

func newStoreInit(g *globals) *cobra.Command {
	s, from := ci.NewStore{}, fnbSource{}
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "start a store",
		Long: `Init writes what the repository of a store begins with to DIR: store.json, a README, and the rules for authors. With --namespace it also writes who owns the first names.

With --host it also writes pipelines, and templates for issues and changes. One pipeline is the gate, which decides about proposed changes, tells their authors and merges what needs no person. The other publishes the index and the web page.

` + aboutFnbSource + `

DIR must be new, or have nothing but a .git folder.`,
		Example: "  # a store on GitHub, with one namespace and two owners\n  git init store\n  fnb store init store --host github --namespace acme --owner ann --owner bob\n\n" +
			"  # a store for a server without pipelines\n  fnb store init store",
		Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error { return g.initStore(cmd.Context(), args[0], s, from) },
	}
	f := cmd.Flags()
	f.StringVar(&s.Host, "host", "", "write the pipelines for `HOST`: "+strings.Join(ci.StoreHosts(), " or "))
	f.StringVar(&s.Title, "title", "", "what the store calls itself (default the name of DIR)")
	f.StringArrayVar(&s.Namespaces, "namespace", nil, "begin with the namespace `NS`; may be given more than once")
	f.StringArrayVar(&s.Owners, "owner", nil, "`WHO` owns the namespaces, by the login or mail address that the host knows; may be given more than once")
	f.StringVar(&s.Branch, "branch", "main", "publish what is merged to the branch `NAME`")
	from.addFlags(f)
	_ = cmd.RegisterFlagCompletionFunc("host", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return ci.StoreHosts(), cobra.ShellCompDirectiveNoFileComp
	}) // the flag exists
	return cmd
}

func (g *globals) initStore(ctx context.Context, dir string, s ci.NewStore, from fnbSource) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	s.Name = ci.StoreName(filepath.Base(abs))
	if s.Title == "" {
		s.Title = s.Name
	}
	if err := checkNewStore(s, from); err != nil {
		return err
	}
	if err := emptyFolder(abs); err != nil {
		return fmt.Errorf("starting a store in %s: %w", dir, err)
	}
	var notes []string
	if s.Host != "" {
		if s.Fnb, notes, err = from.resolve(ctx, ci.System{}, g.offline); err != nil {
			return err
		}
	}
	files, err := s.Files()
	if err != nil {
		return err
	}
	if err := writeAll(dir, files); err != nil {
		return fmt.Errorf("starting a store in %s: %w", dir, err)
	}
	paths := make([]string, 0, len(files))
	for _, f := range files {
		paths = append(paths, f.Path)
	}
	g.tell(append(notes, afterInit(s)...))
	if g.json {
		return g.printJSON(map[string]any{"dir": relative(dir), "files": paths})
	}
	for _, p := range paths {
		if _, err := fmt.Fprintln(g.out, plain.Line(relative(filepath.Join(dir, filepath.FromSlash(p))))); err != nil {
			return err
		}
	}
	return nil
}

// afterInit says what is left for a person to do.
func afterInit(s ci.NewStore) []string {
	var left []string
	switch s.Host {
	case "gitlab":
		left = append(left, "the gate needs a pipeline schedule and the variable GATE_TOKEN: .gitlab-ci.yml says how")
	case "":
		left = append(left, "no pipelines were written: whoever may push can publish, or give --host "+strings.Join(ci.StoreHosts(), " or --host "))
	}
	if len(s.Namespaces) > 0 && len(s.Owners) == 0 {
		left = append(left, "the namespaces have no owners: whoever may push can publish in them")
	}
	return left
}

// checkNewStore returns what is wrong with the flags.
func checkNewStore(s ci.NewStore, from fnbSource) error {
	bad := &complaints{command: "fnb store init"}
	if s.Host != "" && !slices.Contains(ci.StoreHosts(), s.Host) {
		bad.add("--host %q: it must be %s", s.Host, strings.Join(ci.StoreHosts(), " or "))
	}
	for _, ns := range s.Namespaces {
		if err := schema.ValidateName(ns); err != nil {
			bad.add("--namespace: %w", err)
		}
	}
	for _, owner := range s.Owners {
		if strings.TrimSpace(owner) == "" {
			bad.add("--owner must be a login or a mail address")
		}
	}
	if len(s.Owners) > 0 && len(s.Namespaces) == 0 {
		bad.add("--owner needs a --namespace")
	}
	if strings.ContainsAny(s.Title, "\r\n") {
		bad.add("--title must be one line")
	}
	o := ciOptions{Options: ci.Options{Branch: s.Branch, BuildKit: ci.BuildKitImage}, fnb: from}
	system, _ := ci.SystemNamed(ci.StoreHosts()[0]) // both have the same rules for these flags
	o.check(system, bad)
	return errors.Join(bad.errs...)
}

// emptyFolder returns an error if a folder has anything but a .git.
func emptyFolder(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != ".git" {
			return hint(fmt.Errorf("it is not empty: it has %s", plain.Path(e.Name())), "start it in a new folder: fnb store init "+plain.ShellWord(relative(dir+"-store")))
		}
	}
	return nil
}
