package policy

import (
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"fnb/schema/rules"
)

// lower reports whether a version is lower than another one, which is a version; known is
// false where it is none itself.
func lower(version, least string) (is, known bool) {
	v, err := semver.NewVersion(strings.TrimPrefix(version, "v"))
	if err != nil {
		return false, false
	}
	want, err := semver.NewVersion(least)
	return err == nil && v.LessThan(want), err == nil
}

// Watchdog decides about the watchdog that is put into images: "default" is fnb's own, "none"
// is none, and anything else an image, whose tag is its version.
func (p *Policy) Watchdog(name string) (notes []string, err error) {
	f := p.about(KindWatchdog, name)
	version := p.versionOf(name)
	for _, file := range p.each() {
		least := file.Watchdog.Min
		if least == "" || version == "" {
			continue
		}
		if is, known := lower(version, least); is {
			f.breach(file, "watchdog.min", "its version is "+version+", and must be "+least+" at least")
		} else if !known {
			f.breach(file, "watchdog.min", "nothing says its version, which must be "+least+" at least")
		}
	}
	return f.result()
}

// versionOf is the version of a watchdog, "" where there is nothing to compare.
func (p *Policy) versionOf(watchdog string) string {
	switch watchdog {
	case "", "none":
		return ""
	case "default":
		if p == nil || !isRelease(p.version) {
			return ""
		}
		return p.version
	}
	name, _, _ := strings.Cut(watchdog, "@")
	if at := strings.LastIndexByte(name, ':'); at > strings.LastIndexByte(name, '/') {
		return name[at+1:]
	}
	return "unknown"
}

// isRelease reports whether a version of fnb is that of a release.
func isRelease(version string) bool {
	_, err := semver.StrictNewVersion(strings.TrimPrefix(version, "v"))
	return err == nil
}

// Builders reports whether any rule is about builders.
func (p *Policy) Builders() bool {
	for _, file := range p.each() {
		if file.Builders.MinVersion != "" {
			return true
		}
	}
	return false
}

// Builder decides about a builder by its address and the version of its BuildKit, "" where
// it does not say that.
func (p *Policy) Builder(address, version string) error {
	f := p.about(KindBuilder, address)
	f.quiet = true
	for _, file := range p.each() {
		least := file.Builders.MinVersion
		if least == "" {
			continue
		}
		if is, known := lower(version, least); is {
			f.breach(file, "builders.min-version", "its BuildKit is "+version+", and must be "+least+" at least")
		} else if !known {
			f.breach(file, "builders.min-version", "it does not say which BuildKit it is, which must be "+least+" at least")
		}
	}
	return f.refused()
}

// Unasked decides about a builder that does not ask what its solves may read: only what fnb
// itself sees of a build is looked at then.
func (p *Policy) Unasked(address string) error {
	f := p.about(KindBuilder, address)
	f.quiet = true
	for _, file := range p.each() {
		for _, rule := range []string{"bases.allow", "bases.deny", "bases.digest", "bases.signed-by", "images.allow", "images.deny", "images.digest", "images.signed-by", "sources.allow", "sources.deny"} {
			if _, there := file.At[rule]; there {
				f.breach(file, rule, "its BuildKit is too old to be held to it: it reads what a Dockerfile's frontend wants and asks nobody")
				break
			}
		}
	}
	return f.refused()
}

// Packages decides about a package manager that is about to choose versions. told is whether it is told
// [Policy.PublishedBefore]: one that is not is refused.
func (p *Policy) Packages(manager string, told bool) error {
	f := p.about(KindPackages, "of "+manager)
	f.quiet = true
	for _, file := range p.each() {
		switch least := file.Packages.MinAge; {
		case least == 0:
		case file.Mode != rules.Enforce:
			f.breach(file, "packages.min-age", "versions may be of any age while the policy only warns, and must be "+least.String()+" old")
		case !told:
			f.breach(file, "packages.min-age", "its template does not tell "+manager+" that versions must be "+least.String()+" old")
		}
	}
	return f.refused()
}

// PublishedBefore is the time before which versions of packages must be published by the rules that are enforced; the zero
// time is that no rule says so. reviewed may be younger.
func (p *Policy) PublishedBefore() (before time.Time, reviewed []string) {
	for _, file := range p.each() {
		if least := file.Packages.MinAge; least > 0 && file.Mode == rules.Enforce {
			if at := p.now.Add(-time.Duration(least)); before.IsZero() || at.Before(before) {
				before = at
			}
		}
	}
	if p != nil {
		reviewed = p.reviewed
	}
	return before, reviewed
}
