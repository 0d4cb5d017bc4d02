package records

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"fnb/internal/plain"
	"fnb/schema"
	"fnb/store/git"
)

const (
	// SnapshotFile is the file of an index that has all that a store has.
	SnapshotFile = "versions.ndjson.gz"
	// maxSnapshotLine bounds a line of it: a record, and why it was withdrawn.
	maxSnapshotLine = 2*schema.MaxRecordSize + 4<<10
	// maxSnapshotPackage bounds the lines of one package, which are in memory at once.
	maxSnapshotPackage = 64 << 20
	// maxSnapshotLines bounds the lines, five times as many as the largest store that was tried.
	maxSnapshotLines = 1_000_000
	// MaxSnapshotIdle bounds the lines that say nothing: of a later fnb, packages without
	// versions, and records that are none. A megabyte of these may stand for a gigabyte.
	MaxSnapshotIdle = 10_000
)

// A snapshotLine is one line of a snapshot: its head, a package, one of the versions
// of the package before it, or the end. A line that is none of these is of a later fnb.
type snapshotLine struct {
	Index   *snapshotHead    `json:"index,omitempty"`
	Owners  *snapshotOwners  `json:"owners,omitempty"`
	Package *snapshotPackage `json:"package,omitempty"`
	Record  json.RawMessage  `json:"record,omitempty"`
	Yanked  json.RawMessage  `json:"yanked,omitempty"` // with Record
	End     *snapshotEnd     `json:"end,omitempty"`

	Signed       *signedLine `json:"signed,omitempty"`       // of Record
	YankedSigned *signedLine `json:"yankedSigned,omitempty"` // of Yanked
}

type snapshotHead struct {
	V      int    `json:"v"` // of the format: 1
	Origin string `json:"origin,omitempty"`
}

// A snapshotOwners is one of the owners of a namespace that has keys, from the first on.
type snapshotOwners struct {
	Namespace string          `json:"namespace"`
	File      json.RawMessage `json:"file"`
	Signed    *signedLine     `json:"signed,omitempty"`
}

type snapshotPackage struct {
	Kind   string          `json:"kind"`
	Name   string          `json:"name"`
	About  json.RawMessage `json:"about,omitempty"`  // its package.json
	Signed *signedLine     `json:"signed,omitempty"` // of About
}

// A signedLine is the signatures of a file that is in a line, and the file itself where its
// spaces are not those that fnb writes: what is signed is every byte.
type signedLine struct {
	By   json.RawMessage `json:"by"`
	File string          `json:"file,omitempty"`
}

// newSignedLine is what a line needs of a file beside it; nil where it is not signed.
func newSignedLine(e Evidence, inLine json.RawMessage) *signedLine {
	if e.Signature == nil || !json.Valid(e.Signature) {
		return nil
	}
	l := &signedLine{By: e.Signature}
	if !bytes.Equal(spaced(inLine), e.Data) {
		l.File = string(e.Data)
	}
	return l
}

// evidence is the file of a line with its signatures.
func (l *signedLine) evidence(inLine json.RawMessage) Evidence {
	if l == nil {
		return Evidence{Data: spaced(inLine)}
	}
	if l.File != "" {
		return Evidence{Data: []byte(l.File), Signature: l.By}
	}
	return Evidence{Data: spaced(inLine), Signature: l.By}
}

// spaced is a document with the spaces and lines that fnb writes.
func spaced(data json.RawMessage) []byte {
	var b, out bytes.Buffer
	if json.Compact(&b, data) != nil || json.Indent(&out, b.Bytes(), "", "  ") != nil {
		return data
	}
	out.WriteByte('\n')
	return out.Bytes()
}

// A snapshotEnd is how many there were, by which a part of a snapshot is known.
type snapshotEnd struct {
	Packages int `json:"packages"`
	Versions int `json:"versions"`
}

