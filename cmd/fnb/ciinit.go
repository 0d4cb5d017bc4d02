package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"fnb/internal/ci"
	"fnb/pipeline"
	"fnb/schema"
)

// ciOptions are the flags of fnb ci init.
type ciOptions struct {
	ci.Options
	fnb     fnbSource
	out     string
	updates bool
}

func newCIInit(g *globals) *cobra.Command {
	o := &ciOptions{}
	cmd := &cobra.Command{
		Use:   "init " + strings.Join(ci.Names(), "|"),
		Short: "write a pipeline for the stack at hand",
		Long: `Init writes a pipeline into the repository of the stack: for GitHub Actions, Forgejo, Gitea, GitLab CI or Tekton. It builds and tests proposed changes, and builds, tests and pushes what is merged; functions whose inputs did not change are skipped by fnb itself. fnb.lock must cover everything, the build cache is in the registry, and permissions are the least that do. The job of a proposed change has the password of no registry and may write nothing. Images are taken by digest.

What is pushed has an SBOM and a provenance. It is signed where the system has a key as the secret SIGNING_KEY, with its password as SIGNING_KEY_PASSWORD; docs/ci.md says where each system keeps it.

With --matrix each function that changed is a job of its own; without it one job builds all of them, several at a time.

With --updates it writes another pipeline, for GitHub, Forgejo, Gitea and GitLab. Each week it runs fnb update --packages --describe and proposes what moved as one change: a commit on the branch fnb/updates. One job builds and tests, and may only read; another one pushes and proposes, and runs nothing. What must not be merged yet is a draft. The text says why.

` + aboutFnbSource + ` A Tekton pipeline has parameters for both, and one for the commit that was built last, before.

A file that is there is never overwritten.`,
		Example: "  # one job for all functions\n  fnb ci init github\n\n  # look at it first\n  fnb ci init gitlab --out -\n\n  # propose newer versions each week\n  fnb ci init github --updates\n\n" +
			"  # fnb from a mirror\n  fnb ci init github --fnb-release https://mirror.example.com/fnb/v1.2.3",
		Args: exactly(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return ci.Names(), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error { return g.runCIInit(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.Matrix, "matrix", false, "make a job for each function")
	f.BoolVar(&o.updates, "updates", false, "write the pipeline that proposes newer versions")
	f.StringVar(&o.Branch, "branch", "main", "push what is merged to the branch `NAME`")
	f.StringVarP(&o.out, "out", "o", "", "write to `FILE` instead of the one that the system reads, - for standard output")
	f.StringVar(&o.BuildKit, "buildkit", ci.BuildKitImage, "start the BuildKit of the image `REF`, which must have a digest")
	o.fnb.addFlags(f)
	return cmd
}

func (g *globals) runCIInit(ctx context.Context, name string, o *ciOptions) error {
	system, ok := ci.SystemNamed(name)
	if !ok {
		return usagef("fnb ci init", "%q is not a CI system that fnb knows: it must be %s", name, either(ci.Names()))
	}
	bad := &complaints{command: "fnb ci init"}
	o.check(system, bad)
	if len(bad.errs) > 0 {
		return errors.Join(bad.errs...)
	}
	stack, err := g.readStack()
	if err != nil {
		return err
	}
	root, err := checkout(ctx, filepath.Dir(stack.File))
	if err != nil {
		return err
	}
	var notes []string
	if o.Fnb, notes, err = o.fnb.resolve(ctx, system, g.offline); err != nil {
		return err
	}
	if o.updates {
		notes = append(notes, updateNotes(system, stack)...)
	}
	filled, err := ci.New(system, stack, root, o.Options)
	if err != nil {
		return ofFunction(stack, err)
	}
	if ids := filled.BuildSecrets; len(ids) > 0 {
		notes = append(notes, "a job must have the stack's build secrets ("+strings.Join(ids, ", ")+"): write their files in a step of your own, or set FNB_SECRET to id=ID,env=VARIABLE for one")
	}
	text, file, err := o.write(filled, system)
	if err != nil {
		return err
	}
	switch o.out {
	case "-":
		_, err := g.out.Write(text)
		return err
	case "":
		file = filepath.Join(root, filepath.FromSlash(file))
	default:
		file = o.out
	}
	if err := writeNew(file, text); err != nil {
		return err
	}
	g.tell(notes)
	_, err = fmt.Fprintln(g.out, relative(file))
	return err
}

// ofFunction says which function of a stack an error is about, where it is about one.
func ofFunction(stack *schema.Stack, err error) error {
	e, ok := errors.AsType[*ci.ImageError](err)
	if !ok {
		return err
	}
	for _, fn := range stack.Functions {
		if fn.Name == e.Function {
			return &pipeline.FunctionError{Name: fn.Name, Place: pipeline.PlaceOf(stack, fn), Err: err}
		}
	}
	return err
}
