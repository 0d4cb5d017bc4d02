package pins

import (
	"maps"
	"slices"
	"strings"

	"fnb/schema"
)

// A Kind is a kind of pin.
type Kind string

// Kinds of pins.
const (
	Template Kind = "template"
	Base     Kind = "base"
	Watchdog Kind = "watchdog"
	Service  Kind = "service"
	Package  Kind = "package" // of a lock of a package manager, and no entry of fnb.lock
)

// A Change is one entry of fnb.lock that is, or could be, another.
type Change struct {
	Kind   Kind    `json:"kind"`
	Name   string  `json:"name"`             // as in fnb.lock; of a package its ecosystem and name
	Locked *Choice `json:"locked,omitempty"` // none is that it was not pinned
	Newest *Choice `json:"newest,omitempty"` // none is that nothing needs it any more
	Latest string  `json:"latest,omitempty"` // a template's newest version, where its range does not allow it
}

// A Choice is what an entry of fnb.lock names.
type Choice struct {
	Version string `json:"version,omitempty"`
	Commit  string `json:"commit,omitempty"`
	Digest  string `json:"digest,omitempty"` // of an image or a layer, or the checksum of a template; a package has none
}

func (p *Choice) String() string {
	switch {
	case p == nil:
		return "-"
	case p.Version != "":
		return p.Version
	case p.Commit != "":
		return p.Commit[:12]
	}
	return ShortDigest(p.Digest)
}

// ShortDigest is enough of a digest for a person.
func ShortDigest(d string) string {
	at := strings.LastIndex(d, ":") + 1
	return d[:min(len(d), at+12)]
}

// Diff returns the entries in which two locks differ, by kind and name.
func Diff(before, after *schema.Lock) []Change {
	var all []Change
	add := func(kind Kind, name string, was, is *Choice) {
		if was == nil || is == nil || *was != *is {
			all = append(all, Change{Kind: kind, Name: name, Locked: was, Newest: is})
		}
	}
	template := func(l *schema.Lock, ref string) *Choice {
		pin, ok := l.Templates[ref]
		if !ok {
			return nil
		}
		return &Choice{Version: pin.Version, Commit: pin.Commit, Digest: pin.Checksum}
	}
	image := func(digests map[string]string, ref string) *Choice {
		if digests[ref] == "" {
			return nil
		}
		return &Choice{Digest: digests[ref]}
	}
	for _, ref := range bothKeys(before.Templates, after.Templates) {
		add(Template, ref, template(before, ref), template(after, ref))
	}
	for _, ref := range bothKeys(before.Bases, after.Bases) {
		add(Base, ref, image(before.Bases, ref), image(after.Bases, ref))
	}
	for _, ref := range bothKeys(before.Watchdogs, after.Watchdogs) {
		if was, is := before.Watchdogs[ref], after.Watchdogs[ref]; !maps.Equal(was, is) {
			all = append(all, Change{Kind: Watchdog, Name: ref, Locked: anyWatchdog(was, is), Newest: anyWatchdog(is, was)})
		}
	}
	for _, ref := range bothKeys(before.Services, after.Services) {
		add(Service, ref, image(before.Services, ref), image(after.Services, ref))
	}
	return all
}

// anyWatchdog is a watchdog by the first platform in which it is not what another
// is.
func anyWatchdog(w, other map[string]string) *Choice {
	for _, pl := range slices.Sorted(maps.Keys(w)) {
		if w[pl] != other[pl] {
			return &Choice{Digest: w[pl]}
		}
	}
	for _, pl := range slices.Sorted(maps.Keys(w)) {
		return &Choice{Digest: w[pl]}
	}
	return nil
}

func bothKeys[V any](a, b map[string]V) []string {
	keys := slices.AppendSeq(slices.Collect(maps.Keys(a)), maps.Keys(b))
	slices.Sort(keys)
	return slices.Compact(keys)
}

// Names are the names of all entries of a lock.
func Names(l *schema.Lock) []string {
	return slices.Concat(bothKeys(l.Templates, nil), bothKeys(l.Bases, nil), bothKeys(l.Watchdogs, nil), bothKeys(l.Services, nil))
}

// Moved is a lock with these changes taken from another.
func Moved(before, now *schema.Lock, changes []Change) *schema.Lock {
	lock := Copy(before)
	for _, c := range changes {
		switch c.Kind {
		case Template:
			lock.Templates[c.Name] = now.Templates[c.Name]
		case Base:
			lock.Bases[c.Name] = now.Bases[c.Name]
		case Watchdog:
			lock.Watchdogs[c.Name] = now.Watchdogs[c.Name]
		case Service:
			lock.Services[c.Name] = now.Services[c.Name]
		}
	}
	return lock
}
