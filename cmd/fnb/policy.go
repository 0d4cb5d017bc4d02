package main

import (
	"context"
	"path/filepath"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fnb/builder"
	"fnb/pipeline/allow"
	"fnb/pipeline/history"
	"fnb/policy"
	"fnb/registry"
	"fnb/schema"
)

// A ruling is what a command knows of policies.
type ruling struct {
	read     func() (*policy.Policy, error) // once
	reviewed []string
	trial    bool
}

func newPolicy(g *globals) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "policy",
		Short: "say what may be used, and see what that means",
		Long: `A policy says what may be used: policy.yaml beside the stack file for a project, and policy.yaml in fnb's configuration folder for a machine. Both hold.

With "mode: warn", which is the default, what breaks a rule is a note. With "mode: enforce" it is an error, with the exit code 8, that names the rule, its file and its line.

fnb new, lock, update, build, run, invoke, test, generate, deploy, rebase, store try and store publish ask it. So does the builder while it solves, about each image, git repository and URL that a step reads. A frontend that a Dockerfile names does not go round it.`,
		Example: "  # what would be refused?\n  fnb policy test",
	})
	cmd.AddCommand(newPolicyTest(g))
	return cmd
}

// addReviewedFlag adds the flag that lets through what is young.
func (g *globals) addReviewedFlag(f *pflag.FlagSet) {
	f.StringArrayVar(&g.rules.reviewed, "reviewed", nil, "pin the template or image `REF` although it is younger than the policy's min-age (repeatable)")
}

// readPolicy reads the policies of the project and of the machine; nil where neither has one.
func (g *globals) readPolicy() (*policy.Policy, error) {
	machine, err := configDir()
	if err != nil {
		return nil, err
	}
	project := "."
	if file, err := g.stackFile(); err == nil { // without one, it is made here
		project = relative(filepath.Dir(file))
	}
	return policy.Read(policy.Options{Reviewed: g.rules.reviewed, Version: fnbVersion(), Trial: g.rules.trial}, project, machine)
}

// accept asks the policy about a builder that answers.
func (g *globals) accept(ctx context.Context, c *builder.Client) error {
	p, err := g.rules.read()
	if err != nil || !p.Builders() {
		return err
	}
	info, err := c.Info(ctx)
	if err != nil {
		return err
	}
	return p.Builder(info.Address, info.Version)
}

// sayUntold tells what broke a rule that only warns, as far as nobody has told it.
func (g *globals) sayUntold() {
	if p, err := g.rules.read(); err == nil {
		g.tellMore(p.Untold())
	}
}

// mayRun asks the policy about an image with its digest that is run or deployed: see mayUse.
func mayRun(ctx context.Context, p *policy.Policy, c *registry.Client, ref string) error {
	return mayUse(ctx, p, c, policy.KindImage, ref)
}

// mayUse asks the policy about an image with its digest, by the rules of a kind, and who has signed it. A registry of nil
// asks none.
func mayUse(ctx context.Context, p *policy.Policy, c *registry.Client, kind policy.Kind, ref string) error {
	image, err := schema.ParseImageRef(ref)
	if err != nil || p == nil {
		return err
	}
	cache, err := cacheDir()
	if err != nil {
		return err
	}
	signatures := allow.Signatures{Registry: c, Known: history.Folder(filepath.Join(cache, "builds"))}
	return p.Source(kind, "docker-image://"+image.Full().String(), signatures.Look(ctx, image.Full().String(), image.Digest))
}

// asked is the registry that is asked about what is deployed; nil where none may be.
func (p *shownPipeline) asked() *registry.Client {
	if p.settings.Pinning.Offline {
		return nil
	}
	return p.Registry
}
