package policy

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"fnb/schema/document"
	"fnb/schema/rules"
)

// A Policy is the rules of several files, all of which hold. nil allows everything. Its
// methods may be called by several at a time.
type Policy struct {
	files    []*file
	reviewed []string
	now      time.Time
	version  string
	trial    bool

	mu   sync.Mutex
	told map[Refusal]bool // by those that were met: whether somebody was given its text
	all  []*Refusal
}

// Options say how a policy is asked.
type Options struct {
	// Reviewed are names of what may be younger than min-age says: a template's reference, or
	// an image's, with or without its registry and tag.
	Reviewed []string
	// Version is fnb's own; one that is not SemVer is of no release, and new enough.
	Version string
	// Trial has nothing refused: see [Policy.Found].
	Trial bool
}

// Read reads the policies of some folders, such as a project's and the machine's. Of folders
// without one, and of those that are named twice, nothing holds. The result is nil where there
// is no rule at all.
func Read(o Options, dirs ...string) (*Policy, error) {
	p := newPolicy(o)
	var errs []error
	var done []string
	for _, dir := range dirs {
		if dir == "" || slices.Contains(done, filepath.Clean(dir)) {
			continue
		}
		done = append(done, filepath.Clean(dir))
		errs = append(errs, p.add(filepath.Join(dir, rules.FileName)))
	}
	if err := errors.Join(errs...); err != nil || len(p.files) == 0 {
		return nil, err
	}
	return p, nil
}

// ReadFile reads the policy of one file, which has to be there.
func ReadFile(o Options, name string) (*Policy, error) {
	p := newPolicy(o)
	if err := p.add(name); err != nil {
		return nil, err
	}
	if len(p.files) == 0 {
		return nil, fmt.Errorf("reading the policy %s: %w", name, fs.ErrNotExist)
	}
	return p, nil
}

func newPolicy(o Options) *Policy {
	return &Policy{reviewed: o.Reviewed, now: time.Now(), version: o.Version, trial: o.Trial, told: map[Refusal]bool{}}
}

// add adds the rules of a file, if it is there.
func (p *Policy) add(name string) error {
	read, err := rules.Read(name)
	if err != nil || read.File == "" {
		return err
	}
	f, err := withKeys(read)
	if err == nil {
		p.files = append(p.files, f)
	}
	return err
}

// Found are all breaches of rules that were met so far, each once: those that were refused,
// those that were only told, and in a trial those that would have been.
func (p *Policy) Found() []*Refusal {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.all)
}

// Untold are the texts of what broke a rule that only warns, and was not given to anybody as
// a note.
func (p *Policy) Untold() []string {
	var all []string
	for _, r := range p.Found() {
		p.mu.Lock()
		if r.Mode == rules.Warn && !p.told[*r] {
			p.told[*r] = true
			all = append(all, r.Error())
		}
		p.mu.Unlock()
	}
	return all
}

// each are the files; none of nil.
func (p *Policy) each() []*file {
	if p == nil {
		return nil
	}
	return p.files
}

// A finding collects what the rules say of one thing.
type finding struct {
	p       *Policy
	subject Refusal       // what is in question; the rule and why are added
	at      document.Spot // of the rule, where that is not known by its name
	quiet   bool          // nobody takes the notes
	notes   []string
	errs    []error
}

func (p *Policy) about(kind Kind, name string) *finding {
	return &finding{p: p, subject: Refusal{Kind: kind, Name: name}}
}

// breach notes that a rule of a file is broken.
func (f *finding) breach(file *file, rule, why string) {
	r := f.subject
	r.File, r.Line, r.Rule, r.Why, r.Mode = file.File, cmp.Or(f.at.Line, file.At[rule].Line), rule, why, file.Mode
	f.at = document.Spot{}
	f.p.mu.Lock()
	defer f.p.mu.Unlock()
	told, known := f.p.told[r]
	if !known {
		f.p.told[r] = false
		f.p.all = append(f.p.all, &r)
	}
	switch {
	case f.p.trial:
	case r.Mode == rules.Enforce:
		f.errs = append(f.errs, &r)
	case !told && !f.quiet: // what is told once need not be told for each function
		f.p.told[r] = true
		f.notes = append(f.notes, r.Error())
	}
}

// patterns holds a name against the patterns of a file.
func (f *finding) patterns(file *file, section string, allow, deny []string, matches func(pattern string) bool) {
	if at := slices.IndexFunc(deny, matches); at >= 0 {
		f.breach(file, section+".deny", "it is refused by "+deny[at])
	}
	if len(allow) > 0 && !slices.ContainsFunc(allow, matches) {
		f.breach(file, section+".allow", "none of its patterns allows it")
	}
}

// age holds the time at which something was made against a rule. The zero time is not known.
func (f *finding) age(file *file, rule string, least rules.Age, made time.Time) {
	if least == 0 {
		return
	}
	age := f.p.now.Sub(made)
	switch {
	case made.IsZero():
		f.breach(file, rule, "nothing says how old it is, and it must be "+least.String()+" old")
	case age < 0:
		f.breach(file, rule, "it is dated "+made.UTC().Format(time.DateOnly)+", which this machine's clock has not reached, and it must be "+least.String()+" old")
	case age < time.Duration(least):
		f.breach(file, rule, "it is "+old(age)+" old, and must be "+least.String()+" old")
	}
}

// old is an age for people.
func old(age time.Duration) string {
	return rules.Age(max(age.Truncate(time.Hour), time.Hour)).String()
}

// result is what there is to say of what only warns, and to refuse.
func (f *finding) result() (notes []string, err error) { return f.notes, errors.Join(f.errs...) }

// refused is result without what only warns: see [Policy.Untold].
func (f *finding) refused() error { return errors.Join(f.errs...) }
