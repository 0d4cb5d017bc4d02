// Command grypedb writes a database for grype from records in OSV's format, by grype's own code. Such a record is of an
// ecosystem that [ecosystems] has; a withdrawn one is left out.
//
//	grypedb FOLDER RECORD.json…
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/db/v6/name"
	"github.com/anchore/syft/syft/pkg"
	"github.com/spf13/afero"
)

// ecosystems are those of OSV, as the type and the version format that grype has for them.
var ecosystems = map[string]struct {
	kind   pkg.Type
	format string
}{
	"npm": {pkg.NpmPkg, "semver"}, "PyPI": {pkg.PythonPkg, "python"}, "Go": {pkg.GoModulePkg, "go"},
	"crates.io": {pkg.RustPkg, "semver"}, "Maven": {pkg.JavaPkg, "maven"}, "Debian": {pkg.DebPkg, "dpkg"},
}

// record is what is read of one, see https://ossf.github.io/osv-schema.
type record struct {
	ID                string
	Aliases, Upstream []string
	Withdrawn         string
	Affected          []struct {
		Package  struct{ Ecosystem, Name string }
		Versions []string
		Ranges   []struct{ Events []map[string]string }
	}
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "grypedb:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) < 2 {
		return fmt.Errorf("usage: grypedb FOLDER RECORD.json…")
	}
	dir := args[0]
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	db, err := v6.NewWriter(v6.Config{DBDirPath: dir})
	if err != nil {
		return err
	}
	if err := db.SetDBMetadata(); err != nil {
		return err
	}
	for _, file := range args[1:] {
		if err := add(db, file); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if err := db.Close(); err != nil {
		return err
	}
	_, err = v6.WriteImportMetadata(afero.NewOsFs(), dir, "by hand")
	return err
}

func add(db v6.ReadWriter, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var r record
	if err := json.Unmarshal(text, &r); err != nil {
		return err
	}
	if r.Withdrawn != "" {
		return nil
	}
	now := time.Now()
	hole := &v6.VulnerabilityHandle{
		Name: r.ID, Status: v6.VulnerabilityActive,
		Provider:  &v6.Provider{ID: "osv", Version: "1", Processor: "grypedb", DateCaptured: &now},
		BlobValue: &v6.VulnerabilityBlob{ID: r.ID, Aliases: append(r.Aliases, r.Upstream...)},
	}
	if err := db.AddVulnerabilities(hole); err != nil {
		return err
	}
	for _, a := range r.Affected {
		ecosystem, release, _ := strings.Cut(a.Package.Ecosystem, ":")
		of, ok := ecosystems[ecosystem]
		if !ok {
			return fmt.Errorf("unknown ecosystem %q", a.Package.Ecosystem)
		}
		affected := &v6.AffectedPackageHandle{
			VulnerabilityID: hole.ID,
			Package:         &v6.Package{Ecosystem: string(of.kind), Name: name.Normalize(a.Package.Name, of.kind)},
			BlobValue:       &v6.PackageBlob{},
		}
		if release != "" {
			affected.OperatingSystem = &v6.OperatingSystem{Name: "debian", ReleaseID: "debian", MajorVersion: release}
		}
		var constraints []string
		for _, version := range a.Versions {
			constraints = append(constraints, "="+version)
		}
		for _, events := range a.Ranges {
			constraints = append(constraints, spans(events.Events)...)
		}
		for _, c := range constraints {
			affected.BlobValue.Ranges = append(affected.BlobValue.Ranges, v6.Range{Version: v6.Version{Type: of.format, Constraint: c}})
		}
		if err := db.AddAffectedPackages(affected); err != nil {
			return err
		}
	}
	return nil
}

// spans are the events of a range, which are in order, as constraints on a version: each from "introduced" to the end that follows.
func spans(events []map[string]string) []string {
	var out []string
	from, open := "", false
	end := func(to string) {
		if open {
			out = append(out, strings.Trim(from+","+to, ","))
			open = false
		}
	}
	for _, e := range events {
		for kind, version := range e {
			switch kind {
			case "introduced":
				if from, open = ">="+version, true; version == "0" {
					from = ""
				}
			case "fixed":
				end("<" + version)
			case "last_affected":
				end("<=" + version)
			}
		}
	}
	end("")
	return out
}
