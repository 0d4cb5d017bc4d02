package owners

import (
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/schema/ownership"
	"fnb/store/records"
)

// A Judge says of all that is read of one store whether its namespaces' owners say it.
type Judge struct {
	Known Remembered // what this machine knows
	Now   time.Time
	// Read is when the store was read before, zero for never, and Before returns what a package had
	// then. What a key signed that had ended then, and was not there, is refused; what was compared
	// then, and is the same, is not compared again.
	Read   time.Time
	Before func(kind, name string) []records.StoredVersion

	refused int
	origin  string
	chains  map[string]*Chain
	broken  map[string]error
}

// Feed is a feed whose packages say of each version who signed it, or why it is refused.
func (j *Judge) Feed(feed records.Feed) records.Feed {
	return func(to records.Taker) error {
		j.origin, j.chains, j.broken = "", map[string]*Chain{}, map[string]error{}
		told := false
		tell := func(spaces records.Spaces) {
			if told {
				return
			}
			told = true
			j.origin = spaces.Origin
			j.follow(spaces)
			for _, ns := range slices.Sorted(maps.Keys(j.broken)) {
				to.Pass(path.Join(records.NamespacesDir, ns), j.broken[ns])
			}
		}
		spaces := func(s records.Spaces) error { tell(s); return nil }
		err := feed(records.Taker{Spaces: spaces, Pass: to.Pass, Add: func(p records.StoredPackage) error {
			tell(records.Spaces{})
			j.judge(&p, to.Pass)
			return to.Add(p)
		}})
		tell(records.Spaces{})
		return err
	}
}

// All judges packages of a store whose namespaces have these owners, as somebody would who sees the store
// for the first time.
func All(spaces records.Spaces) func(records.StoredPackage) records.StoredPackage {
	j := &Judge{Now: time.Now(), chains: map[string]*Chain{}, broken: map[string]error{}}
	j.follow(spaces)
	return func(p records.StoredPackage) records.StoredPackage {
		p.Versions = slices.Clone(p.Versions)
		j.judge(&p, func(string, error) {})
		return p
	}
}

// follow follows the owners of each namespace that has keys, or had some.
func (j *Judge) follow(spaces records.Spaces) {
	names := map[string]bool{}
	for ns := range spaces.Owners {
		names[ns] = true
	}
	for ns := range j.Known.Namespaces {
		names[ns] = true
	}
	for ns := range names {
		known := j.Known.Namespaces[ns]
		c, err := Follow(spaces.Origin, ns, spaces.Owners[ns], known)
		if err == nil && c != nil && known.Number > 0 && spaces.Origin != j.Known.Origin {
			err = &ChainError{Namespace: ns, Replaced: true, Why: "the store calls itself " + plain.Short(spaces.Origin) + ", and was " + plain.Short(j.Known.Origin)}
		}
		switch {
		case err != nil:
			j.broken[ns] = err
		case c != nil:
			j.chains[ns] = c
		}
	}
}

// Chain is the owners of a namespace that are believed; nil for none.
func (j *Judge) Chain(ns string) *Chain { return j.chains[ns] }

// Broken are the namespaces whose owners are not believed, and why.
func (j *Judge) Broken() map[string]error { return j.broken }

// Learned is what this machine knows of the store from now on, and whether that is news.
func (j *Judge) Learned() (Remembered, bool) {
	out, news := Remembered{Origin: j.Known.Origin, Namespaces: maps.Clone(j.Known.Namespaces)}, false
	for ns, c := range j.chains {
		before := out.Namespaces[ns]
		if before.Number == c.Owners.Number && before.Sum == c.Sum {
			continue
		}
		if out.Namespaces == nil {
			out.Namespaces = map[string]Known{}
		}
		out.Namespaces[ns], out.Origin, news = c.Known(before, j.Now), j.origin, true
	}
	return out, news
}

