package main

import (
	"errors"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/schema"
)

// verifyOptions are the flags of fnb verify.
type verifyOptions struct {
	inputFlags
	password         keyFlags
	keys             []string
	policy           string // file
	sbom, provenance bool
	rebuild, frozen  bool
}

func newVerify(g *globals) *cobra.Command {
	o := &verifyOptions{}
	cmd := &cobra.Command{
		Use:   "verify REF [FUNCTION]",
		Short: "check who has signed an image, and that it is what its source makes",
		Long: `Verify checks an image in its registry, and prints its reference and digest if all that is asked for holds.

With --key the image must be signed by one of the keys. KEY is a file of public keys, in PEM or OpenSSH's form, or of allowed signers; or a public key itself; or what fnb sign takes. With --sbom and --provenance the image must also have a list of its packages or a provenance, each signed by one of the keys. Each of them is a statement of its own type: one is never taken for another. Nothing is asked but the registry, and no log. The exit code is 8 where something does not hold.

With --policy the image must be what the policy in FILE wants of images, and signed as its images.signed-by says. --sbom and --provenance must be signed by one of the same keys then. In a policy with "mode: warn" what breaks a rule is a note. A policy that wants no signature of the image is an error, since nothing would be verified.

With --rebuild the function whose image REF is gets built again, without any cache, and the result is compared with the image in the registry. Equal digests prove that the image is this source and template, and nothing else. Otherwise the first difference is named, down to the layer and the file, and the exit code is 1.

The function to rebuild is the one of the stack file whose image REF is, or the only one whose image is in REF's repository, unless FUNCTION names it. Platforms, epoch, and the labels for source and revision are those of the image. What was given on the command line when it was built, such as --build-arg, must be given again. No image store and no registry is changed.`,
		Example: "  # has our release key signed it?\n  fnb verify ghcr.io/acme/hello:1.2.0 --key acme.pub\n\n  # is it what our policy wants?\n  fnb verify ghcr.io/acme/hello:1.2.0 --policy policy.yaml\n\n  # prove that what is deployed is what is in git\n  git checkout v1.2.0\n  fnb verify --rebuild ghcr.io/acme/hello:1.2.0",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return usagef(cmd.CommandPath(), "it takes the image, and with --rebuild the function where that does not say which: fnb verify REF [FUNCTION]")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error { return g.runVerify(cmd, o, args) },
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.keys, "key", nil, "want the image to be signed by `KEY` (repeatable: by one of them)")
	f.StringVar(&o.policy, "policy", "", "want the image to be what the policy in `FILE` wants")
	f.BoolVar(&o.sbom, "sbom", false, "with --key or --policy, want a signed list of its packages")
	f.BoolVar(&o.provenance, "provenance", false, "with --key or --policy, want a signed provenance")
	f.BoolVar(&o.rebuild, "rebuild", false, "build the image again and compare")
	f.BoolVar(&o.frozen, "frozen", false, "with --rebuild, fail unless fnb.lock covers everything")
	o.password.addFlags(f)
	o.addFlags(f)
	return cmd
}

func (g *globals) runVerify(cmd *cobra.Command, o *verifyOptions, args []string) error {
	bad := &complaints{command: "fnb verify"}
	signed := len(o.keys) > 0 || o.policy != ""
	if !signed && !o.rebuild {
		bad.errs = append(bad.errs, hint(usagef("fnb verify", "say what to verify: --key, --policy or --rebuild"), "who has signed it? fnb verify "+plain.ShellWord(args[0])+" --key KEY"))
	} else if !signed && (o.sbom || o.provenance) {
		bad.add("--sbom and --provenance need --key or --policy: what nobody signs, anybody can attach")
	}
	if len(args) > 1 && !o.rebuild {
		bad.add("%s: a function is named with --rebuild only", plain.Quoted(args[1]))
	}
	if g.offline {
		bad.add("--offline uses no network, and the image is in a registry")
	}
	if err := errors.Join(bad.errs...); err != nil {
		return err
	}
	var out verified
	if signed {
		var err error
		if out, err = g.verifySigned(cmd.Context(), o, args[0]); err != nil {
			return err
		}
		if !o.rebuild {
			return g.printSigned(out)
		}
	}
	s, err := o.settings(cmd.CommandPath())
	if err != nil {
		return err
	}
	s.NoCache, s.Pinning.Frozen = true, o.frozen
	ref := args[0]
	if out.Digest != "" { // what was verified is rebuilt, whatever the tag names by then
		ref = out.pinned
	}
	return g.runRebuild(cmd.Context(), wanted{settings: s, insecure: o.insecure, names: args[1:], keys: schema.BuildKeys()}, ref)
}
