package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"fnb/internal/plain"
	"fnb/packaging"
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
		check("settings", g.checkSettings),
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
