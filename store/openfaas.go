package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"fnb/internal/plain"
	"fnb/schema"
)

// An openFaaSEntry is one entry of OpenFaaS' templates.json, with every field.
type openFaaSEntry struct {
	Template    string `json:"template"`
	Platform    string `json:"platform"` // of no use: all say x86_64
	Language    string `json:"language"`
	Source      string `json:"source"`
	Description string `json:"description"`
	Repo        string `json:"repo"` // of git, with #ref where one is meant
	Recommended truth  `json:"recommended,omitempty"`
	Official    string `json:"official"` // "true" or "false", as a text
}

// A truth is true or false. Lists written by hand have it as a text as well.
type truth bool

// UnmarshalJSON reads both.
func (t *truth) UnmarshalJSON(data []byte) error {
	switch text := string(data); text {
	case `true`, `"true"`, `false`, `"false"`, `null`, `""`:
		*t = strings.Trim(text, `"`) == "true"
		return nil
	default:
		return fmt.Errorf("%s is neither true nor false", plain.Short(text))
	}
}

// parseList reads a list of OpenFaaS': of templates, or of functions, which become
// those of the namespace ns. An entry that cannot be one is a problem and passed
// over.
func parseList(url, ns string, data []byte) ([]pack, []fileProblem, error) {
	if len(data) >= maxListSize {
		return nil, nil, &LimitError{Source: url, What: "the list has more bytes", Limit: maxListSize}
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return parseFunctionList(url, ns, data)
	}
	return parseTemplateList(url, data)
}

// listEntries returns the entries of a list, of which there are not too many: each that
// is none is remembered, and would take ten times the memory.
func listEntries(url, what string, data []byte) ([]json.RawMessage, error) {
	none := func(err error) error {
		return &UnreachableError{URL: url, Err: fmt.Errorf("it is not a list of %s: %w", what, plain.Error(err))}
	}
	if err := json.Unmarshal(data, new(json.RawMessage)); err != nil {
		return nil, none(err)
	}
	d := json.NewDecoder(bytes.NewReader(data))
	switch start, err := d.Token(); {
	case err != nil:
		return nil, none(err)
	case start == nil:
		return nil, nil
	case start != json.Delim('['):
		return nil, none(errors.New("it does not begin as one"))
	}
	var entries []json.RawMessage
	for d.More() {
		if len(entries) == maxListEntries {
			return nil, &LimitError{Source: url, What: "the list has more entries", Limit: maxListEntries}
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return nil, none(err)
		}
		entries = append(entries, raw)
	}
	return entries, nil
}

// isOldFunction reports whether an entry is one of the first functions.json, which was a
// list without a version, and had one image a function.
func isOldFunction(raw json.RawMessage) bool {
	var e struct{ Template, Name, Image string }
	return json.Unmarshal(raw, &e) == nil && e.Template == "" && e.Name != "" && e.Image != ""
}

// parseTemplateList reads templates.json: each entry is a package source/template.
func parseTemplateList(url string, data []byte) ([]pack, []fileProblem, error) {
	entries, err := listEntries(url, "templates", data)
	if err != nil {
		return nil, nil, err
	}
	if len(entries) > 0 && isOldFunction(entries[0]) {
		return nil, nil, &NoStoreError{Name: url, Err: errors.New("it is a list of functions in the format before 0.2, and this fnb reads 0.2")}
	}
	byName := map[string]pack{}
	var problems []fileProblem
	for i, raw := range entries {
		at := fmt.Sprintf("entry %d", i+1)
		var e openFaaSEntry
		if err := json.Unmarshal(raw, &e); err != nil {
			problems = append(problems, fileProblem{at, plain.Error(err)})
			continue
		}
		name := strings.ToLower(e.Source) + "/" + strings.ToLower(e.Template)
		at += " (" + plain.Short(name) + ")"
		if err := schema.ValidatePackageName(name); err != nil {
			problems = append(problems, fileProblem{at, err})
			continue
		}
		if ref, err := schema.ParseTemplateRef(e.Repo); err != nil || ref.Kind != schema.RefGit {
			problems = append(problems, fileProblem{at, fmt.Errorf("its repo is not the URL of a git repository")})
			continue
		}
		if _, ok := byName[name]; ok {
			problems = append(problems, fileProblem{at, errors.New("it is there twice; the first one counts")})
			continue
		}
		v := indexed{OpenFaaS: &e}
		v.Name, v.Kind, v.Language, v.Description = name, schema.KindTemplate, e.Language, e.Description
		p := pack{name: name, versions: []indexed{v}}
		if e.Official == "true" {
			p.about.Tags = append(p.about.Tags, "official")
		}
		if e.Recommended {
			p.about.Tags = append(p.about.Tags, "recommended")
		}
		byName[name] = p
	}
	packs := make([]pack, 0, len(byName))
	for _, p := range byName {
		packs = append(packs, p)
	}
	slices.SortFunc(packs, func(a, b pack) int { return strings.Compare(a.name, b.name) })
	return packs, problems, nil
}

// fromList finds a template that a list of OpenFaaS' names: in its repository, at
// the git reference or in the range that was asked for.
func (l *lookup) fromList(ctx context.Context, c Configured, e *openFaaSEntry) (found, error) {
	ref, err := schema.ParseTemplateRef(e.Repo)
	if err != nil {
		return found{}, err
	}
	if strings.HasPrefix(ref.URL, "file:") && !c.isHere() {
		return found{}, &RefusedError{Source: "store " + c.Name, Path: l.ref, Reason: "its repository would be a folder of this machine"}
	}
	want := gitWant{url: ref.URL, path: path.Join(vendorDir, e.Template), ref: ref.Ref, name: e.Template, from: l.store.reachOf(c)}
	if l.parsed.Range != "" {
		want.rng, want.ref, want.semver = l.gitRange()
	}
	f, err := l.fromGit(ctx, want)
	if err != nil {
		return found{}, err
	}
	if strings.Contains(l.parsed.Range, "sha256:") {
		return f, l.fits(f.template, "store "+c.Name)
	}
	return f, nil
}
