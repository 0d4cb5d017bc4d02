package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"fnb/internal/disk"
	"fnb/internal/plain"
	"fnb/pipeline"
	"fnb/schema"
)

// finish prints the results, tells of them and writes the report.
func (g *globals) finish(made []pipeline.Outcome, reportFile string, took time.Duration) error {
	raw, err := g.told(made, took)
	if err != nil {
		return err
	}
	if g.json {
		err = g.writeJSON(raw)
	} else {
		err = printResults(g, pipeline.Functions(made))
	}
	if err != nil || reportFile == "" {
		return err
	}
	return disk.ReplaceFile(reportFile, raw, 0o644)
}

// finishUnseen is finish without the results.
func (g *globals) finishUnseen(made []pipeline.Outcome, reportFile string, took time.Duration) error {
	raw, err := g.told(made, took)
	if err != nil || reportFile == "" {
		return err
	}
	return disk.ReplaceFile(reportFile, raw, 0o644)
}

// told tells the reader and the CI system of what was made, and returns the report.
func (g *globals) told(made []pipeline.Outcome, took time.Duration) ([]byte, error) {
	rep := schema.Report{Version: 1, Seconds: took.Seconds()}
	made = pipeline.Functions(made)
	for _, o := range made {
		rep.Functions = append(rep.Functions, o.Report)
		g.printWhy(o)
	}
	if !g.quiet {
		g.printNotes(made)
	}
	raw, err := rep.Marshal()
	if err != nil {
		return nil, err
	}
	return raw, g.ci.Tell(rep, g.summary)
}

// printNotes prints what was noted of functions, each text once behind the names of those
// that it is about.
func (g *globals) printNotes(made []pipeline.Outcome) {
	var texts []string
	about := map[string][]string{}
	for _, o := range made {
		for _, text := range o.Report.Warnings {
			if about[text] == nil {
				texts = append(texts, text)
			}
			if name := o.Report.Name; !slices.Contains(about[text], name) {
				about[text] = append(about[text], name)
			}
		}
	}
	for _, text := range texts {
		names := about[text]
		if more := len(names) - namesInNote; more > 1 {
			names = append(names[:namesInNote:namesInNote], fmt.Sprintf("%d more", more))
		}
		fmt.Fprintf(g.err, "fnb: %s: note: %s\n", strings.Join(names, ", "), plain.Line(text))
	}
}

// wording is what a note is for somebody who typed a command.
func wording(n pipeline.Note) string {
	switch n.Kind {
	case pipeline.NoteCacheType:
		return n.Text + "; " + otherCache
	case pipeline.NoteUnexported:
		return "nothing was built, so --cache-to wrote nothing; build all the same with: --no-cache"
	case pipeline.NoteOtherWatchdog:
		return n.Text + ": fnb update moves the pin"
	case pipeline.ReasonNoCache:
		return "--no-cache"
	case pipeline.ReasonTest:
		return "--test runs the tests"
	}
	return n.Text
}

// otherCache is what to type where a builder lacks a type of cache.
const otherCache = "use the registry with: --cache auto, or a buildkitd that has it with: --builder ADDRESS"

// namesInNote is how many names stand before a note at most.
const namesInNote = 3

// printResults prints a line for each function that worked.
func printResults(g *globals, made []pipeline.Outcome) error {
	for _, o := range made {
		r := o.Report
		if r.Error != "" || r.Status == "" {
			continue
		}
		line := strings.TrimRight(strings.Join([]string{r.Name, r.Reference, r.Digest}, " "), " ")
		if _, err := fmt.Fprintln(g.out, line); err != nil {
			return err
		}
	}
	return nil
}

// whyLines is how much is told of what --why found for each function; the report has all.
const whyLines = 20

// printWhy shows what --why found.
func (g *globals) printWhy(o pipeline.Outcome) {
	for i, line := range o.Why {
		if i == whyLines {
			fmt.Fprintf(g.err, "fnb: %s: and %d more\n", o.Job.Function.Name, len(o.Why)-whyLines)
			return
		}
		fmt.Fprintf(g.err, "fnb: %s: %s\n", o.Job.Function.Name, plain.Line(line))
	}
}
