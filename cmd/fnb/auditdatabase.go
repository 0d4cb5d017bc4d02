package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"github.com/spf13/pflag"

	"fnb/audit"
	"fnb/audit/osv"
	"fnb/internal/plain"
)

// databaseFlags say where advisories are.
type databaseFlags struct {
	folder string
	source string
	update bool
}

// addFlags adds the flags; when is what the help of each begins with.
func (o *databaseFlags) addFlags(f *pflag.FlagSet, when string) {
	f.StringVar(&o.folder, "db", "", when+"read the database in `DIR`, laid out as osv-scanner's (default where osv-scanner keeps it)")
	f.BoolVar(&o.update, "update-db", false, when+"fetch the newest database first, of the ecosystems that are needed or there")
	f.StringVar(&o.source, "db-source", osv.Published, "with --update-db, fetch it from `URL`")
}

// openDatabase opens the database in a folder; who opens it closes it.
func (g *globals) openDatabase(dir, cache string) *osv.Database {
	return osv.Open(dir, cache, func(file string, size int64) {
		g.tellMore([]string{"reading all of " + relative(file) + " (" + plain.Size(size) + "), once"})
	})
}

// dirs are the folder of the database, where osv-scanner keeps it unless one is named, and that of what was read from it.
func (o *databaseFlags) dirs() (dir, cache string, err error) {
	own, err := cacheDir()
	if err != nil {
		return "", "", err
	}
	cache = filepath.Join(own, "audit")
	if o.folder != "" {
		return o.folder, cache, nil
	}
	if dir := os.Getenv("OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY"); dir != "" {
		return dir, cache, nil
	}
	return filepath.Dir(own), cache, nil
}

// updateDatabase fetches what is known of the ecosystems of subjects, and of those that are
// there.
func (g *globals) updateDatabase(ctx context.Context, source, dir, cache string, subjects []audit.Subject) error {
	wanted := osv.Stored(dir)
	for _, s := range subjects {
		var asks []osv.Package
		for _, p := range s.Document.Packages {
			asks = append(asks, audit.Asked(p))
		}
		wanted = append(wanted, osv.Ecosystems(asks)...)
	}
	slices.Sort(wanted)
	for _, eco := range slices.Compact(wanted) {
		if eco == "JSR" { // which OSV has not
			continue
		}
		got, err := osv.Update(ctx, source, dir, cache, eco)
		if err != nil {
			return err
		}
		if got.Unchanged {
			g.tellMore([]string{"advisories for " + eco + ": nothing newer"})
		} else {
			g.tellMore([]string{"advisories for " + eco + ": " + plain.Count(got.Records, "record", "records") + ", " + plain.Size(got.Size)})
		}
	}
	return nil
}
