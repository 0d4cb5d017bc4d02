package store

import (
	"embed"
	"fmt"
	"io/fs"

	"fnb/schema"
)

// officialFiles are the functions that are part of the program, a handler's folder
// each.
//
//go:embed all:functions
var officialFiles embed.FS

// officialFunction finds a function that is part of the program.
func (l *lookup) officialFunction() (Package, error) {
	all, err := officialFunctions()
	if err != nil {
		return Package{}, err
	}
	var names []string
	for _, p := range all {
		if p.Name == l.parsed.Name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Package{}, &NotFoundError{Kind: l.kind, Name: l.ref, Near: append(schema.Near(l.parsed.Name, names), l.nearInStores()...)}
}

// officialFunctions returns the functions that are part of the program, by name.
func officialFunctions() ([]Package, error) {
	entries, err := officialFiles.ReadDir(functionsDir)
	if err != nil {
		return nil, err
	}
	var all []Package
	for _, e := range entries {
		handler, err := fs.Sub(officialFiles, functionsDir+"/"+e.Name())
		if err != nil {
			return nil, err
		}
		a, err := ReadAbout(handler)
		if err != nil {
			return nil, fmt.Errorf("function %s: %w", e.Name(), err)
		}
		rec := a.record()
		rec.Name, rec.Version, rec.Language = e.Name(), a.Version, a.Lang
		rec.Built = &schema.RecordBuilt{Template: a.Lang}
		all = append(all, Package{
			Kind: schema.KindFunction, Name: e.Name(), Store: Official,
			About:    schema.Package{V: schema.RecordVersion, Description: a.Description},
			Versions: []PackageVersion{{Record: rec}},
		})
	}
	return all, nil
}

// record is the part of a function's record that its handler's folder says.
func (a About) record() schema.Record {
	return schema.Record{
		V: schema.RecordVersion, Kind: schema.KindFunction, Title: a.Title, Description: a.Description, Categories: a.Categories,
		Icon: a.Icon, License: a.License, Author: a.Author, README: a.README, Examples: a.Examples,
	}
}
