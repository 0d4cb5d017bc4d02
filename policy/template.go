package policy

import (
	"slices"
	"strings"
	"time"

	"fnb/schema/rules"
)

// A Template is what is known of a template that was found.
type Template struct {
	Reference string    // as the stack has it
	Store     string    // as fnb.lock has it: "official", a store's name, a folder's path or a git URL
	Name      string    // namespace/name in a store; else the template's own
	Version   string    // "" where it has none
	Published time.Time // zero if nothing says it
	Yanked    string    // why the version was withdrawn; "" where it was not
	Use       string    // the version to use instead
	Locked    bool      // fnb.lock has it, so that somebody has looked at it
	Here      bool      // it is a part of the project or of fnb, which has no age
}

// Template decides about a template. Notes are what breaks a rule that only warns.
func (p *Policy) Template(t Template) (notes []string, err error) {
	name := t.Reference
	if t.Version != "" && !strings.HasSuffix(name, "@"+t.Version) {
		name += " (" + t.Version + ")"
	}
	f := p.about(KindTemplate, name)
	f.subject.Reference, f.subject.Use = t.Reference, t.Use
	for _, file := range p.each() {
		r := &file.Templates
		f.patterns(file, "templates", r.Allow, r.Deny, t.matches)
		if !t.Here && !t.Locked && !slices.Contains(p.reviewed, t.Reference) {
			f.age(file, "templates.min-age", r.MinAge, t.Published)
		}
		if r.Yanked != "" && t.Yanked != "" {
			f.breach(file, "templates.yanked", "it was withdrawn: "+t.Yanked)
		}
	}
	return f.result()
}

// matches reports whether a pattern is for a template: by its store, by its name in the
// store, or by both.
func (t *Template) matches(pattern string) bool {
	names := []string{t.Store, t.Store + ":" + t.Name}
	if strings.Contains(t.Name, "/") { // anybody may call a folder go
		names = append(names, t.Name)
	}
	return slices.ContainsFunc(names, func(name string) bool { return rules.Matches(pattern, name) })
}

// TooYoung says why a version of a template is not to be chosen yet, where a rule refuses it
// for its age; "" where none does, and where it was reviewed.
func (p *Policy) TooYoung(reference string, published time.Time) string {
	if p == nil || slices.Contains(p.reviewed, reference) {
		return ""
	}
	for _, file := range p.files {
		if file.Mode != rules.Enforce {
			continue
		}
		f := &finding{p: &Policy{now: p.now, told: map[Refusal]bool{}}}
		if f.age(file, "templates.min-age", file.Templates.MinAge, published); len(f.errs) > 0 {
			return f.p.all[0].Why
		}
	}
	return ""
}
