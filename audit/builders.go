package audit

import (
	"cmp"
	"fmt"
	"strings"

	"fnb/audit/osv"
)

// A BuilderVersion is a builder, and the version that it says to be.
type BuilderVersion struct{ Address, Version string }

// holes are BuildKit's, by the version without them. They were looked up in its advisories
// and release notes in 2026-11.
func holes() []struct {
	fixed string
	level osv.Level
	ids   []string
	what  string
} {
	return []struct {
		fixed string
		level osv.Level
		ids   []string
		what  string
	}{
		{"0.11.4", osv.Medium, []string{"CVE-2023-26054"}, "credentials of git get into provenance"},
		{"0.12.5", osv.Critical, []string{"CVE-2024-23650", "CVE-2024-23651", "CVE-2024-23652", "CVE-2024-23653"}, "build steps and frontends reach files and rights of the builder's machine"},
		{"0.28.1", osv.High, []string{"CVE-2026-33747", "CVE-2026-33748"}, "frontends and git URLs reach files outside of their folders"},
		{"0.31.2", osv.High, []string{"CVE-2026-15788", "CVE-2026-15789", "CVE-2026-15791", "CVE-2026-15792", "CVE-2026-15793"}, "holes that its release notes name"},
	}
}

// BuilderHoles are the findings about a builder. One whose version cannot be read has none.
func BuilderHoles(b BuilderVersion) []Finding {
	version := strings.TrimSpace(b.Version)
	if v := strings.TrimPrefix(version, "v"); v == "" || v[0] < '0' || v[0] > '9' {
		return nil
	}
	var out []Finding
	for _, h := range holes() {
		if osv.Order("Go", version, h.fixed) >= 0 {
			continue
		}
		out = append(out, Finding{
			Kind: Builder, ID: h.ids[0], Aliases: h.ids[1:], Package: "BuildKit", Version: version, Severity: osv.Severity{Level: h.level}, Fixed: h.fixed,
			Summary: fmt.Sprintf("BuildKit before %s: %s", h.fixed, h.what), Functions: []string{},
			Mend: "have " + cmp.Or(b.Address, "the builder") + " run BuildKit " + newestFix() + " or newer",
		})
	}
	return out
}

func newestFix() string {
	all := holes()
	return all[len(all)-1].fixed
}