// A snapshotWriter writes all that a store has into one file.
type snapshotWriter struct {
	*packedLines
	end snapshotEnd
}

func (w *snapshotWriter) begin(spaces Spaces) error {
	if err := w.packedLines.add(snapshotLine{Index: &snapshotHead{V: schema.RecordVersion, Origin: spaces.Origin}}); err != nil {
		return err
	}
	for _, ns := range slices.Sorted(maps.Keys(spaces.Owners)) {
		for _, e := range spaces.Owners[ns] {
			if !json.Valid(e.Data) {
				continue // whoever reads it misses it, and says so
			}
			line := snapshotOwners{Namespace: ns, File: e.Data, Signed: newSignedLine(e, e.Data)}
			if err := w.packedLines.add(snapshotLine{Owners: &line}); err != nil {
				return err
			}
		}
	}
	return nil
}

// add writes a package whose records were read from a store's files.
func (w *snapshotWriter) add(p StoredPackage) error {
	head := snapshotPackage{Kind: p.Kind(), Name: p.Name}
	if p.About.V > 0 {
		var err error
		if head.About, err = p.About.Marshal(); err != nil {
			return err
		}
		head.Signed = newSignedLine(p.Evidence, head.About)
	}
	if err := w.packedLines.add(snapshotLine{Package: &head}); err != nil {
		return err
	}
	for _, v := range p.Versions {
		line := snapshotLine{Record: v.Evidence.Data, Signed: newSignedLine(v.Evidence, v.Evidence.Data)}
		if v.Yanked != nil {
			var err error
			if line.Yanked, err = v.Yanked.Marshal(); err != nil {
				return err
			}
			line.YankedSigned = newSignedLine(v.YankEvidence, line.Yanked)
		}
		if err := w.packedLines.add(line); err != nil {
			return err
		}
	}
	w.end.Packages++
	w.end.Versions += len(p.Versions)
	return nil
}

// finish writes the end.
func (w *snapshotWriter) finish() error {
	return errors.Join(w.packedLines.add(snapshotLine{End: &w.end}), w.packedLines.finish())
}

// ErrNoSnapshot is wrapped by the error for what does not even begin as a snapshot.
var ErrNoSnapshot = errors.New("it is not the index of a store")

// A snapshotReader reads a snapshot. Nothing that it has is believed: each line goes
// through the parser of the file of a store that it stands for.
type snapshotReader struct {
	url string
	Taker

	spaces Spaces
	line   int
	idle   int // lines that say nothing
	seen   snapshotEnd
	ended  bool
	at     StoredPackage // the package of the lines that are read
	kind   string        // its kind; "" before the first
	skip   bool          // it is passed over
	weight int           // bytes of its lines
}

// ReadSnapshot gives the packages of a snapshot, of which unpacked is the most bytes.
func ReadSnapshot(ctx context.Context, url string, file io.Reader, unpacked int64) Feed {
	return func(to Taker) error {
		r := &snapshotReader{url: url, Taker: to, spaces: Spaces{Owners: map[string][]Evidence{}}}
		plain := bufio.NewReaderSize(file, 64<<10)
		var all io.Reader = plain
		// A server that takes the file for a compressed page may have unpacked it.
		if start, err := plain.Peek(2); err == nil && bytes.Equal(start, []byte{0x1f, 0x8b}) {
			z, err := gzip.NewReader(plain)
			if err != nil {
				return r.damaged(err)
			}
			all = z
		}
		limit := &git.LimitError{Source: url, What: "the index unpacked has more bytes", Limit: unpacked}
		lines := bufio.NewScanner(&git.BoundedReader{R: all, Left: unpacked, Err: limit})
		lines.Buffer(make([]byte, 64<<10), maxSnapshotLine)
		for lines.Scan() && lines.Err() == nil { // what is before an error is half a line
			r.line++
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := r.read(lines.Bytes()); err != nil {
				return err
			}
		}
		return r.finish(lines.Err())
	}
}

