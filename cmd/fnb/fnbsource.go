package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"

	"github.com/spf13/pflag"

	"fnb/internal/ci"
	"fnb/internal/lazyregexp"
)

// A fnbSource is what the user says of the fnb that a pipeline installs.
type fnbSource struct{ release, url, sha256 string }

func (s *fnbSource) addFlags(f *pflag.FlagSet) {
	f.StringVar(&s.release, "fnb-release", "", "install the release of fnb at `URL`, which ends in its version (default this fnb's own)")
	f.StringVar(&s.url, "fnb-url", "", "download fnb itself from `URL`")
	f.StringVar(&s.sha256, "fnb-sha256", "", "the SHA-256 of the program at --fnb-url, or of the release's checksums.txt, as `HEX`")
}

// aboutFnbSource is how commands that write pipelines explain these flags.
const aboutFnbSource = `The pipeline installs the release of the fnb that writes it, or the one at --fnb-release. It is pinned by the SHA-256 of the release's checksums.txt: --fnb-sha256, or what is there now. With --fnb-url it downloads a program that has the checksum --fnb-sha256. If fnb was built from source, the variables FNB_URL and FNB_SHA256 of the repository say both.`

// left is a note about that: what says which fnb is used.
func left(where string) string {
	return where + " say which fnb is used: set both, or give --fnb-release, or --fnb-url and --fnb-sha256"
}

// check refuses what could not be written into a pipeline as it is.
func (s *fnbSource) check(bad *complaints) {
	if s.url != "" && s.release != "" {
		bad.add("use only one of --fnb-release and --fnb-url")
	}
	if s.url != "" && s.sha256 == "" || s.sha256 != "" && s.url == "" && s.page() == "" {
		bad.add("--fnb-url and --fnb-sha256 go together")
	}
	if s.url != "" && !plainURL.MatchString(s.url) {
		bad.add("--fnb-url %q: it must be an https:// URL", s.url)
	}
	if s.release != "" && !(plainURL.MatchString(s.release) && ci.ReleasePage.MatchString(s.release)) {
		bad.add("--fnb-release %q: it must be an https:// URL that ends in the version, such as https://github.com/acme/fnb/releases/download/v1.2.3", s.release)
	}
	if s.sha256 != "" && !sha256Hex.MatchString(s.sha256) {
		bad.add("--fnb-sha256 %q: it must be 64 hexadecimal digits", s.sha256)
	}
}

// page is the page of the release that is meant; "" if there is none.
func (s *fnbSource) page() string {
	if s.release != "" {
		return s.release
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		return ownRelease(info.Main.Path, fnbVersion())
	}
	return ""
}

var (
	released = lazyregexp.New(`^v?[0-9]+\.[0-9]+\.[0-9]+(?:-(?:alpha|beta|rc)\.?[0-9]+)?$`)
	onHost   = lazyregexp.New(`^([a-z0-9-]+(?:\.[a-z0-9-]+)+/[^/]+/[^/]+)(?:/v[0-9]+)?$`)
)

// ownRelease is the page of a version of a module; "" if it was not released, or if the module is in no
// repository.
func ownRelease(module, version string) string {
	repository := onHost.FindStringSubmatch(module)
	if repository == nil || !released.MatchString(version) {
		return ""
	}
	return "https://" + repository[1] + "/releases/download/v" + strings.TrimPrefix(version, "v")
}

// resolve finds out what a pipeline of a system installs. The notes are for the user.
func (s *fnbSource) resolve(ctx context.Context, system ci.System, offline bool) (ci.Source, []string, error) {
	page := s.page()
	switch {
	case s.url != "":
		return ci.Source{Address: s.url, SHA256: s.sha256}, nil, nil
	case page == "":
		return ci.Source{}, []string{left(system.LeftTo())}, nil
	case s.sha256 != "":
		return ci.Source{Address: page, SHA256: s.sha256, Released: true}, nil, nil
	}
	err := errors.New("it is not asked for with --offline")
	sum := ""
	if !offline {
		sum, err = ci.Checksums(ctx, page)
	}
	if err != nil {
		return ci.Source{}, nil, hint(fmt.Errorf("pinning the release of fnb at %s: %w", page, err), "say what its checksums.txt must have with: --fnb-sha256 HEX")
	}
	return ci.Source{Address: page, SHA256: sum, Released: true}, []string{fmt.Sprintf("fnb is pinned to %s, whose checksums.txt has the SHA-256 %s now", page, sum)}, nil
}
