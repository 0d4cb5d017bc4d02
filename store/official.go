package store

import (
	"embed"
	"fmt"
	"io/fs"

	"fnb/internal/spelling"
	"fnb/schema"
	"fnb/store/records"
)

// officialFiles are the functions that are part of the program, a handler's folder
// each.
//
//go:embed all:functions
var officialFiles embed.FS

// officialFunction finds a function that is part of the program.
func (l *lookup) officialFunction() (records.Package, error) {
	all, err := officialFunctions()
	if err != nil {
		return records.Package{}, err
	}
	var names []string
	for _, p := range all {
		if p.Name == l.parsed.Name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return records.Package{}, &NotFoundError{Kind: l.kind, Name: l.ref, Near: append(spelling.Near(l.parsed.Name, names), l.nearInStores()...)}
}

// officialFunctions returns the functions that are part of the program, by name.
func officialFunctions() ([]records.Package, error) {
	entries, err := officialFiles.ReadDir("functions")
	if err != nil {
		return nil, err
	}
	var all []records.Package
	for _, e := range entries {
		handler, err := fs.Sub(officialFiles, "functions/"+e.Name())
		if err != nil {
			return nil, err
		}
		a, err := ReadAbout(handler)
		if err != nil {
			return nil, fmt.Errorf("function %s: %w", e.Name(), err)
		}
		rec := a.Record()
		rec.Name, rec.Version, rec.Language = e.Name(), a.Version, a.Lang
		rec.Built = &schema.RecordBuilt{Template: a.Lang}
		if len(a.Secrets) > 0 {
			rec.Run = &schema.RecordRun{Secrets: a.Secrets}
		}
		all = append(all, records.Package{
			Kind: schema.KindFunction, Name: e.Name(), Store: Official,
			About:    schema.Package{V: schema.RecordVersion, Description: a.Description},
			Versions: []records.PackageVersion{{Record: rec}},
		})
	}
	return all, nil
}

// Record is the part of a function's record that its handler's folder says.
func (a About) Record() schema.Record {
	return schema.Record{
		V: schema.RecordVersion, Kind: schema.KindFunction, Title: a.Title, Description: a.Description, Categories: a.Categories,
		Icon: a.Icon, License: a.License, Author: a.Author, README: a.README, Examples: a.Examples, Try: a.Try,
	}
}