// finish returns what is wrong with all of a snapshot, which ended with err.
func (r *snapshotReader) finish(err error) error {
	if l, ok := errors.AsType[*git.LimitError](err); ok {
		return l
	}
	switch {
	case errors.Is(err, bufio.ErrTooLong):
		return &git.LimitError{Source: r.url, What: fmt.Sprintf("line %d of the index has more bytes", r.line+1), Limit: maxSnapshotLine}
	case err != nil:
		return r.damaged(err)
	case r.line == 0:
		return &git.UnreachableError{URL: r.url, Err: ErrNoSnapshot}
	case !r.ended:
		return r.damaged(errors.New("its end is missing"))
	}
	return nil
}

func (r *snapshotReader) damaged(err error) error {
	return &git.UnreachableError{URL: r.url, Err: fmt.Errorf("the index is damaged: %w", plain.Error(err))}
}

func (r *snapshotReader) damagedf(format string, args ...any) error {
	return r.damaged(fmt.Errorf("line %d: "+format, append([]any{r.line}, args...)...))
}

// read reads one line.
func (r *snapshotReader) read(data []byte) error {
	var l snapshotLine
	err := json.Unmarshal(data, &l)
	switch {
	case r.line == 1:
		return r.head(l.Index, err)
	case err != nil:
		return r.damagedf("%w", err)
	case r.ended:
		return r.damagedf("it is after the end")
	case r.line > maxSnapshotLines:
		return &git.LimitError{Source: r.url, What: "the index has more lines", Limit: maxSnapshotLines}
	case l.Owners != nil:
		return r.owners(*l.Owners)
	case l.Package != nil:
		if err := r.flush(); err != nil {
			return err
		}
		return r.begin(*l.Package)
	case l.Record != nil:
		r.weight += len(data)
		return r.version(l)
	case l.End != nil:
		r.ended = true
		if *l.End != r.seen {
			return r.damagedf("it has %d packages with %d versions, but must have %d with %d", r.seen.Packages, r.seen.Versions, l.End.Packages, l.End.Versions)
		}
		if err := r.tellSpaces(); err != nil {
			return err
		}
		return r.flush()
	}
	return r.saysNothing()
}

// saysNothing counts one more line of which nothing comes.
func (r *snapshotReader) saysNothing() error {
	if r.idle++; r.idle > MaxSnapshotIdle {
		return &git.LimitError{Source: r.url, What: "the index has more lines that say nothing", Limit: MaxSnapshotIdle}
	}
	return nil
}

func (r *snapshotReader) head(h *snapshotHead, err error) error {
	switch {
	case err != nil || h == nil || h.V < 1:
		return &git.UnreachableError{URL: r.url, Err: ErrNoSnapshot}
	case h.V > schema.RecordVersion:
		return fmt.Errorf("reading %s: %w: its format is %d, and this fnb understands %d", r.url, schema.ErrNewerFormat, h.V, schema.RecordVersion)
	}
	r.spaces.Origin = h.Origin
	return nil
}

// owners reads one of the owners of a namespace. They are before all packages.
func (r *snapshotReader) owners(o snapshotOwners) error {
	switch {
	case r.seen.Packages > 0:
		return r.damagedf("the owners of a namespace are behind a package")
	case schema.ValidateName(o.Namespace) != nil || o.File == nil:
		return r.damagedf("it has no owners of a namespace")
	case len(r.spaces.Owners[o.Namespace]) >= maxOwners:
		return &git.LimitError{Source: r.url, What: "a namespace has more owners, one after the other", Limit: maxOwners}
	}
	e := o.Signed.evidence(o.File)
	if r.weight += len(e.Data) + len(e.Signature); r.weight > maxSpaces {
		return &git.LimitError{Source: r.url, What: "the owners of all namespaces have more bytes", Limit: maxSpaces}
	}
	r.spaces.Owners[o.Namespace] = append(r.spaces.Owners[o.Namespace], e)
	return nil
}

