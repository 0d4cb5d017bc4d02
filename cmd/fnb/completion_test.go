package main

import (
	"slices"
	"testing"
)

// TestOffers: shells put what is offered on the command line as it is.
func TestOffers(t *testing.T) {
	t.Parallel()
	var o offers
	for _, word := range []string{
		"", "a b", "a\tb", "a\nb", "a;b", "a&b", "a|b", "$(b)", "${b}", "`b`", "a'b", `a"b`, `a\b`, "a*b", "a?b", "[a]", "{a,b}", "~a", "!a", "#a", "a=b", "<a", ">a", "(a)", "^a", "%a", "a,b",
		"-a", "--help", "\x1b[31m", "é", "_activeHelp_ x",
	} {
		o.add(word, "")
	}
	if len(o) > 0 {
		t.Errorf("these are offered: %q", o)
	}
	o.add("acme/go@1.2", "of\x1b[31m Acme\nand others")
	o.add("ghcr.io/acme/a_b:1+2", "")
	o.add("./a", "")
	if want := []string{"acme/go@1.2\tof Acme and others", "ghcr.io/acme/a_b:1+2", "./a"}; !slices.Equal(o, want) {
		t.Errorf("%q, want %q", o, want)
	}
}
