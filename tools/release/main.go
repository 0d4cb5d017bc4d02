// Command release makes the files of a release of fnb from a checkout: archives, packages for Debian, RPM and Alpine,
// their checksums, and manifests for Homebrew, Scoop and winget. The same checkout, Go and SOURCE_DATE_EPOCH give the
// same bytes, on any machine. "make release" calls it; docs/releasing.md tells the rest.
//
// [release.make] is the whole of it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Getenv("SOURCE_DATE_EPOCH"), os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, epoch string, log io.Writer) error {
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.SetOutput(log)
	version := flags.String("version", "", "the release's `VERSION`, such as v1.2.3")
	root := flags.String("root", ".", "the checkout, in which the watchdog was built, is `DIR`")
	out := flags.String("out", "dist", "write below `DIR`: vVERSION is the release page, manifests is for package managers")
	commit := flags.String("commit", "", "the provenance says that the release is of the commit `HASH`")
	key := flags.String("key", "", "sign the release with `KEY`, as fnb sign takes it; \"\" signs nothing")
	platforms := flags.String("platforms", strings.Join(defaultPlatforms(), " "), "make fnb for the platforms `LIST`")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r, err := newRelease(*version, epoch, *root, *out)
	if err != nil {
		return err
	}
	r.log, r.commit, r.key = log, *commit, *key
	list, err := parsePlatforms(*platforms)
	if err != nil {
		return err
	}
	return r.make(ctx, list)
}

// A release is what all of its files have in common.
type release struct {
	version string    // without v
	time    time.Time // of every file in an archive or a package
	root    string    // the checkout
	out     string    // where everything is written
	home    string    // the repository's address
	owner   string    // whose the repository is
	commit  string    // that it is of
	key     string    // that signs it; "" is none
	log     io.Writer
}

var (
	semanticVersion = regexp.MustCompile(`^v[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.-]+)?$`)
	moduleLine      = regexp.MustCompile(`(?m)^module (\S+)$`)
)

// newRelease checks what the release is to be called, and reads from go.mod where its repository is.
func newRelease(version, epoch, root, out string) (*release, error) {
	if !semanticVersion.MatchString(version) {
		return nil, fmt.Errorf("-version %q is not like v1.2.3 or v1.2.3-rc.1", version)
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil || seconds < 0 {
		return nil, fmt.Errorf("SOURCE_DATE_EPOCH=%q is not a number of seconds; the commit's is: git log -1 --format=%%ct", epoch)
	}
	r := &release{version: version[1:], time: time.Unix(seconds, 0).UTC(), log: io.Discard}
	if r.root, err = filepath.Abs(root); err != nil {
		return nil, err
	}
	if r.out, err = filepath.Abs(out); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(filepath.Join(r.root, "go.mod"))
	if err != nil {
		return nil, err
	}
	module := moduleLine.FindSubmatch(text)
	if module == nil {
		return nil, fmt.Errorf("%s names no module", filepath.Join(r.root, "go.mod"))
	}
	r.home, r.owner = repository(string(module[1]))
	return r, nil
}

// noOwner is who has the repository as long as nobody does.
const noOwner = "OWNER"

// repository is the address of a module's repository, and its owner. Of a module that no repository has, it is the one
// that tools/rename-module puts another in the place of.
func repository(module string) (home, owner string) {
	parts := strings.Split(module, "/")
	if len(parts) < 3 || !strings.Contains(parts[0], ".") {
		return "https://github.com/" + noOwner + "/fnb", noOwner
	}
	return "https://" + module, parts[1]
}

// page is the folder of the files that the release page offers.
func (r *release) page() string { return filepath.Join(r.out, "v"+r.version) }

// url is where a file of the release page is downloaded from.
func (r *release) url(name string) string {
	return r.home + "/releases/download/v" + r.version + "/" + name
}

// make makes all files of a release.
func (r *release) make(ctx context.Context, platforms []platform) error {
	programs := map[platform]string{}
	for _, p := range append([]platform{thisPlatform()}, platforms...) {
		if programs[p] != "" {
			continue
		}
		var err error
		if programs[p], err = r.compile(ctx, p); err != nil {
			return err
		}
	}
	extras, err := r.extras(ctx, programs[thisPlatform()])
	if err != nil {
		return err
	}
	maps.DeleteFunc(programs, func(p platform, _ string) bool { return !slices.Contains(platforms, p) })
	if extras.bill, err = r.bill(ctx, programs); err != nil {
		return err
	}
	if err := r.pack(programs, extras); err != nil {
		return err
	}
	return r.sign(ctx)
}

// pack makes all files of a release of programs that are compiled.
func (r *release) pack(programs map[platform]string, x *extras) error {
	for _, dir := range []string{r.page(), r.manifests()} {
		if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
			return err
		}
	}
	for p, program := range programs {
		if err := r.archive(p, program, x); err != nil {
			return fmt.Errorf("archive for %s: %w", p, err)
		}
		if p.os != "linux" {
			continue
		}
		for _, format := range formats() {
			if err := r.pkg(format, p, program, x); err != nil {
				return fmt.Errorf("%s for %s: %w", format.name, p, err)
			}
		}
	}
	err := os.WriteFile(filepath.Join(r.page(), "fnb_"+r.version+".spdx.json"), x.bill, 0o644)
	if err := errors.Join(err, r.installScript()); err != nil {
		return err
	}
	sums, err := r.checksums()
	if err != nil {
		return err
	}
	if err := r.writeManifests(sums, x); err != nil {
		return err
	}
	fmt.Fprintf(r.log, "release: %s has %d files and checksums.txt\n", r.page(), len(sums))
	if r.owner == noOwner {
		fmt.Fprintln(r.log, "release: the module has no repository yet, so the manifests say OWNER; name one with: tools/rename-module github.com/OWNER/fnb")
	}
	return nil
}
