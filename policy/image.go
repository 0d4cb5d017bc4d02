package policy

import (
	"slices"
	"strings"
	"time"

	"fnb/schema/rules"
)

// An Image is what is known of an image.
type Image struct {
	Reference string // full: registry, repository and tag, and the digest if it is named by that
	Locked    bool   // fnb.lock has it, or it is named by digest
}

// images are the rules of a file for images of a kind.
func images(file *rules.Policy, kind Kind) (section string, r *rules.Images) {
	if kind == KindBase {
		return "bases", &file.Bases
	}
	return "images", &file.Images
}

// Image decides about a base image, or one that is run. Notes are what breaks a rule that
// only warns.
func (p *Policy) Image(kind Kind, i Image) (notes []string, err error) {
	f := p.about(kind, i.Reference)
	f.image(kind, i)
	return f.result()
}

func (f *finding) image(kind Kind, i Image) {
	for _, file := range f.p.each() {
		section, r := images(file.Policy, kind)
		f.patterns(file, section, r.Allow, r.Deny, i.matches)
		if r.Digest != "" && !i.Locked {
			f.breach(file, section+".digest", "fnb.lock does not have its digest")
		}
	}
}

// ImageAge decides about the age of an image that fnb.lock does not have, or has with another
// digest. The zero time is that the image does not say when it was made.
func (p *Policy) ImageAge(kind Kind, ref string, made time.Time) (notes []string, err error) {
	f := p.about(kind, ref)
	f.subject.Reference = ref
	if p != nil && slices.ContainsFunc(p.reviewed, func(name string) bool { return rules.MatchesImage(name, ref) }) {
		return nil, nil
	}
	for _, file := range p.each() {
		section, r := images(file.Policy, kind)
		f.age(file, section+".min-age", r.MinAge, made)
	}
	return f.result()
}

func (i *Image) matches(pattern string) bool { return rules.MatchesImage(pattern, i.Reference) }

// Dates reports whether the ages of images of a kind matter.
func (p *Policy) Dates(kind Kind) bool {
	return slices.ContainsFunc(p.each(), func(file *file) bool {
		_, r := images(file.Policy, kind)
		return r.MinAge > 0
	})
}

// Source decides about what a solve is about to read, as BuildKit names it: images by the
// rules of a kind, git repositories and URLs by those of sources. What comes out of the
// connection itself is fnb's own. A look finds out who has signed an image; with nil that is not
// asked.
func (p *Policy) Source(kind Kind, identifier string, look Look) error {
	scheme, rest, _ := strings.Cut(identifier, "://")
	f := p.about(KindSource, identifier)
	f.quiet = true // steps are under way
	switch scheme {
	case "local", "oci-layout":
		return nil
	case "docker-image", "docker-image+blob":
		name, digest, locked := strings.Cut(rest, "@")
		if f.subject.Kind, f.subject.Name = kind, rest; locked {
			f.subject.Name = name // as it is known before the solve
		}
		f.image(kind, Image{Reference: rest, Locked: strings.HasPrefix(digest, "sha256:")})
		if look != nil {
			f.signed(kind, f.subject.Name, look)
		}
		return f.refused()
	}
	for _, file := range p.each() {
		f.patterns(file, "sources", file.Sources.Allow, file.Sources.Deny, func(pattern string) bool {
			return rules.Matches(pattern, identifier) || scheme == "git" && rules.Matches(pattern, "https://"+rest)
		})
	}
	return f.refused()
}

// Deploys reports whether any rule is about images that are run or deployed, whatever their age.
func (p *Policy) Deploys() bool {
	return slices.ContainsFunc(p.each(), func(file *file) bool {
		return len(file.Images.Allow)+len(file.Images.Deny)+len(file.Images.SignedBy) > 0
	})
}

// Gates reports whether any rule is about what solves read.
func (p *Policy) Gates(kind Kind) bool {
	return slices.ContainsFunc(p.each(), func(file *file) bool {
		_, r := images(file.Policy, kind)
		return len(r.Allow)+len(r.Deny)+len(r.Digest)+len(r.SignedBy)+len(file.Sources.Allow)+len(file.Sources.Deny) > 0
	})
}
