package sbom_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"fnb/sbom"
)

func TestMoves(t *testing.T) {
	t.Parallel()
	was := []sbom.Package{
		{Ecosystem: "Debian:12", Name: "base-files", Version: "12"},
		{Ecosystem: "npm", Name: "twice", Version: "2"},
		{Ecosystem: "npm", Name: "twice", Version: "1"},
		{Ecosystem: "npm", Name: "gone", Version: "1"},
		{Ecosystem: "npm", Name: "stays", Version: "1"},
	}
	is := []sbom.Package{
		{Ecosystem: "Debian:13", Name: "base-files", Version: "13"},
		{Ecosystem: "npm", Name: "twice", Version: "2"},
		{Ecosystem: "npm", Name: "new"},
		{Ecosystem: "npm", Name: "stays", Version: "1"},
	}
	want := []sbom.Move{
		{Ecosystem: "Debian", Name: "base-files", From: "12", To: "13"},
		{Ecosystem: "npm", Name: "gone", From: "1"},
		{Ecosystem: "npm", Name: "new", To: "?"},
		{Ecosystem: "npm", Name: "twice", From: "1, 2", To: "2"},
	}
	if diff := cmp.Diff(want, sbom.Moves(was, is)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
