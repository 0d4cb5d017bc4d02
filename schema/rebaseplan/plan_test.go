package rebaseplan_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"fnb/internal/fixture"
	"fnb/schema/rebaseplan"
)

func plan() *rebaseplan.Plan {
	return &rebaseplan.Plan{FNB: "1", Images: []rebaseplan.Image{
		{Repository: "r.example/a", Tags: []string{"1", "latest"}, Digest: "sha256:aa", Action: rebaseplan.Rebase, Why: "<&> é", Becomes: "sha256:ab"},
		{Repository: "r.example/b", Tags: []string{}, Digest: "sha256:bb", Action: rebaseplan.Nothing},
	}}
}

func isBad(t *testing.T, what, words string, err error) {
	t.Helper()
	if e, ok := errors.AsType[*rebaseplan.BadError](err); !ok || !strings.Contains(e.Error(), words) {
		t.Errorf("%s: got %v, want %q", what, err, words)
	}
}

// TestRead takes a plan as it was written, also with other spaces, and nothing else.
func TestRead(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "plan.json")
	fixture.Must(t, plan().Write(file))
	raw, err := os.ReadFile(file)
	fixture.Must(t, err)
	text := string(raw)
	read := func(text string) error {
		fixture.Must(t, os.WriteFile(file, []byte(text), 0o600))
		_, err := rebaseplan.Read(file, "1")
		return err
	}
	for what, text := range map[string]string{"as it was": text, "with another end of lines": strings.ReplaceAll(text, "\n", "\r\n")} {
		if err := read(text); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	const changed = "was changed since it was made"
	isBad(t, "another tag", changed, read(strings.Replace(text, `"latest"`, `"stable"`, 1)))
	isBad(t, "a key twice", changed, read(strings.Replace(text, `"repository": "r.example/a"`, `"repository": "r.example/c", "repository": "r.example/a"`, 1)))
	isBad(t, "a key in other letters", changed, read(strings.Replace(text, `"becomes"`, `"Becomes"`, 1)))
	isBad(t, "two plans", changed, read(text+text))
	isBad(t, "one that is cut off", "is not a plan", read(text[:len(text)/2]))
	_, err = rebaseplan.Read(file, "1")
	isBad(t, "the same", "is not a plan", err)
	isBad(t, "another fnb's", "was made by fnb 2", read(strings.Replace(text, `"fnb": "1"`, `"fnb": "2"`, 1)))
	_, err = rebaseplan.Read(filepath.Dir(file), "1")
	isBad(t, "a folder", "is not a file", err)
}

// Nothing is written through a link that lies where the journal belongs.
func TestJournalLink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, elsewhere := filepath.Join(dir, "plan.json"), filepath.Join(dir, "elsewhere")
	fixture.Must(t, os.WriteFile(elsewhere, []byte("no line"), 0o600))
	fixture.Must(t, os.Symlink(elsewhere, file+".journal"))
	_, err := rebaseplan.OpenJournal(file, plan())
	isBad(t, "a link", "is not a file", err)
	if raw, err := os.ReadFile(elsewhere); string(raw) != "no line" {
		t.Errorf("what the link leads to has %q, %v", raw, err)
	}
}

// TestActions refuses a plan whose checksum holds and that does what fnb never plans.
func TestActions(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "plan.json")
	p := plan()
	p.Images[1].Action = "delete"
	fixture.Must(t, p.Write(file))
	_, err := rebaseplan.Read(file, "1")
	isBad(t, "an action that nobody knows", "was changed", err)
}

// TestJournal takes back no tag that the plan has not.
func TestJournal(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := plan()
	fixture.Must(t, p.Write(filepath.Join(dir, "plan.json")))
	a := p.Images[0].Reference()
	for what, tt := range map[string]struct {
		entry rebaseplan.Entry
		good  bool
	}{
		"its tags":                  {rebaseplan.Entry{Image: a, Tags: []string{"1", "latest"}}, true},
		"with a text behind":        {rebaseplan.Entry{Image: a, Tags: []string{"1-r1", "latest-r1"}}, true},
		"none":                      {rebaseplan.Entry{Image: a, State: rebaseplan.Failed}, true},
		"another tag":               {rebaseplan.Entry{Image: a, Tags: []string{"1", "stable"}}, false},
		"one that begins so":        {rebaseplan.Entry{Image: a, Tags: []string{"1-stable", "latest"}}, false},
		"one of them":               {rebaseplan.Entry{Image: a, Tags: []string{"1"}}, false},
		"of an image that has none": {rebaseplan.Entry{Image: p.Images[1].Reference(), Tags: []string{"stable"}}, false},
		"another image":             {rebaseplan.Entry{Image: "r.example/c@sha256:aa"}, false},
	} {
		tt.entry.Plan = p.Checksum
		line, err := json.Marshal(tt.entry)
		fixture.Must(t, err)
		file := filepath.Join(dir, strings.ReplaceAll(what, " ", "-"))
		fixture.Must(t, os.WriteFile(file+".journal", append(line, '\n'), 0o600))
		j, err := rebaseplan.OpenJournal(file, p)
		if tt.good && err == nil {
			fixture.Must(t, j.Close())
			continue
		}
		if tt.good {
			t.Errorf("%s: %v", what, err)
			continue
		}
		isBad(t, what, "an image or a tag that the plan has not", err)
	}
}
