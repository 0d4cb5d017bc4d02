package main

import (
	"context"
	"fmt"
	"maps"

	"fnb/builder"
	"fnb/builder/fleet"
	"fnb/builder/probe"
	"fnb/internal/plain"
	"fnb/schema"
)

// A publishCheck is one thing that was looked at before a function is published.
type publishCheck struct {
	What     string `json:"what"`
	Platform string `json:"platform,omitempty"` // on which it was looked at
	OK       bool   `json:"ok"`
	Skipped  bool   `json:"skipped,omitempty"` // it could not be looked at
	Text     string `json:"text"`
}

// note keeps a check and prints it.
func (p *publishing) note(c publishCheck) {
	c.Text = plain.Line(c.Text)
	p.checks = append(p.checks, c)
	word := "FAILED"
	switch {
	case c.OK:
		word = "ok"
	case c.Skipped:
		word = "not run"
	}
	if !p.quiet || word == "FAILED" {
		fmt.Fprintf(p.err, "%s  %s: %s\n", word, c.What, c.Text)
	}
}

func (p *publishing) passed(what, format string, args ...any) {
	p.note(publishCheck{What: what, OK: true, Text: fmt.Sprintf(format, args...)})
}

// runIt runs the image on each of its platforms that a builder has, and calls it with
// the examples. It has to have been run on one.
func (p *publishing) runIt(ctx context.Context) error {
	secrets, err := p.giveSecrets(p.draft.Record, p.o.secrets)
	if err != nil {
		return usagef("fnb store publish", "--secret %w", err)
	}
	choice, err := p.choice()
	if err != nil {
		return err
	}
	clients, err := fleet.FindAll(ctx, choice)
	if err != nil {
		return err
	}
	defer func() {
		for _, c := range clients {
			_ = c.Close() // nothing is asked of it any more
		}
	}()
	ran, failed := 0, error(nil)
	for _, name := range p.draft.Record.RunsOn() {
		platform, err := schema.ParsePlatform(name)
		if err != nil {
			return err
		}
		client, emulated, err := builderFor(ctx, clients, platform)
		if err != nil {
			return err
		}
		if client == nil {
			p.note(publishCheck{What: "run", Platform: name, Skipped: true, Text: name + ", which the builder does not have: fnb did not try it there"})
			continue
		}
		ran++
		f := publishedFunction{name: p.o.Own, image: p.image.Pinned, run: p.draft.Record.Run, try: p.draft.Record.Try, registry: p.registry, secrets: secrets, platform: platform}
		err = p.runOn(ctx, client, f, emulated)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil && failed != nil:
			failed = fmt.Errorf("%w; on %s: %w", failed, name, err)
		case err != nil:
			failed = fmt.Errorf("on %s: %w", name, err)
		}
	}
	if ran == 0 {
		_, err := choosePlatform(ctx, clients[0], p.draft.Record.RunsOn())
		return err
	}
	return failed
}

// runOn runs the image on one platform.
func (p *publishing) runOn(ctx context.Context, client *builder.Client, f publishedFunction, emulated bool) error {
	defer p.ci.Quote(p.err)()
	running, err := p.startPublished(ctx, client, f)
	if err != nil {
		return err
	}
	defer running.Close()
	where := f.platform.String()
	how := where
	if emulated {
		how += ", emulated"
	}
	p.note(publishCheck{What: "run", Platform: where, OK: true, Text: "it takes requests on " + how})
	results, failed := caller(running).RunExamples(ctx, p.draft.Record.Examples)
	for _, r := range results {
		c := publishCheck{What: "example", Platform: where, OK: r.Problem == ""}
		if c.Text = fmt.Sprintf("%s gives %s", probe.Describe(r.Example), describeAnswer(r.Example)); !c.OK {
			c.Text = probe.Describe(r.Example) + ": " + r.Problem
		}
		p.note(c)
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d examples failed", failed, len(results))
	}
	return nil
}

// builderFor is a builder that runs a platform: one whose own it is before one that
// emulates it, and none where nobody has it.
func builderFor(ctx context.Context, clients []*builder.Client, p schema.Platform) (found *builder.Client, emulated bool, err error) {
	for _, c := range clients {
		has, own, err := c.Runs(ctx, p)
		if err != nil {
			return nil, false, err
		}
		if own {
			return c, false, nil
		}
		if has && found == nil {
			found, emulated = c, true
		}
	}
	return found, emulated, nil
}

// giveSecrets reads secrets for a function, beside those that its record has for trials,
// and says which it lacks.
func (g *globals) giveSecrets(rec schema.Record, flags []string) (map[string][]byte, error) {
	secrets := rec.Try.SecretFiles()
	given, _, err := readSecrets(flags)
	maps.Copy(secrets, given)
	if err != nil || rec.Run == nil {
		return secrets, err
	}
	for _, name := range rec.Run.Secrets {
		if _, ok := secrets[name]; !ok {
			g.tell([]string{fmt.Sprintf("function %s has a secret %s; give it with --secret id=%s,src=FILE", rec.Name, name, name)})
		}
	}
	return secrets, nil
}
