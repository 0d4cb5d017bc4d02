package sbom_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/sbom"
)

// A package that two lists have is there once, with what each of them says; the order of lists is none of the result.
func TestUnion(t *testing.T) {
	t.Parallel()
	installed := []sbom.Package{
		{Ecosystem: sbom.PyPI, Name: "b", Version: "2", PURL: "pkg:pypi/b@2", Licence: "MIT", Where: []string{"z", "a"}, Evidence: sbom.Installed},
		{Ecosystem: sbom.NPM, Name: "b", Version: "2", PURL: "pkg:npm/b@2"},
	}
	locked := []sbom.Package{
		{Ecosystem: sbom.PyPI, Name: "b", Version: "2", PURL: "pkg:pypi/b@2", Direct: true, Where: []string{"a", "lock"}, Evidence: sbom.Locked, Hashes: []sbom.Hash{{Algorithm: "SHA-256", Value: "00"}}},
		{Ecosystem: sbom.PyPI, Name: "a", Version: "1", PURL: "pkg:pypi/a@1"},
	}
	want := []sbom.Package{
		{Ecosystem: sbom.PyPI, Name: "a", Version: "1", PURL: "pkg:pypi/a@1"},
		{
			Ecosystem: sbom.PyPI, Name: "b", Version: "2", PURL: "pkg:pypi/b@2", Licence: "MIT", Where: []string{"a", "lock", "z"}, Evidence: sbom.Installed, Direct: true,
			Hashes: []sbom.Hash{{Algorithm: "SHA-256", Value: "00"}},
		},
		{Ecosystem: sbom.NPM, Name: "b", Version: "2", PURL: "pkg:npm/b@2"},
	}
	if diff := cmp.Diff(want, sbom.Union(installed, locked)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}
