package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"fnb/builder/probe"
	"fnb/internal/plain"
	"fnb/schema"
	"fnb/store"
)

// published is the function of a record, whose image was compared with what the
// registry has. One of OpenFaaS's lists gets the digest that it has now.
func (g *globals) published(ctx context.Context, rec schema.Record, o *tryOptions) (publishedFunction, error) {
	_, name, _ := strings.Cut(rec.Name, "/")
	f := publishedFunction{name: name, run: rec.Run, try: rec.Try}
	var err error
	if f.secrets, err = g.giveSecrets(rec, o.secrets); err != nil {
		return f, usagef("fnb store try", "--secret %w", err)
	}
	if f.registry, err = newRegistry(o.insecure); err != nil {
		return f, err
	}
	rules, err := g.rules.read()
	if err != nil {
		return f, err
	}
	if g.offline {
		return f, &store.OfflineError{What: "function " + rec.Name}
	}
	if rec.Image.Digest != "" {
		if err := store.VerifyImage(ctx, f.registry, rec); err != nil {
			return f, err
		}
		f.image = rec.Image.Ref + "@" + rec.Image.Digest
		return f, mayRun(ctx, rules, f.registry, f.image)
	}
	ref, err := pullReference(rec)
	if err != nil {
		return f, err
	}
	has, err := f.registry.Describe(ctx, ref)
	if err != nil {
		return f, fmt.Errorf("function %s: %w", rec.Name, err)
	}
	if !strings.Contains(ref, "@") {
		g.tell([]string{fmt.Sprintf("the list has no digest for %s; it is %s now", ref, has.Digest)})
	}
	f.image = has.Pinned
	return f, mayRun(ctx, rules, f.registry, f.image)
}

// functionLog is where a function's own log goes, which shares standard error with
// another.
func (g *globals) functionLog(shared *sync.Mutex) io.Writer {
	if g.quiet {
		return nil
	}
	return plain.NewWriter(shared, g.err, "  | ")
}

// printExamples prints what came of the examples.
func (g *globals) printExamples(name string, results []probe.ExampleResult, failed int) error {
	if g.json {
		if err := g.printJSON(results); err != nil {
			return err
		}
	} else {
		for _, r := range results {
			word, what := "ok", describeAnswer(r.Example)
			if r.Problem != "" {
				word, what = "FAILED", r.Problem
			}
			if _, err := fmt.Fprintf(g.out, "%s  %s  %s\n", word, plain.Line(probe.Describe(r.Example)), plain.Line(what)); err != nil {
				return err
			}
		}
	}
	if failed > 0 {
		return fmt.Errorf("function %s: %d of %d examples failed", name, failed, len(results))
	}
	return nil
}
