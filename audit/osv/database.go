package osv

import (
	"context"
	"errors"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Database is a folder with OSV's archives. Its methods may not be called by several
// goroutines at the same time.
type Database struct {
	dir, cache string
	told       func(file string, size int64)
	open       map[string]*archive // by ecosystem
	notes      []string
}

// An archive is what a database has about an ecosystem.
type archive struct {
	file    *os.File
	index   *index
	answers *answers
}

// A Source is an archive that a database has read something of.
type Source struct {
	Ecosystem string    `json:"ecosystem"`
	File      string    `json:"file"`
	Digest    string    `json:"digest"` // SHA-256 of the archive
	Records   int       `json:"records"`
	Newest    time.Time `json:"newest,omitzero"` // when one of its advisories was changed last
}

// Open opens the database in the folder dir, which is laid out as osv-scanner's; its indexes
// are below cache. Nothing is read yet. Told is called with an archive that has to be read
// whole, once, before that is done; it may be nil.
func Open(dir, cache string, told func(file string, size int64)) *Database {
	return &Database{dir: dir, cache: cache, told: told, open: map[string]*archive{}}
}

// Close closes the archives, and keeps what was found in them for the next time.
func (d *Database) Close() error {
	var errs []error
	for _, a := range d.open {
		a.answers.write()
		errs = append(errs, a.file.Close())
	}
	d.open = map[string]*archive{}
	return errors.Join(errs...)
}

// Sources are the archives that were read, by ecosystem.
func (d *Database) Sources() []Source {
	var out []Source
	for eco, a := range d.open {
		newest, _ := time.Parse(time.RFC3339Nano, a.index.Newest)
		out = append(out, Source{Ecosystem: eco, File: a.file.Name(), Digest: a.index.Digest, Records: a.index.Records, Newest: newest})
	}
	slices.SortFunc(out, func(a, b Source) int { return strings.Compare(a.Ecosystem, b.Ecosystem) })
	return out
}

// Notes are what could not be compared so far, each once.
func (d *Database) Notes() []string { return d.notes }

// layouts are the folders in which an ecosystem's archive may lie, the newest first.
// osv-scanner reads the first one since 2.5, and the second one before that.
func layouts(dir, ecosystem string) []string {
	return []string{
		filepath.Join(dir, "osv-scalibr", ecosystem, "all.zip"),
		filepath.Join(dir, "osv-scanner", ecosystem, "all.zip"),
		filepath.Join(dir, ecosystem, "all.zip"),
	}
}

// isEcosystem reports whether a name can be that of an ecosystem, and of a folder.
func isEcosystem(name string) bool {
	if name == "" || len(name) > 64 || name[0] == '.' {
		return false
	}
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(" .-_", r) {
			return false
		}
	}
	return true
}

// find is the archive of an ecosystem; "" where there is none.
func find(dir, ecosystem string) (string, error) {
	for _, file := range layouts(dir, ecosystem) {
		_, err := os.Stat(file)
		switch {
		case err == nil:
			return file, nil
		case !errors.Is(err, fs.ErrNotExist):
			return "", err
		}
	}
	return "", nil
}

// Missing are the ecosystems of packages about which the database has nothing, sorted.
func (d *Database) Missing(pkgs []Package) ([]string, error) {
	var out []string
	for _, eco := range ecosystems(pkgs) {
		if d.open[eco] != nil {
			continue
		}
		file, err := find(d.dir, eco)
		if err != nil {
			return nil, err
		}
		if file == "" {
			out = append(out, eco)
		}
	}
	return out, nil
}

// ecosystems are those of packages, without releases of distributions, each once, sorted.
func ecosystems(pkgs []Package) []string {
	var out []string
	last := ""
	for _, p := range pkgs {
		eco := base(p.Ecosystem)
		if eco == last || !isEcosystem(eco) {
			continue
		}
		last = eco
		if !slices.Contains(out, eco) {
			out = append(out, eco)
		}
	}
	slices.Sort(out)
	return out
}

func (d *Database) archive(ctx context.Context, eco string) (*archive, error) {
	if a := d.open[eco]; a != nil {
		return a, nil
	}
	if !isEcosystem(eco) {
		return nil, &MissingError{d.dir, []string{eco}}
	}
	path, err := find(d.dir, eco)
	if err != nil {
		return nil, err
	}
	if path == "" {
		return nil, &MissingError{d.dir, []string{eco}}
	}
	f, err := os.Open(path) //nolint:gosec // in the folder that was named
	if err != nil {
		return nil, err
	}
	x, err := indexOf(ctx, f, eco, d.cache, d.told)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	kept, err := indexFile(path, eco, d.cache)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	a := &archive{f, x, readAnswers(kept+".answers", x.Digest)}
	d.open[eco] = a
	return a, nil
}

// Find returns the advisories about a version of a package, by their IDs. Withdrawn ones are
// left out. Without an archive of its ecosystem the error is a [MissingError], and with one
// that is cut off or damaged a [BrokenError].
func (d *Database) Find(ctx context.Context, p Package) ([]Advisory, error) {
	a, err := d.archive(ctx, base(p.Ecosystem))
	if err != nil {
		return nil, err
	}
	p = p.normal()
	if len(p.Name) > maxName || strings.ContainsRune(p.Name, 0) {
		return nil, nil
	}
	places := a.index.places(p.Ecosystem, p.Name)
	if b := base(p.Ecosystem); b != p.Ecosystem {
		places = append(places, a.index.places(b, p.Name)...)
	}
	found, known := a.answers.of(p, places)
	if known {
		places = found
	}
	// What is not compared is said each time.
	known = known || len(places) == 0 || len(places) > math.MaxUint16
	var out []Advisory
	var hits []uint16
	has := map[string]bool{}
	for i, at := range places {
		data, err := at.read(a.file)
		if err != nil {
			return nil, &BrokenError{File: a.file.Name(), Record: "an advisory about " + p.Name, Err: err}
		}
		var r record
		if err := decode(data, &r); err != nil {
			return nil, &BrokenError{File: a.file.Name(), Record: "an advisory about " + p.Name, Err: err}
		}
		adv, is, notes := r.match(p)
		known = known || len(notes) > 0
		if is {
			hits = append(hits, uint16(i)) //nolint:gosec // or it is not kept
		}
		for _, n := range notes {
			if len(d.notes) < 100 && !slices.Contains(d.notes, n) {
				d.notes = append(d.notes, n)
			}
		}
		if is && !has[adv.ID] {
			has[adv.ID] = true
			out = append(out, adv)
		}
	}
	if !known {
		a.answers.keep(p, hits)
	}
	slices.SortFunc(out, func(a, b Advisory) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}
