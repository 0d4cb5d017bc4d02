package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"fnb/audit"
	"fnb/audit/osv"
	"fnb/internal/plain"
)

type auditOptions struct {
	database databaseFlags
	failOn   string
	vex      []string
	sarif    string
	store    string
	scan     bool
	insecure []string
}

func newAudit(g *globals) *cobra.Command {
	o := &auditOptions{}
	cmd := &cobra.Command{
		Use:   "audit [FUNCTION…|REF…]",
		Short: "find known holes in functions and images",
		Long: `Audit looks up the packages in images in a database of advisories, OSV's, which lies in a folder. Nothing is asked of a network, but for --update-db and for images that are in a registry alone. It also finds Python, Node.js, Go, Java and distributions whose makers have stopped fixing them, withdrawn templates, other watchdogs than fnb's, and a builder with known holes.

Without arguments it is about all functions of the stack file. A name with a colon or a slash is an image. Of a function whose image is not made yet, its package lists are read. Of an image that is in its registry alone the SBOMs are read that are attached to it, as they are, or else its layers.

Each finding has the version that fixes it, and what to type. The exit code is 10 if a finding is at least as bad as --fail-on says. One whose severity nobody knows counts as medium. A finding does not count if a statement of OpenVEX says so, with --vex, in *.openvex.json beside the stack file or below .vex.`,
		Example: "  # fetch what is known, then look\n  fnb audit --update-db\n  fnb audit\n\n" +
			"  # an image, and a store's functions\n  fnb audit ghcr.io/acme/hello:1\n  fnb audit --store acme\n\n" +
			"  # in CI, with a report for code scanning\n  fnb audit --fail-on critical --sarif audit.sarif",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return g.runAudit(cmd.Context(), o, args)
		},
	}
	f := cmd.Flags()
	o.database.addFlags(f, "")
	f.StringVar(&o.failOn, "fail-on", "high", "exit with code 10 from this `SEVERITY` on: low, medium, high, critical or never")
	f.StringArrayVar(&o.vex, "vex", nil, "leave out what the OpenVEX document `FILE` says does no harm (repeatable)")
	f.StringVar(&o.sarif, "sarif", "", "also write the findings to `FILE`, as SARIF")
	f.StringVar(&o.store, "store", "", "look at the functions of the store `NAME`")
	f.BoolVar(&o.scan, "scan", false, "read the layers of images, whatever is attached to them")
	addInsecureFlag(f, &o.insecure)
	return cmd
}

// least is the level that --fail-on says; false is never.
func (o *auditOptions) least() (osv.Level, bool, error) {
	at := slices.Index(osv.Levels(), o.failOn)
	if o.failOn == "never" {
		return 0, false, nil
	}
	if at < int(osv.Low) {
		return 0, false, usagef("fnb audit", "--fail-on %s: it is not one of low, medium, high, critical and never", plain.Quoted(o.failOn))
	}
	return osv.Level(at), true, nil
}

func (g *globals) runAudit(ctx context.Context, o *auditOptions, args []string) error {
	least, fails, err := o.least()
	if err != nil {
		return err
	}
	if o.database.update && g.offline {
		return usagef("fnb audit", "--offline uses no network, and --update-db needs it")
	}
	dir, cache, err := o.database.dirs()
	if err != nil {
		return err
	}
	q, stackFile, err := g.auditQuestion(ctx, o, args, cache)
	if err != nil {
		return err
	}
	if o.database.update {
		if err := g.updateDatabase(ctx, o.database.source, dir, cache, q.Subjects); err != nil {
			return err
		}
	}
	db := g.openDatabase(dir, cache)
	defer func() { _ = db.Close() }() // it was only read
	q.Database, q.Now = db, time.Now()
	r, err := audit.Look(ctx, q)
	if err != nil {
		return err
	}
	if o.sarif != "" {
		data, err := r.SARIF(fnbVersion(), filepath.ToSlash(relative(stackFile)))
		if err == nil {
			err = os.WriteFile(o.sarif, append(data, '\n'), 0o644) //nolint:gosec // others may read it
		}
		if err != nil {
			return fmt.Errorf("writing the findings: %w", err)
		}
	}
	if err := g.printAudit(r); err != nil {
		return err
	}
	if len(r.Missing) > 0 {
		err = &osv.MissingError{Dir: dir, Ecosystems: r.Missing}
	}
	if n := r.Worst(least); fails && n > 0 {
		err = errors.Join(&findingsError{n, o.failOn}, err)
	}
	return err
}
