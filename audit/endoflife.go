package audit

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"fnb/audit/osv"
	"fnb/sbom"
	"fnb/schema"
	"fnb/schema/runtimes"
)

// KnownBy is when the days below were looked up; those of runtimes are in schema/runtimes.
const KnownBy = "2026-09"

// soon is how long before its end something is pointed out.
const soon = 90 * 24 * time.Hour

// system is the day from which nobody mends a release of a distribution for free, as its makers
// say it: wiki.debian.org/LTS, alpinelinux.org/releases, ubuntu.com/about/release-cycle. "" is
// not known.
func system(s sbom.System) string {
	return map[string]string{
		"debian 9": "2022-06-30", "debian 10": "2024-06-30", "debian 11": "2026-08-31", "debian 12": "2028-06-30", "debian 13": "2030-06-30",
		"alpine 3.16": "2024-05-23", "alpine 3.17": "2024-11-22", "alpine 3.18": "2025-05-09", "alpine 3.19": "2025-11-01",
		"alpine 3.20": "2026-04-01", "alpine 3.21": "2026-11-01", "alpine 3.22": "2027-05-01", "alpine 3.23": "2027-11-01",
		"ubuntu 18.04": "2023-05-31", "ubuntu 20.04": "2025-05-31", "ubuntu 22.04": "2027-05-31", "ubuntu 24.04": "2029-05-31", "ubuntu 26.04": "2031-05-31",
	}[s.ID+" "+series(s)]
}

// series is the release of a distribution that its days are said of: 3.20 of Alpine 3.20.3.
func series(s sbom.System) string {
	if parts := strings.SplitN(s.Version, ".", 3); s.ID != "debian" && len(parts) > 2 {
		return parts[0] + "." + parts[1]
	}
	return s.Version
}

// runtimeOf is the runtime that an image has, by its base image, or by the programs in it.
func runtimeOf(s *Subject) Runtime {
	if rt := runtimeOfBase(s.Document.Base.Reference); rt.Name != "" {
		return rt
	}
	for _, p := range s.Document.Packages {
		if p.Ecosystem == sbom.Go && p.Name == "stdlib" {
			return Runtime{runtimes.Go, strings.TrimPrefix(p.Version, "go")}
		}
	}
	return Runtime{}
}

// tagged is the last part of a base image's repository, and its tag.
func tagged(ref string) (name, tag string) {
	r, err := schema.ParseImageRef(ref)
	if err != nil {
		return "", ""
	}
	name = r.Name()
	return name[strings.LastIndex(name, "/")+1:], r.Tag
}

// runtimeOfBase is the runtime that a base image brings; none where its tag does not say which.
func runtimeOfBase(ref string) Runtime {
	base, tag := tagged(ref)
	name := map[string]string{"python": runtimes.Python, "node": runtimes.Node, "golang": runtimes.Go, "eclipse-temurin": runtimes.Java}[base]
	version, _, _ := strings.Cut(tag, "-")
	if name == "" || version == "" {
		return Runtime{}
	}
	return Runtime{name, version}
}

// systemOfBase is the distribution that a base image is, by its tag.
func systemOfBase(ref string) sbom.System {
	base, tag := tagged(ref)
	word, _, _ := strings.Cut(tag, "-")
	switch base {
	case "debian":
		if n := map[string]string{"stretch": "9", "buster": "10", "bullseye": "11", "bookworm": "12", "trixie": "13"}[word]; n != "" {
			word = n
		}
		word, _, _ = strings.Cut(word, ".")
	case "alpine", "ubuntu":
	default:
		return sbom.System{}
	}
	return sbom.System{ID: base, Version: word}
}

// ends is the finding that something has no, or soon no, makers any more; nil is none.
func ends(what, version, end string, now time.Time) *Finding {
	day, err := time.Parse(time.DateOnly, end)
	if err != nil {
		return nil
	}
	f := &Finding{Kind: EndOfLife, ID: "end-of-life/" + strings.ToLower(strings.ReplaceAll(what, " ", "-")) + "/" + version, Package: what, Version: version}
	switch {
	case !now.Before(day):
		f.Severity = osv.Severity{Level: osv.High}
		f.Summary = fmt.Sprintf("%s %s reached its end of life on %s: it gets no more fixes", what, version, end)
	case now.Add(soon).After(day):
		f.Severity = osv.Severity{Level: osv.Low}
		f.Summary = fmt.Sprintf("%s %s reaches its end of life on %s: it gets no fixes from then on", what, version, end)
	default:
		return nil
	}
	return f
}

// endsOfLife are the findings about a runtime and a distribution.
func endsOfLife(rt Runtime, sys sbom.System, now time.Time) []Finding {
	var out []Finding
	if rt.Name != "" {
		if f := ends(runtimes.Title(rt.Name), rt.Version, runtimes.EndOfLife(rt.Name, rt.Version), now); f != nil {
			f.Mend = "ask for a newer " + f.Package + ", then fnb update"
			out = append(out, *f)
		}
	}
	if sys.ID != "" {
		name := map[string]string{"debian": "Debian", "alpine": "Alpine", "ubuntu": "Ubuntu"}[sys.ID]
		if f := ends(cmp.Or(name, sys.ID), series(sys), system(sys), now); f != nil {
			f.Mend = "take a base image of a newer " + f.Package + ", then fnb update"
			out = append(out, *f)
		}
	}
	return out
}
