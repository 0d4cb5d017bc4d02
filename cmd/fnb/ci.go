package main

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/distribution/reference"
	"github.com/spf13/cobra"

	"fnb/gitrepo"
	"fnb/schema"
)

// pipelineFiles are the templates of the pipelines that fnb ci init writes.
//
//go:embed ci
var pipelineFiles embed.FS //nolint:gochecknoglobals // the compiler fills it

// The images of pipelines: the builder that they start, which runs with all rights, and
// what jobs run in where a system wants an image. Those who keep them newer find the
// digest of a tag with docker buildx imagetools inspect.
const (
	buildkitImage = "docker.io/moby/buildkit:v0.34.0@sha256:b059f8d7226d0b326bc871af489a5dddf65e36af4d20d14251b072974d9ee87c"
	jobImage      = "docker.io/library/debian:bookworm-slim@sha256:96e378d7e6531ac9a15ad505478fcc2e69f371b10f5cdf87857c4b8188404716"
)

// ciSystems are the systems that fnb ci init knows, and the files they read.
func ciSystems() map[string]string {
	return map[string]string{"github": ".github/workflows/functions.yml", "gitlab": ".gitlab-ci.yml", "tekton": ".tekton/functions.yml"}
}

func newCI(g *globals) *cobra.Command {
	cmd := group(&cobra.Command{
		Use:   "ci",
		Short: "have functions built by a CI system",
		Long:  "Ci writes the pipeline that builds, tests and pushes the functions of a stack.",
	})
	cmd.AddCommand(newCIInit(g))
	return cmd
}

// ciOptions are the flags of fnb ci init.
type ciOptions struct {
	matrix bool
	branch string
	out    string
	url    string
	sha256 string
	image  string // of the builder
}

