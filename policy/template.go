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
	Here      bool      // it is a part of the project or of fnb, which has no age and needs no signature
	Recorded  bool      // this machine has its record, so that it is known who signed it
	Signer    string    // fingerprint of the key that signed it; "" for none
	Vouched   bool      // no key of now has signed it, and the owners of its namespace say that it is good
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
		f.template(file, t)
	}
	return f.result()
}

// SignsTemplates reports whether any rule is about who has signed templates.
func (p *Policy) SignsTemplates() bool {
	return slices.ContainsFunc(p.each(), func(file *file) bool { return len(file.signing["templates"]) > 0 })
}

// template holds who has signed a template against the rules of a file.
func (f *finding) template(file *file, t Template) {
	if t.Here {
		return
	}
	for _, s := range file.signing["templates"] {
		if s.For != "" && !t.matches(s.For) {
			continue
		}
		if why := s.unsigned(t); why != "" {
			f.at = s.At
			f.breach(file, "templates.signed-by", why)
		}
	}
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
