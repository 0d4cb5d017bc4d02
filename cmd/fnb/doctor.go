package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/distribution/reference"
	"github.com/spf13/cobra"

	"fnb/builder"
	"fnb/internal/plain"
	"fnb/packaging"
	"fnb/registry"
	"fnb/schema"
)

// askTimeout is how long the doctor waits for a builder, a registry or a store.
const askTimeout = 10 * time.Second

// A finding is one line of fnb doctor.
type finding struct {
	Check  string   `json:"check"`
	State  string   `json:"state"` // ok, skipped or problem
	Detail string   `json:"detail"`
	Hints  []string `json:"hints,omitempty"`
}

func newDoctor(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:     "doctor",
		Short:   "say what is installed, reachable and writable",
		Long:    "Doctor checks what fnb needs: its folders and settings, the builder or what it takes to start one, the stack file, the registries of its functions, and the stores. For what is not well it says what to type. It starts and builds nothing. With a problem the exit code is 1.\n\nWith --offline nothing that needs a network is asked.",
		Example: "  # before the first build, or in a bug report\n  fnb doctor",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return g.runDoctor(cmd.Context())
		},
	}
}

func (g *globals) runDoctor(ctx context.Context) error {
	found := g.examine(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	problems := 0
	for _, f := range found {
		if f.State == "problem" {
			problems++
		}
	}
	if err := g.printFindings(found); err != nil {
		return err
	}
	if problems > 0 {
		return fmt.Errorf("doctor: %d of %d checks found a problem", problems, len(found))
	}
	return nil
}

// examine makes all checks.
func (g *globals) examine(ctx context.Context) []finding {
	out := []finding{
		check("fnb", func() (string, error) {
			_, err := packaging.Watchdog()
			return fnbVersion() + ", BuildKit " + buildkitVersion(), err
		}),
		check("settings", checkSettings),
	}
	for _, dir := range []struct {
		name string
		path func() (string, error)
	}{{"data", dataDir}, {"cache", cacheDir}, {"sockets", socketDir}} {
		out = append(out, check(dir.name, func() (string, error) { return checkWritable(dir.path) }))
	}
	out = append(out, check("builder", func() (string, error) { return g.checkBuilder(ctx) }))
	stack, f := g.checkStack()
	out = append(out, f)
	if stack != nil {
		out = append(out, g.checkRegistries(ctx, stack)...)
	}
	return append(out, g.checkStores(ctx)...)
}

// errSkipped is why a check was not made.
var errSkipped = errors.New("not asked")

// check makes a finding of a check's result.
func check(name string, do func() (string, error)) finding {
	detail, err := do()
	switch {
	case errors.Is(err, errSkipped):
		return finding{Check: name, State: "skipped", Detail: detail}
	case err != nil:
		var lines []string
		for _, e := range flatten(err) {
			lines = append(lines, plain.Line(e.Error()))
		}
		return finding{Check: name, State: "problem", Detail: strings.Join(lines, "; "), Hints: hints(err)}
	}
	return finding{Check: name, State: "ok", Detail: plain.Line(detail)}
}

func checkSettings() (string, error) {
	if _, err := readConfig(); err != nil {
		return "", err
	}
	dir, err := configDir()
	return dir, err
}

// socketDir is where the managed builder's socket is.
func socketDir() (string, error) {
	m, err := managedBuilder(schema.Config{})
	if err != nil {
		return "", err
	}
	return filepath.Dir(filepath.Dir(m.Socket)), nil
}

// checkWritable tries to write into a folder, or into the nearest one above it
// that is there, and leaves nothing behind.
func checkWritable(path func() (string, error)) (string, error) {
	dir, err := path()
	if err != nil {
		return "", err
	}
	there := dir
	for there != filepath.Dir(there) {
		if _, err := os.Stat(there); !errors.Is(err, fs.ErrNotExist) {
			break
		}
		there = filepath.Dir(there)
	}
	f, err := os.CreateTemp(there, ".fnb-doctor-*")
	if err != nil {
		return "", hint(fmt.Errorf("writing to %s: %w", there, errors.Unwrap(err)), "let fnb write there: sudo chown $(id -u) "+there)
	}
	return dir, errors.Join(f.Close(), os.Remove(f.Name()))
}

// checkBuilder asks the builder that is named or runs; where fnb would start its
// own, it says whether it could.
func (g *globals) checkBuilder(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	cfg, err := readConfig()
	if err != nil {
		return "", err
	}
	if address, _ := g.builderAddress(cfg); address == "" && builder.Embedded {
		m, err := managedBuilder(cfg)
		if err != nil {
			return "", err
		}
		if st, err := m.State(); err != nil || !st.Running {
			return "fnb's own, not running; it starts when it is needed; " + stepsReach(cmp.Or(cfg.Builder.Network, schema.NetworkOwn)), errors.Join(err, m.Ready())
		}
	}
	s, err := g.builderStatus(ctx)
	if err != nil {
		return "", err
	}
	detail := fmt.Sprintf("%s, BuildKit %s, for %s", s.Address, s.Version, strings.Join(s.Platforms, ", "))
	if reach := stepsReach(s.Network); reach != "" {
		detail += "; " + reach
	}
	return detail, nil
}

// checkStack reads the stack file. None is no problem.
func (g *globals) checkStack() (*schema.Stack, finding) {
	var stack *schema.Stack
	f := check("stack", func() (detail string, err error) {
		file, err := g.stackFile()
		if errors.Is(err, fs.ErrNotExist) && g.file == "" {
			return "no stack file here", errSkipped
		}
		if err != nil {
			return "", err
		}
		if stack, err = g.readStack(); err != nil {
			return "", err
		}
		_, err = schema.ReadLock(lockFile(stack.File))
		return fmt.Sprintf("%s, functions: %d", relative(file), len(stack.Functions)), err
	})
	return stack, f
}

// checkRegistries asks each registry of the stack for the first of its images.
func (g *globals) checkRegistries(ctx context.Context, stack *schema.Stack) []finding {
	var out []finding
	var asked []string
	for _, fn := range stack.Functions {
		named, err := reference.ParseNormalizedNamed(fn.Image)
		if err != nil || slices.Contains(asked, reference.Domain(named)) {
			continue // fnb build says what is wrong with a reference
		}
		host := reference.Domain(named)
		asked = append(asked, host)
		out = append(out, check("registry", func() (string, error) { return g.checkRegistry(ctx, host, fn.Image) }))
	}
	return out
}

func (g *globals) checkRegistry(ctx context.Context, host, image string) (string, error) {
	if g.offline {
		return host, errSkipped
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	c, err := registry.New(registry.Options{UserAgent: "fnb/" + fnbVersion()})
	if err != nil {
		return "", err
	}
	user, _, err := c.Credentials(ctx, host)
	if err != nil {
		return "", err
	}
	as := "without credentials"
	if user != "" {
		as = "as " + user
	}
	if _, err := c.Head(ctx, image); err != nil && !is[*registry.NotFoundError](err) {
		return "", err
	}
	return host + " answers " + as, nil
}

// checkStores reads each store that was added.
func (g *globals) checkStores(ctx context.Context) []finding {
	st, err := g.newStore()
	if err != nil {
		return []finding{check("stores", func() (string, error) { return "", err })}
	}
	all, err := st.Stores()
	if err != nil {
		return []finding{check("stores", func() (string, error) { return "", err })}
	}
	var out []finding
	for _, s := range all {
		out = append(out, check("store", func() (string, error) {
			if g.offline {
				return s.Name, errSkipped
			}
			ctx, cancel := context.WithTimeout(ctx, askTimeout)
			defer cancel()
			_, err := st.UpdateStores(ctx, s.Name)
			return s.Name + ", " + s.URL, err
		}))
	}
	return out
}

func (g *globals) printFindings(found []finding) error {
	if g.json {
		return g.printJSON(found)
	}
	tw := tabwriter.NewWriter(g.out, 0, 8, 2, ' ', 0)
	for _, f := range found {
		fmt.Fprintf(tw, "%s\t%s\t%s\n", f.State, f.Check, f.Detail)
		for _, h := range f.Hints {
			fmt.Fprintf(tw, "\t\thint: %s\n", plain.Line(h))
		}
	}
	return tw.Flush()
}
