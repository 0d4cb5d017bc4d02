// Command bench measures how long fnb takes to build, against buildctl and ko
// where they can do the same, or with builders in a Kubernetes against builders on
// this machine, and writes the results to docs/benchmarks.md.
//
// What is compared takes turns in one run, on one builder that begins with an
// empty cache, and of each the median counts.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	fnb := flag.String("fnb", "bin/fnb", "the fnb to measure")
	tools := flag.String("tools", "bin/tools", "the `folder` with buildctl and ko")
	rounds := flag.Int("rounds", 5, "how often each is measured")
	only := flag.String("only", "", "measure only the rows with these `NAMES`, such as unchanged,twenty")
	kubernetes := flag.Bool("kubernetes", false, "measure builders in a Kubernetes instead")
	out := flag.String("o", "", "write the section on builds, or on builders in pods, of this `FILE` anew")
	flag.Parse()
	if *only != "" && *out != "" {
		fmt.Fprintln(os.Stderr, "bench: -only and -o cannot be used together: the section has all rows")
		os.Exit(2)
	}
	about := builds()
	if *kubernetes {
		about = pods()
	}
	if err := run(ctx, about, options{*fnb, *tools, *rounds, *only, *out}); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A row is one line of the table.
type row struct {
	name    string
	work    string
	wanted  string
	measure func(context.Context, *rig) (result, error)
}

// A result is what a row's measurement came to.
type result struct {
	figures string
	value   float64 // what is wanted to be small: a ratio or seconds
	limit   float64
}

// options are the command's.
type options struct {
	fnb, tools string
	rounds     int
	only, out  string
}

// A subject is what a section of the document is about.
type subject struct {
	begin, end string // of the section
	text       string // before the table, with a place for the date, the processor, its cores and the rounds
	rows       func(ctx context.Context, r *rig, tools string) ([]row, error)
}

func run(ctx context.Context, about subject, o options) error {
	r, err := newRig(ctx, o.fnb, o.rounds)
	if err != nil {
		return err
	}
	defer r.close()
	all, err := about.rows(ctx, r, o.tools)
	if err != nil {
		return err
	}
	var table []string
	for _, row := range all {
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), row.name) {
			continue
		}
		fmt.Fprintf(os.Stderr, "%s …\n", row.work)
		start := time.Now()
		res, err := row.measure(ctx, r)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		reached := ""
		if res.value > res.limit {
			reached = ": **missed**"
		}
		line := fmt.Sprintf("| %s | %s | %.2f%s | %s |", row.work, row.wanted, res.value, reached, res.figures)
		fmt.Fprintf(os.Stderr, "%s (%.0f s)\n", line, time.Since(start).Seconds())
		table = append(table, line)
	}
	if o.out == "" {
		return nil
	}
	return about.write(o.out, o.rounds, table)
}

// A contender does one thing in one way.
type contender struct {
	name  string
	reset func() error // before each time; not measured
	do    func() error
}

// race has the contenders take turns and returns the median seconds of each.
// One turn before does not count.
func race(rounds int, cs ...contender) ([]float64, error) {
	all := make([][]float64, len(cs))
	for round := range rounds + 1 {
		for turn := range cs {
			// What one leaves to be done falls on the next, so each round begins with another.
			i := (round + turn) % len(cs)
			c := cs[i]
			if c.reset != nil {
				if err := c.reset(); err != nil {
					return nil, fmt.Errorf("preparing %s: %w", c.name, err)
				}
			}
			start := time.Now()
			if err := c.do(); err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			if round > 0 {
				all[i] = append(all[i], time.Since(start).Seconds())
			}
		}
	}
	medians := make([]float64, len(cs))
	for i, list := range all {
		slices.Sort(list)
		medians[i] = list[len(list)/2]
	}
	return medians, nil
}
