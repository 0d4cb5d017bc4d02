package pipeline

import (
	"fnb/pipeline/history"
	"fnb/schema"
	"fnb/schema/words"
)

// remember keeps what an image was made of, and that its tests have passed.
func (p *Pipeline) remember(pl *Plan, img *image) []Note {
	ref := pl.Job.Refs[0].Text
	if err := p.history.Write(ref, history.Entry{Input: pl.Digest, Digest: img.digest, Inputs: pl.inputs}); err != nil {
		return []Note{{Text: "what the image was made of was not kept: " + err.Error()}}
	}
	if pl.req.Test != "" && pl.unpinned == "" {
		p.history.Passed(ref, pl.Digest, pl.req.Test)
	}
	return nil
}

// explain says which inputs changed since the last build, as far as that is known, also in
// words: from the history of builds, or from the annotations of the image that has the
// reference.
func (p *Pipeline) explain(pl *Plan, earlier map[string]string) (changes []schema.InputChange, why []string) {
	changes, why = p.explainChanges(pl, earlier)
	if rt := pl.context.Runtime; rt != nil && rt.Version != "" {
		why = append(why, rt.String())
	}
	return changes, why
}

func (p *Pipeline) explainChanges(pl *Plan, earlier map[string]string) (changes []schema.InputChange, why []string) {
	if last, ok := p.history.Read(pl.Job.Refs[0].Text); ok {
		changes = pl.inputs.Since(last.Inputs)
		if len(changes) == 0 {
			why = []string{"nothing changed since its last build"}
		}
		for _, c := range changes {
			why = append(why, c.How+": "+c.Name)
		}
		return changes, why
	}
	switch {
	case earlier == nil:
		return nil, []string{"no earlier build is known"}
	case earlier[words.LabelInput] == pl.Digest:
		return nil, []string{"nothing changed since the image was made"}
	case earlier[words.LabelInput] == "":
		return nil, []string{"the image does not say what it was made of"}
	}
	return nil, history.LabelChanges(earlier, pl.req.Config.Labels, pl.req.Bases)
}
