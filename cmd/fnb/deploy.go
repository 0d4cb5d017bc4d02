package main

import (
	"errors"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fnb/schema"
)

// deployOptions are the flags of fnb deploy.
type deployOptions struct {
	choice
	inputs    inputFlags
	tags      tagFlags
	gateway   gatewayFlags
	to        string
	namespace string
	context   string
	timeout   time.Duration
	diff      bool
	rollback  bool
	force     bool
}

// gatewayFlags say which gateway of OpenFaaS's is meant, and who the user is there.
type gatewayFlags struct {
	url       string
	user      string
	stdin     bool
	plaintext bool
}

const gatewayPlaintextFlag = "gateway-plaintext"

// deployable are the platforms that fnb deploys to; what faas-cli deploys to is the first.
func deployable() []string { return []string{"openfaas", "kubernetes", "knative"} }

func newDeploy(g *globals) *cobra.Command {
	o := &deployOptions{}
	cmd := &cobra.Command{
		Use:   "deploy [FUNCTION…]",
		Short: "have a platform run functions, by digest",
		Long: `Deploy has OpenFaaS, Kubernetes or Knative run the stack's functions, those that are named, or those that match --filter or --regex. Each image is named by the digest that its registry has for it; push it first with fnb push or fnb build --push. What the platform is told is what fnb generate writes. Nothing is deployed unless all functions can be.

OpenFaaS is told by its gateway: --gateway, OPENFAAS_URL, provider.gateway of the stack file, or http://127.0.0.1:8080. Credentials are those that faas-cli login keeps in ~/.openfaas/config.yml, or a password on standard input. Kubernetes and Knative are told by kubectl, with its settings and your credentials: a server-side apply with the field manager fnb.

Deploy waits until each function is ready, and prints its name, its URL and its image. It gives up after --timeout, also if the platform does not answer at all, or once something will not mend by itself, such as an image that cannot be pulled. The gateway does not tell new containers from old ones, so with OpenFaaS a function that was there before counts as ready early.

With --diff nothing changes: what would change is printed. The exit code is then 0 if nothing would, and 7 if something would. Labels and annotations that OpenFaaS has added itself are no difference.

Each deployment keeps on the platform, in the annotation fnb.previous-image, the image that ran before. With --rollback that image runs again, and all else is as the stack file says. A second --rollback undoes the first.

The exit code is 9 if a platform refuses or does not answer, or if a function does not become ready.`,
		Example:           "  # to the OpenFaaS at http://127.0.0.1:8080\n  fnb deploy\n\n  # see what would change in a cluster, then do it\n  fnb deploy --to kubernetes --namespace prod --diff\n  fnb deploy --to kubernetes --namespace prod\n\n  # back to the image before\n  fnb deploy hello --to kubernetes --namespace prod --rollback\n\n  # in a pipeline\n  echo \"$PASSWORD\" | fnb deploy --gateway https://faas.example.com --password-stdin",
		ValidArgsFunction: g.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := o.inputs.settings(cmd.CommandPath())
			if err != nil {
				return err
			}
			s.Tags = o.tags.tags
			if err := g.checkDeploy(cmd, o); err != nil {
				return err
			}
			want := wanted{settings: s, insecure: o.inputs.insecure, choice: o.choice, names: args, keys: schema.DeployKeys()}
			return g.runDeploy(cmd.Context(), o, want, nil)
		},
	}
	f := cmd.Flags()
	addOutsideFlag(f, &o.inputs.outside)
	o.choice.addFlags(f, "deploy")
	f.StringArrayVar(&o.tags.tags, "tag", nil, "take the image of the tag that `RULE` gives, as in fnb build")
	addInsecureFlag(f, &o.inputs.insecure)
	o.addFlags(f)
	f.BoolVar(&o.diff, "diff", false, "change nothing, and print what would change; the exit code is 7 if something would")
	f.BoolVar(&o.rollback, "rollback", false, "run the image again that ran before")
	return cmd
}

// addFlags adds those that say where to.
func (o *deployOptions) addFlags(f *pflag.FlagSet) {
	f.StringVar(&o.to, "to", deployable()[0], "deploy to `PLATFORM`: "+either(deployable()))
	f.StringVarP(&o.namespace, "namespace", "n", "", "deploy to the namespace `NAME` (default the stack's, then the platform's)")
	f.StringVar(&o.context, "context", "", "deploy to the cluster of kubectl's context `NAME` (default the current one)")
	f.BoolVar(&o.force, "force-conflicts", false, "take over what others than fnb have written of a function in a cluster")
	f.DurationVar(&o.timeout, "timeout", 2*time.Minute, "give the platform so `LONG` to answer, and to have a function ready")
	f.StringVarP(&o.gateway.url, "gateway", "g", "", "deploy by the OpenFaaS gateway at `URL` (default OPENFAAS_URL, then the stack's)")
	f.StringVarP(&o.gateway.user, "username", "u", "", "log in to the gateway as `NAME` (default admin)")
	f.BoolVar(&o.gateway.stdin, "password-stdin", false, "read the gateway's password from standard input")
	f.BoolVar(&o.gateway.plaintext, gatewayPlaintextFlag, false, "send environments and credentials in clear text to a gateway of another machine")
	for _, name := range []string{"gateway", "username", "context"} { // which mean other things to other commands
		_ = f.SetAnnotation(name, notFromEnvironment, nil) // the flag is there
	}
}

// checkDeploy finds what makes no sense together.
func (g *globals) checkDeploy(cmd *cobra.Command, o *deployOptions) error {
	bad := &complaints{command: cmd.CommandPath()}
	if !slices.Contains(deployable(), o.to) {
		bad.add("--to %q: it must be %s", o.to, either(deployable()))
		return errors.Join(bad.errs...)
	}
	others := []string{"gateway", "username", "password-stdin", gatewayPlaintextFlag}
	if o.to == "openfaas" {
		others = []string{"context", "force-conflicts"}
	}
	for _, name := range others {
		if cmd.Flags().Changed(name) {
			bad.add("--%s and --to %s cannot be used together", name, o.to)
		}
	}
	if o.timeout <= 0 {
		bad.add("--timeout %s: it must be more than 0", o.timeout)
	}
	if g.offline {
		bad.add("--offline uses no network, and a deployment needs it")
	}
	return errors.Join(bad.errs...)
}
