package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"fnb/internal/ci"
	"fnb/schema/settings"
	"fnb/store"
)

// globals are the flags that every command has.
type globals struct {
	streams
	file      string
	directory string
	offline   bool
	quiet     bool
	json      bool
	progress  string
	builder   builderFlags
	alone     lone
	openFaaS  bool            // the names of OpenFaaS's template store are found; known once a store is open
	stores    []*store.Finder // that were opened
	summary   string
	ci        ci.Runner
	config    func() (settings.Settings, error) // fnb's settings, which are read once
	rules     ruling
}

// builderFlags say which builder a command uses.
type builderFlags struct {
	address   string
	tlsDir    string
	plaintext bool
}

// newRoot makes the command tree.
func newRoot(s streams) *cobra.Command {
	g := &globals{streams: s, ci: ci.Here(), config: sync.OnceValues(readConfig)}
	g.rules.read = sync.OnceValues(g.readPolicy)
	root := group(&cobra.Command{
		Use:           "fnb",
		Short:         "build functions into container images",
		Long:          "fnb turns a few lines of code and a template into an OCI image, and pushes it to a registry.\n\nIt reads the functions of a stack file, resolves each one's template, and packages template and handler into a build context. BuildKit makes an image of it, with the watchdog layered in. The image is pushed to a registry.",
		Example:       "  # a first function in Go, from template to registry\n  fnb new hello --lang go --prefix ghcr.io/acme\n  fnb build\n  fnb push",
		Version:       fnbVersion(),
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return g.prepare(cmd)
		},
		PersistentPostRun: func(*cobra.Command, []string) { g.sayUntold() },
	})
	root.SetVersionTemplate("fnb {{.Version}}\n")
	root.Flags().BoolP("version", "v", false, "print the version of fnb")
	_ = root.Flags().SetAnnotation("version", notFromEnvironment, nil) // the flag is there
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(flagError)
	f := root.PersistentFlags()
	f.StringVarP(&g.file, "file", "f", "", "read the stack from `FILE` (default stack.yaml or stack.yml, looked for upwards)")
	f.StringVarP(&g.directory, "directory", "C", "", "change to `DIR` before anything else")
	f.StringVar(&g.progress, "progress", "auto", "show progress as `MODE`: auto, tty, plain, json or quiet")
	f.BoolVarP(&g.quiet, "quiet", "q", false, "show no progress")
	f.BoolVar(&g.json, "json", false, "print the result as JSON")
	f.BoolVar(&g.offline, "offline", false, "use no network: what is cached works")
	f.StringVar(&g.builder.address, "builder", "", "use the BuildKit at `ADDRESS`, or several with commas between (default the managed builder)")
	f.StringVar(&g.builder.tlsDir, "builder-tlsdir", "", "folder `DIR` with ca.pem, cert.pem and key.pem for a tcp:// builder")
	f.BoolVar(&g.builder.plaintext, plaintextFlag, false, "send builds, with secrets and credentials, in clear text to a tcp:// builder of another machine")
	f.StringVar(&g.summary, "summary", "", "append a Markdown table of what was built to `FILE` (default the job's own on GitHub)")
	f.String(codeQualityFlag, "", "write problems with their places to `FILE`, as GitLab's code quality report")
	root.AddCommand(
		newNew(g), newAdopt(g), newBuild(g), newPush(g), newRun(g), newInvoke(g), newTest(g), newShell(g),
		newLock(g), newOutdated(g), newUpdate(g), newImpact(g), newRebase(g), newCopy(g),
		newTemplate(g), newStoreCommand(g), newTrust(g), newImage(g), newBuilder(g), newPolicy(g),
		newDeploy(g), newUp(g), newGenerate(g), newCI(g), newDoctor(g), newSign(g), newVerify(g), newKey(g), newSBOM(g), newAudit(g), newLogin(g), newLogout(g), newVersion(g),
	)
	root.AddCommand(newPublish(g))
	root.SetGlobalNormalizationFunc(flagOfFaasCLI)
	root.AddCommand(helpTopics()...)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	describeCobra(root)
	return root
}

// prepare takes flags that were not given from the environment, and changes to
// the folder that was asked for.
func (g *globals) prepare(cmd *cobra.Command) error {
	var errs []error
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		v, ok := os.LookupEnv(envName(f.Name))
		if _, never := f.Annotations[notFromEnvironment]; never || !ok || v == "" || f.Changed || f.Name == "help" {
			return
		}
		if err := cmd.Flags().Set(f.Name, v); err != nil {
			errs = append(errs, usagef(cmd.CommandPath(), "%s=%q: %w", envName(f.Name), v, err))
		}
	})
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if g.directory != "" {
		if err := os.Chdir(g.directory); err != nil {
			return fmt.Errorf("changing to %s: %w", g.directory, errors.Unwrap(err))
		}
	}
	if g.quiet {
		g.progress = "quiet"
	}
	return nil
}

// envName is the environment variable of a flag: FNB_BUILD_ARG for build-arg.
func envName(flag string) string {
	return "FNB_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// relative shows a path as a person in the working directory would type it.
func relative(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if r, err := filepath.Rel(wd, path); err == nil && !strings.HasPrefix(r, "../../..") {
		return r
	}
	return path
}
