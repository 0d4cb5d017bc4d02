package main

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/gzip"

	"fnb/internal/plain"
	"fnb/packaging"
	"fnb/schema"
)

// records is the folder of what the last build of each reference was made of.
type records string

// A buildRecord is what an image was made of.
type buildRecord struct {
	Input  string           `json:"input"`
	Digest string           `json:"digest"`
	Inputs packaging.Inputs `json:"inputs"`
}

// place is the file of a reference's record with an input digest. There is one
// for each reference; the input digest in its name spares the reading.
func (r records) place(ref, input string) (folder, file string) {
	sum := sha256.Sum256([]byte(ref))
	folder = filepath.Join(string(r), hex.EncodeToString(sum[:12]))
	return folder, filepath.Join(folder, packaging.InputTag(input))
}

// write keeps what an image was made of, unless that is known.
func (r records) write(ref string, rec buildRecord) error {
	folder, file := r.place(ref, rec.Input)
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	old, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(string(r), ".record-*")
	if err != nil {
		return err
	}
	// A record is mostly short: setting up a compressor with a window would take
	// longer than all the rest.
	w, err := gzip.NewWriterLevel(f, gzip.StatelessCompression)
	if err != nil {
		return errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	err = errors.Join(json.NewEncoder(w).Encode(rec), w.Close(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	for _, o := range old {
		err = errors.Join(err, os.Remove(o))
	}
	return err
}

// testedFile says that the tests of inputs have passed in a stage. It goes when
// the reference has another record.
func (r records) testedFile(ref string, pl *plan) string {
	folder, _ := r.place(ref, pl.digest)
	sum := sha256.Sum256([]byte(pl.digest + "\x00" + pl.req.Test))
	return filepath.Join(folder, "tested-"+hex.EncodeToString(sum[:]))
}

// tested reports whether the tests of equal inputs have passed here before: the
// builder would not run them again either, but take them from its cache.
func (r records) tested(ref string, pl *plan) bool {
	_, err := os.Stat(r.testedFile(ref, pl))
	return err == nil
}

// read returns what the last build of a reference was made of; false where that
// is not known.
func (r records) read(ref string) (buildRecord, bool) {
	folder, _ := r.place(ref, "sha256:"+hex.EncodeToString(make([]byte, sha256.Size)))
	files, err := filepath.Glob(filepath.Join(folder, "fnb-in-*"))
	if err != nil || len(files) != 1 {
		return buildRecord{}, false
	}
	f, err := os.Open(files[0])
	if err != nil {
		return buildRecord{}, false
	}
	defer func() { _ = f.Close() }() // it was only read from
	z, err := gzip.NewReader(f)
	if err != nil {
		return buildRecord{}, false
	}
	var rec buildRecord
	return rec, json.NewDecoder(z).Decode(&rec) == nil
}

// record keeps what the job's image was made of, and says how that differs from
// the last time where somebody asks.
func (p *pipeline) record(j *job, pl *plan) {
	if p.opts.why {
		p.explain(j, pl)
	}
	rec := buildRecord{Input: pl.digest, Digest: j.report.Digest, Inputs: pl.inputs}
	if err := p.records.write(j.refs[0], rec); err != nil {
		j.report.Warnings = append(j.report.Warnings, "what the image was made of was not kept: "+err.Error())
		return
	}
	if pl.req.Test != "" && pl.unpinned == "" {
		_ = os.WriteFile(p.records.testedFile(j.refs[0], pl), nil, 0o600) // else they are run again
	}
}

// explain says which inputs changed since the last build, as far as that is
// known: from the record of that build, or from the image that has the reference.
func (p *pipeline) explain(j *job, pl *plan) {
	if rec, ok := p.records.read(j.refs[0]); ok {
		j.report.Changes = pl.inputs.Since(rec.Inputs)
		if len(j.report.Changes) == 0 {
			j.why = []string{"nothing changed since its last build"}
		}
		for _, c := range j.report.Changes {
			j.why = append(j.why, c.How+": "+c.Name)
		}
		return
	}
	switch {
	case j.was == nil:
		j.why = []string{"no earlier build is known"}
	case j.was[schema.InputLabel] == pl.digest:
		j.why = []string{"nothing changed since the image was made"}
	case j.was[schema.InputLabel] == "":
		j.why = []string{"the image does not say what it was made of"}
	default:
		j.why = labelChanges(j.was, pl)
	}
}

// labelChanges are what the labels of an image that somebody else built tell.
func labelChanges(was map[string]string, pl *plan) []string {
	now := maps.Clone(pl.req.Config.Labels)
	for _, ref := range slices.Sorted(maps.Keys(pl.req.Bases)) {
		if ref == was[labelBaseName] {
			now[labelBaseName], now[labelBaseDigest] = ref, pl.req.Bases[ref]
		}
	}
	out := []string{"the inputs changed; this machine did not make the image, whose labels tell this much"}
	for _, name := range []string{"fnb.template", "fnb.template.checksum", "fnb.watchdog", labelBaseName, labelBaseDigest} {
		if was[name] != now[name] {
			out = append(out, fmt.Sprintf("changed: %s, from %s to %s", name, orNone(was[name]), orNone(now[name])))
		}
	}
	return out
}

func orNone(s string) string { return cmp.Or(s, "none") }

const (
	labelBaseName   = "org.opencontainers.image.base.name"
	labelBaseDigest = "org.opencontainers.image.base.digest"
	whyLines        = 20 // for each function; the report has all
)

// printWhy shows what --why found.
func (g *globals) printWhy(j *job) {
	for i, line := range j.why {
		if i == whyLines {
			fmt.Fprintf(g.err, "fnb: %s: and %d more\n", j.fn.Name, len(j.why)-whyLines)
			return
		}
		fmt.Fprintf(g.err, "fnb: %s: %s\n", j.fn.Name, plain.Line(line))
	}
}