// tellSpaces gives the namespaces that have keys, before the first package and at the end.
func (r *snapshotReader) tellSpaces() error {
	spaces := r.spaces
	r.spaces = Spaces{}
	if r.Spaces == nil || len(spaces.Owners) == 0 {
		return nil
	}
	return r.Spaces(spaces)
}

// begin begins a package. One that only a later fnb understands is passed over.
func (r *snapshotReader) begin(p snapshotPackage) error {
	if err := r.tellSpaces(); err != nil {
		return err
	}
	r.seen.Packages++
	last, lastKind := r.at.Name, r.kind
	r.at, r.kind, r.weight = StoredPackage{Name: p.Name}, p.Kind, 0
	place := fmt.Sprintf("line %d of the index", r.line)
	if r.skip = !slices.Contains(Kinds(), p.Kind); r.skip {
		r.Pass(place, fmt.Errorf("this fnb does not know the kind %q", p.Kind))
		r.at.Name, r.kind = last, lastKind
		return nil
	}
	if err := schema.ValidatePackageName(p.Name); err != nil {
		return r.damagedf("%w", err)
	}
	if lastKind != "" && ComparePackages(lastKind, last, p.Kind, p.Name) >= 0 {
		return r.damagedf("%s is there twice, or not in order", p.Name)
	}
	if p.About != nil {
		var err error
		if r.at.About, err = schema.ParsePackage(place, p.About); err != nil {
			r.Pass(place, err)
		}
		r.at.Evidence = p.Signed.evidence(p.About)
	}
	return nil
}

// ComparePackages compares two packages as they follow one another in a store.
func ComparePackages(kindA, a, kindB, b string) int {
	if kindA != kindB {
		return slices.Index(Kinds(), kindA) - slices.Index(Kinds(), kindB)
	}
	return slices.Compare(strings.Split(a, "/"), strings.Split(b, "/"))
}

// version reads a version of the package that has begun.
func (r *snapshotReader) version(l snapshotLine) error {
	r.seen.Versions++
	switch {
	case r.kind == "" && !r.skip:
		return r.damagedf("a version is before any package")
	case r.skip:
		return nil
	case r.weight > maxSnapshotPackage:
		return &git.LimitError{Source: r.url, What: "the records of " + r.at.Name + " have more bytes", Limit: maxSnapshotPackage}
	}
	place := fmt.Sprintf("line %d of the index, of %s", r.line, path.Join(KindDir(r.kind), r.at.Name))
	rec, err := schema.ParseRecord(place, l.Record)
	if err == nil && (rec.Kind != r.kind || rec.Name != r.at.Name) {
		err = fmt.Errorf("it is the record of the %s %s", rec.Kind, rec.Name)
	}
	if err != nil {
		r.Pass(place, err)
		if errors.Is(err, schema.ErrNewerFormat) {
			return nil
		}
		return r.saysNothing()
	}
	v := StoredVersion{Record: rec, Deprecated: r.at.About.Deprecated, Evidence: l.Signed.evidence(l.Record)}
	if l.Yanked != nil {
		y := readYank(place, l.Yanked, r.Pass)
		v.Yanked, v.YankEvidence = &y, l.YankedSigned.evidence(l.Yanked)
	}
	if n := len(r.at.Versions); n > 0 && CompareVersions(r.at.Versions[n-1].Version, rec.Version) >= 0 {
		return r.damagedf("version %s of %s is there twice, or not in order", rec.Version, rec.Name)
	}
	r.at.Versions = append(r.at.Versions, v)
	return nil
}

// flush gives the package that has ended.
func (r *snapshotReader) flush() error {
	if len(r.at.Versions) == 0 {
		if r.kind == "" {
			return nil
		}
		return r.saysNothing()
	}
	p := r.at
	r.at.Versions = nil
	return r.Add(p)
}
