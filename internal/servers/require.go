package servers

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// Require deals with a server that could not be had: with a nil err it does
// nothing; otherwise it skips the test, or fails it when FNB_REQUIRE, a
// comma-separated list, names the server. The names are git, registry, registries
// (Debian's, and nginx before one), buildkit, runc, rootless, bases, chromium, ssh,
// kubernetes, cfn, serverless, openssl, engines (Debian's Docker Engine and podman), vm (Debian's QEMU and kernel),
// emulation (Debian's QEMU for programs of linux/arm64), sign (cosign and oras), scanners (osv-scanner
// and grype), oracles (those, and syft, for the bench of SBOMs) and sigstore (its library for JavaScript).
func Require(tb testing.TB, name string, err error) {
	tb.Helper()
	if err == nil {
		return
	}
	if Required(name) {
		tb.Fatalf("%s is required by FNB_REQUIRE: %v", name, err)
	}
	tb.Skipf("%s cannot be had here: %v", name, err)
}

// Required reports whether FNB_REQUIRE names the server.
func Required(name string) bool {
	names := strings.Split(os.Getenv("FNB_REQUIRE"), ",")
	return slices.ContainsFunc(names, func(n string) bool { return strings.TrimSpace(n) == name })
}
