package runtimes

// A Release is a series of releases of a runtime, by whose name there are base images.
type Release struct {
	Version string // "3.13", "24"
	// End is the day from which nobody mends it any more, such as "2029-10-31"; "" is not
	// announced. Of a month that is announced, it is the last day.
	End string
	// LongTerm is what Node calls the series by, in small letters, since it is mended for a
	// long time; "" is another one.
	LongTerm string
}

// Releases are those of a runtime, the oldest first; none where fnb has no table of it, as
// of Rust, Bun and Deno, of which only the newest release is mended. The days are those that
// the makers have announced by September 2026:
//
//   - Python: peps.python.org/api/release-cycle.json, also in python/devguide;
//   - Node.js: schedule.json and CODENAMES.md of nodejs/Release;
//   - Go: go.dev/doc/devel/release, by which the second next release ends one;
//   - Java: Eclipse Temurin's, adoptium.net/support, which promises "at least" of those that
//     are mended for long, and endoflife.date/eclipse-temurin for the days of the others.
func Releases(runtime string) []Release {
	switch runtime {
	case Python:
		return []Release{
			{Version: "3.7", End: "2023-06-27"},
			{Version: "3.8", End: "2024-10-07"},
			{Version: "3.9", End: "2025-10-31"},
			{Version: "3.10", End: "2026-10-31"},
			{Version: "3.11", End: "2027-10-31"},
			{Version: "3.12", End: "2028-10-31"},
			{Version: "3.13", End: "2029-10-31"},
			{Version: "3.14", End: "2030-10-31"},
			{Version: "3.15", End: "2031-10-31"},
		}
	case Node:
		return []Release{
			{Version: "12", End: "2022-04-30", LongTerm: "erbium"},
			{Version: "14", End: "2023-04-30", LongTerm: "fermium"},
			{Version: "16", End: "2023-09-11", LongTerm: "gallium"},
			{Version: "18", End: "2025-04-30", LongTerm: "hydrogen"},
			{Version: "19", End: "2023-06-01"},
			{Version: "20", End: "2026-04-30", LongTerm: "iron"},
			{Version: "21", End: "2024-06-01"},
			{Version: "22", End: "2027-04-30", LongTerm: "jod"},
			{Version: "23", End: "2025-06-01"},
			{Version: "24", End: "2028-04-30", LongTerm: "krypton"},
			{Version: "25", End: "2026-06-01"},
			{Version: "26", End: "2029-04-30", LongTerm: "lithium"},
		}
	case Go:
		return []Release{
			{Version: "1.18", End: "2023-02-01"},
			{Version: "1.19", End: "2023-08-08"},
			{Version: "1.20", End: "2024-02-06"},
			{Version: "1.21", End: "2024-08-13"},
			{Version: "1.22", End: "2025-02-11"},
			{Version: "1.23", End: "2025-08-12"},
			{Version: "1.24", End: "2026-02-10"},
			{Version: "1.25", End: "2026-08-19"},
			{Version: "1.26"},
			{Version: "1.27"},
		}
	case Java:
		return []Release{
			{Version: "8", End: "2030-12-31"},
			{Version: "11", End: "2027-10-31"},
			{Version: "17", End: "2027-10-31"},
			{Version: "18", End: "2022-09-30"},
			{Version: "19", End: "2023-03-31"},
			{Version: "20", End: "2023-09-19"},
			{Version: "21", End: "2029-12-31"},
			{Version: "22", End: "2024-09-17"},
			{Version: "23", End: "2025-03-18"},
			{Version: "24", End: "2025-09-16"},
			{Version: "25", End: "2031-09-30"},
			{Version: "26", End: "2026-09-15"},
			{Version: "27"},
		}
	}
	return nil
}

// EndOfLife returns the day from which nobody mends the series that a version is of; "" where
// none is announced or known.
func EndOfLife(runtime, version string) string {
	for _, r := range Releases(runtime) {
		if within(version, r.Version) {
			return r.End
		}
	}
	return ""
}
