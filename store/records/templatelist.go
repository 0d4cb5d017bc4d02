package records

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/store/git"
)

// What a list of OpenFaaS' may have: bytes, and entries.
const (
	MaxListSize    = 16 << 20
	MaxListEntries = 50_000
)

// An OpenFaaSTemplate is one entry of OpenFaaS' templates.json, with every field.
type OpenFaaSTemplate struct {
	Template    string    `json:"template"`
	Platform    string    `json:"platform"` // of no use: all say x86_64
	Language    string    `json:"language"`
	Source      string    `json:"source"`
	Description string    `json:"description"`
	Repo        string    `json:"repo"` // of git, with #ref where one is meant
	Recommended looseBool `json:"recommended,omitempty"`
	Official    string    `json:"official"` // "true" or "false", as a text
}

// A looseBool is true or false. Lists written by hand have it as a text as well.
type looseBool bool

// UnmarshalJSON reads both.
func (t *looseBool) UnmarshalJSON(data []byte) error {
	switch text := string(data); text {
	case `true`, `"true"`, `false`, `"false"`, `null`, `""`:
		*t = strings.Trim(text, `"`) == "true"
		return nil
	default:
		return fmt.Errorf("%s is neither true nor false", plain.Short(text))
	}
}

// ReadList reads a list of OpenFaaS': of templates, or of functions, which become
// those of the namespace ns. An entry that cannot be one is a problem and passed
// over.
func ReadList(url, ns string, data []byte) ([]StoredPackage, []Problem, error) {
	if len(data) >= MaxListSize {
		return nil, nil, &git.LimitError{Source: url, What: "the list has more bytes", Limit: MaxListSize}
	}
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte("{")) {
		return parseFunctionList(url, ns, data)
	}
	return ParseTemplateList(url, data)
}

// listEntries returns the entries of a list, of which there are not too many: each that
// is none is remembered, and would take ten times the memory.
func listEntries(url, what string, data []byte) ([]json.RawMessage, error) {
	none := func(err error) error {
		return &git.UnreachableError{URL: url, Err: fmt.Errorf("it is not a list of %s: %w", what, plain.Error(err))}
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
		if len(entries) == MaxListEntries {
			return nil, &git.LimitError{Source: url, What: "the list has more entries", Limit: MaxListEntries}
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

// ParseTemplateList reads templates.json: each entry is a package source/template.
func ParseTemplateList(url string, data []byte) ([]StoredPackage, []Problem, error) {
	entries, err := listEntries(url, "templates", data)
	if err != nil {
		return nil, nil, err
	}
	if len(entries) > 0 && isOldFunction(entries[0]) {
		return nil, nil, &NoStoreError{Name: url, Err: errors.New("it is a list of functions in the format before 0.2, and this fnb reads 0.2")}
	}
	byName := map[string]StoredPackage{}
	var problems []Problem
	for i, raw := range entries {
		at := fmt.Sprintf("entry %d", i+1)
		var e OpenFaaSTemplate
		if err := json.Unmarshal(raw, &e); err != nil {
			problems = append(problems, Problem{at, plain.Error(err)})
			continue
		}
		name := strings.ToLower(e.Source) + "/" + strings.ToLower(e.Template)
		at += " (" + plain.Short(name) + ")"
		if err := schema.ValidatePackageName(name); err != nil {
			problems = append(problems, Problem{at, err})
			continue
		}
		if ref, err := schema.ParseTemplateRef(e.Repo); err != nil || ref.Kind != schema.RefGit {
			problems = append(problems, Problem{at, fmt.Errorf("its repo is not the URL of a git repository")})
			continue
		}
		if _, ok := byName[name]; ok {
			problems = append(problems, Problem{at, errors.New("it is there twice; the first one counts")})
			continue
		}
		v := StoredVersion{OpenFaaS: &e}
		v.Name, v.Kind, v.Language, v.Description = name, schema.KindTemplate, e.Language, e.Description
		p := StoredPackage{Name: name, Versions: []StoredVersion{v}}
		if e.Official == "true" {
			p.About.Tags = append(p.About.Tags, "official")
		}
		if e.Recommended {
			p.About.Tags = append(p.About.Tags, "recommended")
		}
		byName[name] = p
	}
	packs := make([]StoredPackage, 0, len(byName))
	for _, p := range byName {
		packs = append(packs, p)
	}
	slices.SortFunc(packs, func(a, b StoredPackage) int { return strings.Compare(a.Name, b.Name) })
	return packs, problems, nil
}