// judge judges one package.
func (j *Judge) judge(p *records.StoredPackage, pass func(string, error)) {
	ns, _, _ := strings.Cut(p.Name, "/")
	c, broken := j.chains[ns], j.broken[ns]
	if c == nil && broken == nil {
		return
	}
	dir := path.Join(records.KindDir(p.Kind()), p.Name)
	before := map[string]records.StoredVersion{}
	if j.Before != nil && broken == nil {
		for _, v := range j.Before(p.Kind(), p.Name) {
			before[v.Version] = v
		}
	}
	for i := range p.Versions {
		v := &p.Versions[i]
		if broken != nil {
			v.Refused = broken.Error()
			continue
		}
		was, had := before[v.Version]
		j.judgeVersion(c, v, path.Join(dir, records.VersionsDir, v.Version+records.RecordSuffix), was, had, pass)
		j.judgeYank(c, v, path.Join(dir, records.VersionsDir, v.Version+records.YankSuffix), pass)
	}
	if p.About.Deprecated == nil {
		return
	}
	file, err := path.Join(dir, records.PackageFile), broken
	if err == nil {
		_, _, err = c.Check(ownership.File{Name: file, Data: p.Evidence.Data}, p.Evidence.Signature, ownership.RolePublish, ownership.RoleYank)
	}
	if err != nil { // it could lead to somebody else's
		pass(file, err)
		p.About.Deprecated = nil
		for i := range p.Versions {
			p.Versions[i].Deprecated = nil
		}
	}
}

// maxRefused bounds the signatures that count for nothing: each costs as much as a good one.
const maxRefused = 10_000

// judgeVersion judges one version, of which was is what there was before, if had.
func (j *Judge) judgeVersion(c *Chain, v *records.StoredVersion, file string, was records.StoredVersion, had bool, pass func(string, error)) {
	v.Proof = ownership.Sum([]byte(c.Sum + ownership.Sum(v.Evidence.Data) + ownership.Sum(v.Evidence.Signature)))[:32]
	if had && was.Signer != nil && was.Proof == v.Proof {
		v.Signer = was.Signer
		return
	}
	err := error(&SignatureError{File: file, Namespace: c.Owners.Namespace, Reason: Damaged, Why: "the store has too many signatures that count for nothing"})
	var signer records.Signer
	if j.refused < maxRefused {
		if signer, err = c.SignerOf(file, *v); err == nil {
			err = j.late(c, had, signer)
		}
	}
	if err != nil {
		j.refused++
		v.Refused = plain.Short(err.Error())
		pass(file, err)
		return
	}
	v.Signer = &signer
}

// SignerOf returns who signed a version, of those who may publish, as [Chain.Check] does.
func (c *Chain) SignerOf(file string, v records.StoredVersion) (records.Signer, error) {
	signer, _, err := c.Check(ownership.RecordFile(file, v.Evidence.Data, v.Record), v.Evidence.Signature, ownership.RolePublish)
	return signer, err
}

// late refuses what is new, and signed by a key that had ended when the store was read before.
func (j *Judge) late(c *Chain, had bool, by records.Signer) error {
	until := c.Until(by.Key)
	if until == nil || had || !j.Read.After(*until) {
		return nil
	}
	return &SignatureError{
		Namespace: c.Owners.Namespace, Reason: Expired,
		Why: "it is signed by " + by.String() + ", and came into the store after this key's end, which was " + until.UTC().Format(time.RFC3339),
	}
}

// judgeYank judges a withdrawal. One that nobody has signed counts, since it only takes away; what it
// says to use instead does not.
func (j *Judge) judgeYank(c *Chain, v *records.StoredVersion, file string, pass func(string, error)) {
	if v.Yanked == nil || v.YankEvidence.Data == nil {
		return
	}
	_, _, err := c.Check(ownership.File{Name: file, Data: v.YankEvidence.Data}, v.YankEvidence.Signature, ownership.RoleYank)
	if err == nil {
		return
	}
	pass(file, err)
	y := schema.Yank{V: v.Yanked.V, Reason: v.Yanked.Reason + " (no owner of " + c.Owners.Namespace + " has signed that)", Severity: v.Yanked.Severity, At: v.Yanked.At}
	v.Yanked = &y
}
