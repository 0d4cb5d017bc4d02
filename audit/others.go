package audit

import (
	"slices"

	"fnb/audit/osv"
)

// others are the findings that need no database, each once for all subjects that have it.
func others(q Question) []Finding {
	at := map[string]int{}
	var out []Finding
	add := func(f Finding, s *Subject) {
		key := f.Kind + "\x00" + f.ID + "\x00" + f.Version
		i, ok := at[key]
		if !ok {
			i = len(out)
			at[key] = i
			out = append(out, f)
		}
		if g := &out[i]; len(g.Functions) < maxNames && !slices.Contains(g.Functions, s.Name) {
			g.Functions = append(g.Functions, s.Name)
			slices.Sort(g.Functions)
			for _, l := range s.Lists {
				if len(g.Places) < 20 && !slices.Contains(g.Places, l) {
					g.Places = append(g.Places, l)
				}
			}
		}
	}
	for i := range q.Subjects {
		s := &q.Subjects[i]
		for _, f := range endsOfLife(runtimeOf(s), s.Document.System, q.Now) {
			add(f, s)
		}
		if s.Yanked != nil {
			add(yanked(s.Yanked), s)
		}
		if f := oldWatchdog(s, q.Watchdog); f != nil {
			add(*f, s)
		}
	}
	lock := &Subject{Name: "fnb.lock", Lists: []string{"fnb.lock"}}
	for _, ref := range q.Bases {
		for _, f := range endsOfLife(runtimeOfBase(ref), systemOfBase(ref), q.Now) {
			add(f, lock)
		}
	}
	for _, b := range q.Builders {
		out = append(out, BuilderHoles(b)...)
	}
	return out
}

func yanked(y *Yanked) Finding {
	level := osv.Medium
	if y.Severity == "security" {
		level = osv.High
	}
	return Finding{
		Kind: Withdrawn, ID: "yanked/" + y.Name + "@" + y.Version, Package: y.Name, Version: y.Version, Severity: osv.Severity{Level: level},
		Summary: "template " + y.Name + " " + y.Version + " was withdrawn: " + y.Reason, Fixed: y.Use, Mend: "fnb update " + y.Name,
	}
}

// oldWatchdog is the finding that an image has another watchdog of fnb's than this fnb; nil is
// none. What is not fnb's is none.
func oldWatchdog(s *Subject, layers []string) *Finding {
	has := s.Document.Watchdog
	if has.Name != "fwatchdog" || len(layers) == 0 || slices.Contains(layers, has.Digest) {
		return nil
	}
	return &Finding{
		Kind: OldWatchdog, ID: "old-watchdog", Package: "fwatchdog", Version: has.Version, Severity: osv.Severity{Level: osv.Low},
		Summary: "the image has another watchdog than this fnb would put into it", Mend: "fnb update, then fnb build --push",
	}
}