func newCIInit(g *globals) *cobra.Command {
	o := &ciOptions{}
	cmd := &cobra.Command{
		Use:   "init github|gitlab|tekton",
		Short: "write a pipeline for the stack at hand",
		Long: `Init writes a pipeline into the repository of the stack: for GitHub Actions, GitLab CI or Tekton. It builds and tests proposed changes, and builds, tests and pushes what is merged; functions whose inputs did not change are skipped by fnb itself. fnb.lock has to cover everything, the build cache is in the registry, and permissions are the least that do: the job of a proposed change has the password of no registry and may write nothing. Images are taken by digest.

With --matrix each function that changed is a job of its own; without it one job builds all of them, several at a time.

The pipeline downloads fnb from --fnb-url and checks it against --fnb-sha256. Without these it takes both from the variables FNB_URL and FNB_SHA256 of the repository. A file that is there is never overwritten.`,
		Example: "  # one job for all functions\n  fnb ci init github\n\n  # look at it first\n  fnb ci init gitlab --out -",
		Args:    exactly(1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"github", "gitlab", "tekton"}, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error { return g.runCIInit(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.matrix, "matrix", false, "make a job for each function")
	f.StringVar(&o.branch, "branch", "main", "push what is merged to the branch `NAME`")
	f.StringVarP(&o.out, "out", "o", "", "write to `FILE` instead of the one that the system reads, - for standard output")
	f.StringVar(&o.url, "fnb-url", "", "download fnb from `URL`")
	f.StringVar(&o.image, "buildkit", buildkitImage, "start the BuildKit of the image `REF`, which has to have a digest")
	f.StringVar(&o.sha256, "fnb-sha256", "", "the SHA-256 of the program at --fnb-url, as `HEX`")
	return cmd
}

func (g *globals) runCIInit(ctx context.Context, system string, o *ciOptions) error {
	file, ok := ciSystems()[system]
	if !ok {
		return usagef("fnb ci init", "%q is no system: it is github, gitlab or tekton", system)
	}
	if err := o.check(system); err != nil {
		return usagef("fnb ci init", "%w", err)
	}
	stack, err := g.readStack()
	if err != nil {
		return err
	}
	root, err := checkout(ctx, filepath.Dir(stack.File))
	if err != nil {
		return err
	}
	filled, err := pipelineFor(system, stack, root, o)
	if err != nil {
		return err
	}
	text, err := filled.write(system)
	if err != nil {
		return err
	}
	switch {
	case o.out == "-":
		_, err := g.out.Write(text)
		return err
	case o.out != "":
		file = o.out
	default:
		file = filepath.Join(root, filepath.FromSlash(file))
	}
	if err := writeNew(file, text); err != nil {
		return err
	}
	if o.url == "" {
		g.tell([]string{"the pipeline takes fnb from the variables FNB_URL and FNB_SHA256: set both in the repository, or give --fnb-url and --fnb-sha256"})
	}
	_, err = fmt.Fprintln(g.out, relative(file))
	return err
}

var (
	sha256Hex  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	branchName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
	pinnedRef  = regexp.MustCompile(`^[a-z0-9][A-Za-z0-9./:_-]*@sha256:[0-9a-f]{64}$`)
	plainURL   = regexp.MustCompile(`^https://[A-Za-z0-9._~:/?&=%@+,;-]+$`)
)

// check refuses what could not be written into a pipeline as it is.
func (o *ciOptions) check(system string) error {
	var errs []error
	if (o.url == "") != (o.sha256 == "") {
		errs = append(errs, errors.New("--fnb-url and --fnb-sha256 go together"))
	}
	if o.url != "" && !plainURL.MatchString(o.url) {
		errs = append(errs, fmt.Errorf("--fnb-url %q: it has to be an https:// URL", o.url))
	}
	if o.sha256 != "" && !sha256Hex.MatchString(o.sha256) {
		errs = append(errs, fmt.Errorf("--fnb-sha256 %q: it has to be 64 hexadecimal digits", o.sha256))
	}
	if !pinnedRef.MatchString(o.image) {
		errs = append(errs, fmt.Errorf("--buildkit %q: it has to have a digest, such as %s", o.image, buildkitImage))
	}
	if !branchName.MatchString(o.branch) {
		errs = append(errs, fmt.Errorf("--branch %q is no name for a branch", o.branch))
	}
	if o.matrix && system == "tekton" {
		errs = append(errs, errors.New("--matrix: a Tekton task builds several functions at a time; give each task its functions in the pipeline instead"))
	}
	return errors.Join(errs...)
}

// checkout is the folder of the git repository that dir is in; dir where it is
// in none.
func checkout(ctx context.Context, dir string) (string, error) {
	repo, err := gitrepo.Open(ctx, dir, gitrepo.Options{})
	if errors.Is(err, gitrepo.ErrNone) || err == nil && repo.Root == "" {
		return dir, nil
	}
	if err != nil {
		return "", err
	}
	return repo.Root, nil
}

// writeNew writes a file that is not there yet, with its folders.
func writeNew(file string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return hint(fmt.Errorf("writing %s: it is there already", relative(file)), "write to another file with: --out FILE, or look at it with: --out -")
	}
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// A login is how a pipeline logs in to one registry.
type login struct{ Host, User, Password string }

// A pipelineText is what the template of a pipeline is filled with.
type pipelineText struct {
	Stack, Branch, URL, SHA256, BuildKit string
	Image                                string // that jobs run in
	Pinned, Matrix, Packages             bool   // Pinned: URL and SHA256 are known
	Functions                            []string
	Logins                               []login
}

// Setup is the shell script that gets fnb.
func (pipelineText) Setup() (string, error) {
	setup, err := pipelineFiles.ReadFile("ci/setup.sh")
	return string(setup), err
}

// write fills the template of a system.
func (t pipelineText) write(system string) ([]byte, error) {
	name := system + ".yml.tmpl"
	tmpl, err := template.New(name).Delims("[[", "]]").Funcs(template.FuncMap{"indent": indent}).ParseFS(pipelineFiles, "ci/"+name)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = tmpl.Execute(&out, t)
	return out.Bytes(), err
}

// pipelineFor says what the pipeline of a stack is filled with.
func pipelineFor(system string, stack *schema.Stack, root string, o *ciOptions) (pipelineText, error) {
	rel, err := filepath.Rel(root, stack.File)
	if err != nil {
		return pipelineText{}, err
	}
	t := pipelineText{
		Stack: quoteYAML(filepath.ToSlash(rel)), Branch: o.branch, URL: o.url, SHA256: o.sha256, BuildKit: o.image, Image: jobImage,
		Pinned: o.url != "", Matrix: o.matrix,
	}
	if system == "github" && !t.Pinned {
		t.URL, t.SHA256 = "${{ vars.FNB_URL }}", "${{ vars.FNB_SHA256 }}"
	}
	for _, fn := range stack.Functions {
		if fn.SkipBuild {
			continue
		}
		t.Functions = append(t.Functions, fn.Name)
		named, err := reference.ParseNormalizedNamed(fn.Image)
		if err != nil {
			return t, &functionError{name: fn.Name, place: placeOf(stack, fn), err: fmt.Errorf("its image %q: %w", fn.Image, err)}
		}
		l := loginFor(system, reference.Domain(named))
		if !slices.Contains(t.Logins, l) {
			t.Logins = append(t.Logins, l)
		}
		t.Packages = t.Packages || l.Host == "ghcr.io"
	}
	return t, nil
}

// loginFor says where a system keeps the credentials of a registry: its own
// token for its own registry, secrets named after the host for another.
func loginFor(system, host string) login {
	name := strings.ToUpper(strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, host))
	switch {
	case system == "github" && host == "ghcr.io":
		return login{host, "github.actor", "secrets.GITHUB_TOKEN"}
	case system == "github":
		return login{host, "secrets.USER_" + name, "secrets.PASSWORD_" + name}
	case host == "registry.gitlab.com":
		return login{host, "CI_REGISTRY_USER", "CI_REGISTRY_PASSWORD"}
	}
	return login{host, "USER_" + name, "PASSWORD_" + name}
}

// indent puts spaces before each line but empty ones.
func indent(n int, text string) string {
	var b strings.Builder
	for line := range strings.Lines(strings.TrimRight(text, "\n")) {
		b.WriteString(strings.Repeat(" ", n) + line)
	}
	return b.String()
}

// quoteYAML makes a path safe for YAML; a plain one stays as it is.
func quoteYAML(s string) string {
	if plainPath.MatchString(s) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", "''") + "'"
}

var plainPath = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]*$`)
