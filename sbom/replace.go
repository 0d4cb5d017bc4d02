package sbom

import (
	"cmp"
	"errors"
	"slices"
)

// ErrUntold says that a document does not tell what it would say with another base image.
var ErrUntold = errors.New("what is above the base image, and what is in it, cannot be told apart")

// maxTold is how many places of a package a document names.
const maxTold = 10

// Replace takes the packages of a base image out of a document, and puts those of another one in their place. What is
// above the base image stays. [ErrUntold] leaves the document as it was.
func (d *Document) Replace(old, now []Package) error {
	at := map[string]int{}
	for i := range d.Packages {
		at[d.Packages[i].identity()] = i
	}
	kept, gone := slices.Clone(d.Packages), map[int]bool{}
	for _, was := range Union(old) {
		i, ok := at[was.identity()]
		if !ok {
			return ErrUntold // something above hides it
		}
		p := &kept[i]
		cut := len(d.Packages[i].Where) >= maxTold
		rest := slices.DeleteFunc(slices.Clone(p.Where), func(name string) bool { return slices.Contains(was.Where, name) })
		switch {
		case len(p.Where)-len(rest) < len(was.Where) && !cut:
			return ErrUntold // the same, in one of its places
		case len(rest) > 0:
			p.Where = rest
		case cut || p.Direct || len(p.Hashes) > len(was.Hashes):
			return ErrUntold // it may be above as well
		default:
			gone[i] = true
		}
	}
	moved := moves(d.Packages, gone, now)
	var all []Package
	for i := range kept {
		if gone[i] {
			continue
		}
		p := kept[i]
		p.DependsOn = slices.Clone(p.DependsOn)
		for n, on := range p.DependsOn {
			p.DependsOn[n] = cmp.Or(moved[on], on)
		}
		all = append(all, p)
	}
	d.Packages = Union(all, now)
	return nil
}

// ReplaceProgram is [Document.Replace] for one program of the image, of which now are the packages.
func (d *Document) ReplaceProgram(name string, now []Package) error {
	var old []Package
	for _, p := range d.Packages {
		if slices.Contains(p.Where, name) {
			p.Where = []string{name}
			old = append(old, p)
		}
	}
	return d.Replace(old, now)
}

// identity tells packages apart.
func (p *Package) identity() string {
	return cmp.Or(p.PURL, p.Ecosystem+"\x00"+p.Name+"\x00"+p.Version)
}

// moves are the package URLs of packages that are gone, and what took their place.
func moves(was []Package, gone map[int]bool, now []Package) map[string]string {
	name := func(p Package) string { return p.Ecosystem + "\x00" + p.Name }
	is := map[string]string{}
	for _, p := range now {
		is[name(p)] = p.PURL
	}
	moved := map[string]string{}
	for i := range gone {
		if to := is[name(was[i])]; to != "" && was[i].PURL != "" {
			moved[was[i].PURL] = to
		}
	}
	return moved
}
