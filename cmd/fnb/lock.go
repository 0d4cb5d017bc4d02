package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/pipeline/pins"
	"fnb/pipeline/services"
	"fnb/schema"
)

func newLock(g *globals) *cobra.Command {
	o := &inputFlags{}
	upgrade, frozen, packages := false, false, false
	cmd := &cobra.Command{
		Use:   "lock [FUNCTION…]",
		Short: "write or refresh fnb.lock without building",
		Long: `Lock pins what the functions of the stack need, or those that are named: templates by version, checksum and commit, base images, watchdogs and the images of services by digest. What fnb.lock has already stays as it is; what it lacks is looked up and added, and printed. What cannot be looked up is an error, and fnb.lock stays as it is.

With --upgrade everything is looked up again, and entries that no function of the stack needs are dropped. Handlers stay as they are: fnb update merges what a newer template has changed into them. With --frozen nothing is written, and what fnb.lock lacks is an error.

With --packages fnb makes the locks of package managers instead, such as uv.lock and package-lock.json. The stage "lock" of the template makes them in the builder, so no toolchain is needed here. They are written beside the manifest, in a workspace at its root. A function that has nothing to be locked, as with pip and Maven, is an error if it is named. What a lock pins already stays, unless --upgrade looks all of it up again.`,
		Example:           "  # add what is missing, and commit it\n  fnb lock && git add fnb.lock\n\n  # make the lock of a function's packages, without a toolchain\n  fnb lock --packages hello\n\n  # in CI: is everything pinned?\n  fnb lock --frozen",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if upgrade && frozen {
				return usagef(cmd.CommandPath(), "--upgrade and --frozen cannot be used together")
			}
			s, err := o.settings(cmd.CommandPath())
			if err != nil {
				return err
			}
			s.Pinning.Frozen = frozen
			want := wanted{settings: s, insecure: o.insecure, names: args, keys: lockKeys()}
			switch {
			case packages && frozen:
				return usagef(cmd.CommandPath(), "--packages and --frozen cannot be used together")
			case packages:
				return g.runLockPackages(cmd.Context(), want, upgrade)
			case len(o.secrets)+len(o.ssh) > 0:
				return usagef(cmd.CommandPath(), "--secret and --ssh are for --packages")
			}
			return g.runLock(cmd.Context(), want, upgrade)
		},
	}
	f := cmd.Flags()
	addOutsideFlag(f, &o.outside)
	g.addReviewedFlag(f)
	f.BoolVar(&upgrade, "upgrade", false, "look everything up again")
	f.BoolVar(&packages, "packages", false, "make the locks of package managers, in the builder")
	f.StringArrayVar(&o.secrets, "secret", nil, "with --packages, let RUN steps mount a secret: `id=ID,src=FILE` or id=ID,env=VAR (repeatable)")
	f.StringArrayVar(&o.ssh, "ssh", nil, "with --packages, let RUN steps use the ssh agent `ID`: default, or ID=KEYFILE (repeatable)")
	f.BoolVar(&frozen, "frozen", false, "fail unless fnb.lock covers everything")
	f.StringSliceVar(&o.platforms, "platform", nil, "pin watchdogs for `PLATFORMS`, such as linux/amd64,linux/arm64")
	f.StringArrayVarP(&o.args, "build-arg", "b", nil, "set the build arg `K=V`, which may decide about base images (repeatable)")
	f.StringVar(&o.watchdog, "watchdog", "", "pin the watchdog of the image `REF`")
	addInsecureFlag(f, &o.insecure)
	return cmd
}

// lockKeys are those that name what fnb.lock pins.
func lockKeys() []string { return append(schema.SourceKeys(), "services.image") }

func (g *globals) runLock(ctx context.Context, want wanted, upgrade bool) error {
	p, fns, err := g.newPipeline(want)
	if err != nil {
		return err
	}
	defer p.Close()
	if upgrade {
		notes, err := p.Forget(ctx, fns, len(want.names) == 0)
		if err != nil {
			return err
		}
		g.tellMore(notes)
	}
	plans, err := p.Pin(ctx, fns)
	g.tellMore(p.Told(plans))
	if err == nil {
		err = services.Pin(ctx, p.Pipeline, fns)
	}
	if err == nil {
		err = errors.Join(p.Missed(ctx, plans), services.Missed(p.Pipeline, fns))
	}
	if err != nil {
		return err
	}
	changes := p.Changes()
	if err := p.WriteLock(); err != nil {
		return err
	}
	return g.printPins(changes)
}

// tellMore is tell unless little is to be said.
func (g *globals) tellMore(notes []string) {
	if !g.quiet {
		g.tell(notes)
	}
}

// printPins prints what has changed in fnb.lock, an entry a line.
func (g *globals) printPins(changes []pins.Change) error {
	if g.json {
		if changes == nil {
			changes = []pins.Change{}
		}
		return g.printJSON(changes)
	}
	var errs []error
	for _, c := range changes {
		_, err := fmt.Fprintln(g.out, c.Kind, plain.Line(c.Name), plain.Line(c.Newest.String()))
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
