package sbom_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"fnb/sbom"
)

func deb(name, version string) sbom.Package {
	return sbom.Package{
		Ecosystem: "Debian:12", Name: name, Version: version, PURL: "pkg:deb/debian/" + name + "@" + version + "?arch=all&distro=debian-12",
		Where: []string{"var/lib/dpkg/status"}, Evidence: sbom.Installed,
	}
}

func wheel(name, version string, where ...string) sbom.Package {
	return sbom.Package{Ecosystem: sbom.PyPI, Name: name, Version: version, PURL: "pkg:pypi/" + name + "@" + version, Where: where, Evidence: sbom.Installed}
}

// What is above a base image stays, and what was in it goes.
func TestReplace(t *testing.T) {
	t.Parallel()
	old := []sbom.Package{deb("libssl3", "3.0.14"), deb("gone", "1"), wheel("pip", "24", "usr/lib/pip"), wheel("six", "1", "usr/lib/six")}
	now := []sbom.Package{deb("libssl3", "3.0.15"), deb("new", "1"), wheel("pip", "25", "usr/lib/pip"), wheel("six", "2", "usr/lib/six")}
	own := wheel("flask", "3", "home/app/flask")
	own.DependsOn = []string{"pkg:pypi/pip@24", "pkg:pypi/six@1"}
	own.Direct = true
	build := func(base []sbom.Package, pip string) sbom.Document {
		o := own
		o.DependsOn = []string{"pkg:pypi/pip@" + pip, "pkg:pypi/six@1"}
		d := sbom.Document{Packages: slices.Concat(base, []sbom.Package{o, wheel("six", "1", "home/app/six")})}
		d.Sort()
		return d
	}
	d, want := build(old, "24"), build(now, "25")
	if err := d.Replace(old, now); err != nil {
		t.Fatal(err)
	}
	has, err := d.SPDX()
	if err != nil {
		t.Fatal(err)
	}
	is, err := want.SPDX()
	if err != nil || string(has) != string(is) {
		t.Errorf("it says\n%s\nand must say\n%s (%v)", has, is, err)
	}
	// What is read again is the same.
	again, err := sbom.Read(has)
	if err == nil {
		err = again.Replace(now, old)
	}
	if first := build(old, "24"); err != nil || len(again.Packages) != len(first.Packages) {
		t.Errorf("%+v, %v", again.Packages, err)
	}
}

// Where a document does not say what is of the base image, it is left as it is.
func TestReplaceUntold(t *testing.T) {
	t.Parallel()
	locked := wheel("pip", "24", "usr/lib/pip")
	locked.Direct = true
	var places []string
	for n := range 10 {
		places = append(places, strings.Repeat("a", n+1))
	}
	for name, c := range map[string]struct{ doc, old sbom.Package }{
		"a layer above has removed it":   {doc: deb("other", "1"), old: deb("libssl3", "1")},
		"one of its places is hidden":    {doc: wheel("pip", "24", "a"), old: wheel("pip", "24", "a", "b")},
		"the function asks for it too":   {doc: locked, old: wheel("pip", "24", "usr/lib/pip")},
		"more places than it says of it": {doc: wheel("pip", "24", places...), old: wheel("pip", "24", places...)},
	} {
		d := sbom.Document{Packages: []sbom.Package{c.doc}}
		if err := d.Replace([]sbom.Package{c.old}, nil); !errors.Is(err, sbom.ErrUntold) || len(d.Packages) != 1 || d.Packages[0].Name != c.doc.Name {
			t.Errorf("%s: %v, %+v", name, err, d.Packages)
		}
	}
}

// A module's name keeps its capitals, which its package URL does not have.
func TestReadModule(t *testing.T) {
	t.Parallel()
	d := sbom.Document{Packages: []sbom.Package{{Ecosystem: sbom.Go, Name: "github.com/MicahParks/jwkset", Version: "0.11.4", PURL: sbom.GoPURL("github.com/MicahParks/jwkset", "v0.11.4"), Where: []string{"usr/bin/p", "usr/bin/q"}}}}
	raw, err := d.SPDX()
	if err != nil {
		t.Fatal(err)
	}
	again, err := sbom.Read(raw)
	if err != nil || again.Packages[0].Name != d.Packages[0].Name {
		t.Errorf("%+v, %v", again.Packages, err)
	}
	now := []sbom.Package{{Ecosystem: sbom.Go, Name: "stdlib", Version: "1.26", PURL: sbom.GoPURL("stdlib", "1.26"), Where: []string{"usr/bin/p"}}}
	if err := d.ReplaceProgram("usr/bin/p", now); err != nil || len(d.Packages) != 2 || d.Packages[0].Where[0] != "usr/bin/q" || d.Packages[1].Name != "stdlib" {
		t.Errorf("%+v, %v", d.Packages, err)
	}
}
