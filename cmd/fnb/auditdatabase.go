package main

import (
	"context"
	"os"
	"path/filepath"
	"slices"

	"fnb/audit"
	"fnb/audit/osv"
	"fnb/internal/plain"
)

// databaseDir is the folder of the database: where osv-scanner keeps it, unless one is named.
func (o *auditOptions) databaseDir() (dir, cache string, err error) {
	own, err := cacheDir()
	if err != nil {
		return "", "", err
	}
	cache = filepath.Join(own, "audit")
	if o.database != "" {
		return o.database, cache, nil
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
