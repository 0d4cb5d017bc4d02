package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/schema/words"
	"fnb/trust"
)

// rebaseOptions are the flags of fnb rebase.
type rebaseOptions struct {
	images   imageChoice
	bases    []string
	watchdog string
	parallel int

	plan, apply, undo string
	carry             carryFlags
}

// carryFlags say how a plan is carried out.
type carryFlags struct {
	smoke       string
	sign        string
	attest      attestFlags
	password    keyFlags
	move        bool
	suffix      string
	maxFailures int
}

// How many images are tested before their tags are moved.
const (
	smokeSample = "sample"
	smokeAll    = "all"
	smokeNone   = "none"
)

func newRebase(g *globals) *cobra.Command {
	o := &rebaseOptions{}
	cmd := &cobra.Command{
		Use:   "rebase [FUNCTION…|REF…]",
		Short: "replace base images and watchdogs in registries, without a build",
		Long: `Rebase replaces the base image of images that are in registries by what its reference names now. Nothing is built: what is said of an image is written anew, and a registry takes layers over from where it has them.

With --plan it looks at the images and writes a file that says what becomes of each, and why. It changes nothing. A base image is replaced only if that is proven to be safe. The old one is underneath, and the layers above it were copied, not made by a step. Both are of one distribution, with the same packages and the same runtime. All other images are to be built.

With --apply it does what the file says. All platforms of an image are written before its tags are moved, and a tag is moved only if it names what the plan saw. First one image of each template is done, then the rest. What is done stands in a journal beside the plan: the same command again goes on where it was ended.

With --undo the tags name again what they did. The old images stay in the registry.

To what is written its provenance is attached, before a tag names it, and with --sign a signature. If the image had an SBOM, that is attached with the packages of the new base image. --attest says which, or none.

--smoke sample makes the contract test with the first image of each template, before its tags are moved. It needs a builder.`,
		Example: "  # what would a new python:3.13-slim-bookworm change?\n  fnb rebase --base python:3.13-slim-bookworm --plan plan.json\n\n" +
			"  # do it, and take it back\n  fnb rebase --apply plan.json\n  fnb rebase --undo plan.json\n\n" +
			"  # all images of a registry, with the newest watchdog too\n  fnb rebase --base python:3.13-slim-bookworm --watchdog default --registry registry.example.com/team --plan plan.json",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(cmd, args); err != nil {
				return err
			}
			if g.offline {
				return usagef("fnb rebase", "--offline uses no network, and the images are in registries")
			}
			switch {
			case o.plan != "":
				return g.runRebasePlan(cmd.Context(), o, args)
			case o.apply != "":
				return g.runRebaseApply(cmd.Context(), o)
			}
			return g.runRebaseUndo(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.bases, "base", nil, "replace the base image `REF` by what it names now, or by the digest that it has (repeatable)")
	f.StringVar(&o.watchdog, "watchdog", "", "also replace fnb's watchdog by the one of this fnb: `NAME` is default")
	f.StringVar(&o.plan, "plan", "", "write what can be done to `FILE`, and change nothing")
	f.StringVar(&o.apply, "apply", "", "do what the plan `FILE` says")
	f.StringVar(&o.undo, "undo", "", "take back what was done of the plan `FILE`")
	f.StringVar(&o.carry.smoke, "smoke", smokeSample, "with --apply, test `WHICH` images before their tags are moved: sample, all or none")
	f.StringVar(&o.carry.sign, "sign", "", "with --apply, sign what is written with `KEY`: "+trust.Forms)
	o.carry.attest.addFlags(f)
	f.BoolVar(&o.carry.move, "move-tags", false, "with --apply, move the tags of the images, which is the default")
	f.StringVar(&o.carry.suffix, "tag-suffix", "", "with --apply, leave the tags, and make new ones with `TEXT` behind, such as -r1")
	f.IntVar(&o.carry.maxFailures, "max-failures", 0, "with --apply, begin no more images once more than `N` have failed")
	f.IntVar(&o.parallel, "parallel", 8, "do `N` images at a time")
	o.carry.password.addFlags(f)
	o.images.addFlags(f)
	return cmd
}

// check refuses flags that make no sense together.
func (o *rebaseOptions) check(cmd *cobra.Command, args []string) error {
	bad := &complaints{command: "fnb rebase"}
	var what []string
	for _, name := range []string{"plan", "apply", "undo"} {
		if cmd.Flags().Changed(name) {
			what = append(what, "--"+name)
		}
	}
	switch {
	case len(what) == 0:
		bad.errs = append(bad.errs, hint(usagef("fnb rebase", "say what to do: --plan, --apply or --undo"), "begin with a plan, which changes nothing: fnb rebase --base REF --plan plan.json"))
	case len(what) > 1:
		bad.add("%s: one at a time", strings.Join(what, ", "))
	case what[0] == "--plan" && len(o.bases) == 0 && o.watchdog == "":
		bad.add("--plan needs to know what is replaced: --base or --watchdog")
	case what[0] != "--plan" && len(args) > 0:
		bad.add("%s: the plan says which images", plain.Quoted(args[0]))
	}
	for _, name := range []string{"base", "watchdog", "registry", "store", "from"} {
		if cmd.Flags().Changed(name) && len(what) == 1 && what[0] != "--plan" {
			bad.add("--%s goes with --plan", name)
		}
	}
	for _, name := range []string{"smoke", "sign", "attest", "move-tags", "tag-suffix", "max-failures"} {
		if cmd.Flags().Changed(name) && len(what) == 1 && what[0] != "--apply" {
			bad.add("--%s goes with --apply", name)
		}
	}
	if o.watchdog != "" && o.watchdog != words.WatchdogDefault {
		bad.add("--watchdog %s: only fnb's own can be replaced, which is default", plain.Quoted(o.watchdog))
	}
	if o.carry.smoke != smokeSample && o.carry.smoke != smokeAll && o.carry.smoke != smokeNone {
		bad.add("--smoke %s: it is one of sample, all and none", plain.Quoted(o.carry.smoke))
	}
	if o.carry.move && o.carry.suffix != "" {
		bad.add("--move-tags and --tag-suffix: one of them")
	}
	if o.parallel < 1 || o.carry.maxFailures < 0 {
		bad.add("--parallel is at least 1, and --max-failures at least 0")
	}
	return errors.Join(bad.errs...)
}
