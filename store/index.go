package store

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"

	"fnb/internal/plain"
	"fnb/origin"
	"fnb/schema"
)

const (
	versionsFile = "versions.ndjson"
	maxProblems  = 20 // that an index remembers
)

// An index is what the cache has of one store:
//
//	stores/HEX.json               an indexState, HEX the SHA-256 of the URL
//	stores/HEX/…/templates.tsv    one line for each template, by name
//	stores/HEX/…/functions.tsv    one line for each function, by name
//	stores/HEX/…/versions.ndjson  one line for each version, by package
//
// The state has the checksums of the names, and each name that of its versions.
type index struct {
	state indexState
	dir   string
	names map[string][]byte // by kind
	again []string          // keys of state.Returned that are new in this reading
}

// namesFile is the file of an index that has the names of a kind.
func namesFile(kind string) string { return kindDir(kind) + ".tsv" }

type indexState struct {
	URL      string    `json:"url"`
	Commit   string    `json:"commit,omitempty"` // or what else tells one content from another
	ETag     string    `json:"etag,omitempty"`
	Checked  time.Time `json:"checked"`
	Dir      string    `json:"dir"`
	Problems []string  `json:"problems,omitempty"`
	Passed   int       `json:"passed,omitempty"` // files that were passed over
	// Reach is how far away the store was; 0 is this machine.
	Reach origin.Reach `json:"reach,omitempty"`
	// Returned are versions that were withdrawn and are not any more, as
	// "kind name@version", and why they had been.
	Returned map[string]string `json:"returned,omitempty"`

	Names map[string]string `json:"sums"` // checksum of the names, by kind
}

// A summary is one line of the names.
type summary struct {
	Name        string // namespace/name
	Latest      string // the highest stable version that is not yanked, or ""
	Language    string
	Tags        string
	Deprecated  string
	Title       string
	Categories  string // separated by spaces
	Platforms   string // separated by spaces; "" for any
	Description string

	offset, size int64
	sum          string // of the versions' lines
}

func (m summary) line() string {
	return strings.Join([]string{
		m.Name, m.Latest, m.Language, m.Tags, m.Deprecated,
		strconv.FormatInt(m.offset, 10), strconv.FormatInt(m.size, 10), m.sum,
		m.Title, m.Categories, m.Platforms, m.Description,
	}, "\t") + "\n"
}

func parseSummary(line string) (summary, bool) {
	f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
	if len(f) != 12 {
		return summary{}, false
	}
	m := summary{
		Name: f[0], Latest: f[1], Language: f[2], Tags: f[3], Deprecated: f[4], sum: f[7],
		Title: f[8], Categories: f[9], Platforms: f[10], Description: f[11],
	}
	var errs [2]error
	m.offset, errs[0] = strconv.ParseInt(f[5], 10, 64)
	m.size, errs[1] = strconv.ParseInt(f[6], 10, 64)
	return m, errors.Join(errs[:]...) == nil
}

// summarize tells the most important of a package. A text that could break the
// line or a terminal is made plain.
func summarize(p pack) summary {
	v := newestOf(p.versions)
	m := summary{
		Name: p.name, Language: plain.Short(v.Language), Tags: plain.Short(strings.Join(p.about.Tags, " ")), Description: plain.Short(v.Description),
		Title: plain.Short(v.Title), Categories: plain.Short(strings.Join(v.Categories, " ")), Platforms: plain.Short(strings.Join(v.RunsOn(), " ")),
	}
	if v.Yanked == nil {
		m.Latest = v.Version
	}
	if p.about.Description != "" {
		m.Description = plain.Short(p.about.Description)
	}
	if d := p.about.Deprecated; d != nil {
		m.Deprecated = plain.Short("deprecated: " + d.Reason)
	}
	return m
}

// newestOf is the version that speaks for a package: the highest stable one that is
// not withdrawn, or else the highest.
func newestOf(versions []indexed) indexed {
	return newest(versions, func(v indexed) bool { return v.Yanked == nil && isStable(v.Version) })
}

// newest is the highest of versions, which ascend, that may be used, or else the
// highest.
func newest[V any](versions []V, usable func(V) bool) V {
	for _, v := range slices.Backward(versions) {
		if usable(v) {
			return v
		}
	}
	return versions[len(versions)-1]
}

func isStable(version string) bool {
	v, err := semver.StrictNewVersion(version)
	return err == nil && v.Prerelease() == ""
}

// content is what a version is, whenever and by whomever it is published: the
// checksum of a template's files, or of all that the record of a function says.
func content(rec schema.Record) string {
	if rec.Kind != schema.KindFunction {
		return rec.Checksum
	}
	rec.Published = nil
	data, err := rec.Marshal()
	if err != nil {
		return "" // unknown keys that are no JSON, which no reader lets through
	}
	return "sha256:" + hexSum(data)
}

func hexSum(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// An indexWriter writes an index into a folder.
type indexWriter struct {
	dir      string
	versions *os.File
	buffer   *bufio.Writer
	offset   int64
	names    map[string]*bytes.Buffer // by kind
}

func newIndexWriter(dir string) (*indexWriter, error) {
	f, err := os.Create(filepath.Join(dir, versionsFile))
	if err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	w := &indexWriter{dir: dir, versions: f, buffer: bufio.NewWriterSize(f, 1<<20), names: map[string]*bytes.Buffer{}}
	for _, kind := range kinds() {
		w.names[kind] = &bytes.Buffer{}
	}
	return w, nil
}

func (w *indexWriter) add(p pack) error {
	m := summarize(p)
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, v := range p.versions {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	m.offset, m.size, m.sum = w.offset, int64(lines.Len()), hexSum(lines.Bytes())
	w.offset += m.size
	w.names[p.kind()].WriteString(m.line())
	if _, err := w.buffer.Write(lines.Bytes()); err != nil {
		return fmt.Errorf("using the cache: %w", err)
	}
	return nil
}

// close finishes the files and returns the names.
func (w *indexWriter) close() (map[string][]byte, error) {
	err := errors.Join(w.buffer.Flush(), w.versions.Sync(), w.versions.Close())
	names := map[string][]byte{}
	for kind, b := range w.names {
		names[kind] = b.Bytes()
		if err == nil {
			err = schema.WriteFile(filepath.Join(w.dir, namesFile(kind)), b.Bytes(), 0o600)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	return names, nil
}

func (c *cache) indexPath(url, suffix string) string {
	return filepath.Join(c.dir, "stores", hexSum([]byte(url))+suffix)
}

// openIndex opens what the cache has of a store. What is damaged counts as
// missing.
func (c *cache) openIndex(url string) (*index, bool) {
	x := &index{names: map[string][]byte{}}
	data, err := os.ReadFile(c.indexPath(url, ".json"))
	if err != nil || json.Unmarshal(data, &x.state) != nil || x.state.URL != url || !filepath.IsLocal(x.state.Dir) {
		return nil, false
	}
	x.dir = filepath.Join(c.indexPath(url, ""), x.state.Dir)
	for _, kind := range kinds() {
		x.names[kind], err = os.ReadFile(filepath.Join(x.dir, namesFile(kind)))
		if err != nil || hexSum(x.names[kind]) != x.state.Names[kind] {
			return nil, false
		}
	}
	return x, true
}

// saveIndexState makes an index the one that is opened; the store's lock is held.
func (c *cache) saveIndexState(st indexState) error {
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	return schema.WriteFile(c.indexPath(st.URL, ".json"), append(data, '\n'), 0o600)
}

// forgetIndex removes what the cache has of a store; its lock is held.
func (c *cache) forgetIndex(url string) error {
	err := os.Remove(c.indexPath(url, ".json"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(c.indexPath(url, "")))
}

// all returns the packages of a kind, by name.
func (x *index) all(kind string) []summary {
	var all []summary
	for line := range strings.Lines(string(x.names[kind])) {
		if m, ok := parseSummary(line); ok {
			all = append(all, m)
		}
	}
	return all
}

// namespaces returns the namespaces of the store, sorted.
func (x *index) namespaces() []string {
	var all []string
	for _, names := range x.names {
		for line := range bytes.Lines(names) {
			if ns, _, ok := bytes.Cut(line, []byte("/")); ok && (len(all) == 0 || all[len(all)-1] != string(ns)) {
				all = append(all, string(ns))
			}
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// find returns the summary of a package.
func (x *index) find(kind, name string) (summary, bool) {
	names, at := x.names[kind], 0
	if start := []byte(name + "\t"); !bytes.HasPrefix(names, start) {
		if at = bytes.Index(names, append([]byte("\n"), start...)) + 1; at == 0 {
			return summary{}, false
		}
	}
	line, _, _ := bytes.Cut(names[at:], []byte("\n"))
	return parseSummary(string(line))
}

var errDamagedIndex = errors.New("the cache of the store is damaged")

// versionsOf returns the versions of a package, ascending, after they were found
// to be those that the index was made with.
func (x *index) versionsOf(m summary) (_ []indexed, err error) {
	f, err := os.Open(filepath.Join(x.dir, versionsFile))
	if err != nil {
		return nil, errDamagedIndex
	}
	defer func() { _ = f.Close() }() // it was only read from
	data, err := io.ReadAll(io.NewSectionReader(f, m.offset, m.size))
	if err != nil || hexSum(data) != m.sum {
		return nil, errDamagedIndex
	}
	var all []indexed
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		var v indexed
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, errDamagedIndex
		}
		all = append(all, v)
	}
}

// A feed gives each package of a store, by name, to add, and what it passes over to
// pass.
type feed func(add func(pack) error, pass func(file string, err error)) error

// note remembers a file that was passed over, of very many the first.
func (st *indexState) note(file string, err error) {
	if st.Passed++; len(st.Problems) < maxProblems {
		st.Problems = append(st.Problems, plain.Short(file+": "+err.Error()))
	}
}

// buildIndex writes what a store has into the cache and opens it; the store's
// lock is held. old is what the cache had before, nil for nothing: none of its
// versions may be gone or different.
func (c *cache) buildIndex(st indexState, old *index, packages feed) (_ *index, err error) {
	parent := c.indexPath(st.URL, "")
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	dir, err := os.MkdirTemp(parent, "")
	if err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir) // the error is known
		}
	}()
	w, err := newIndexWriter(dir)
	if err != nil {
		return nil, err
	}
	err = packages(w.add, st.note)
	names, cerr := w.close()
	if err = errors.Join(err, cerr); err != nil {
		return nil, err
	}
	st.Dir, st.Names = filepath.Base(dir), map[string]string{}
	for kind, data := range names {
		st.Names[kind] = hexSum(data)
	}
	x := &index{state: st, dir: dir, names: names}
	if old != nil {
		if err := x.continues(old); err != nil {
			return nil, err
		}
	}
	if err := c.saveIndexState(x.state); err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(parent)
	if err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	for _, e := range entries {
		if e.Name() != st.Dir {
			_ = os.RemoveAll(filepath.Join(parent, e.Name())) // it is only in the way
		}
	}
	return x, nil
}

// returnedKey is a version's key in [indexState].Returned.
func returnedKey(kind, name, version string) string { return kind + " " + name + "@" + version }

// continues returns an error unless every version of old is in x as it was: a
// store only grows. Versions that may be used again, which old had as withdrawn, are
// noted for as long as that is so.
func (x *index) continues(old *index) error {
	x.state.Returned = maps.Clone(old.state.Returned)
	for _, kind := range kinds() {
		if err := x.continuesIn(kind, old); err != nil {
			return err
		}
	}
	return nil
}

// returned notes that a version was withdrawn and is not any more, or is again.
func (x *index) returned(key string, before, now *schema.Yank) {
	switch {
	case now != nil:
		delete(x.state.Returned, key)
	case before != nil:
		if x.state.Returned == nil {
			x.state.Returned = map[string]string{}
		}
		x.state.Returned[key] = plain.Short(before.Reason)
		x.again = append(x.again, key)
	}
}

// returnedNote says of a version with a key of Returned that it was withdrawn before.
func (x *index) returnedNote(c Configured, key string) string {
	return fmt.Sprintf("store %s: %s may be used again; it had been withdrawn: %s", c.Name, key, x.state.Returned[key])
}

func (x *index) continuesIn(kind string, old *index) error {
	now := map[string]summary{}
	for _, m := range x.all(kind) {
		now[m.Name] = m
	}
	for _, was := range old.all(kind) {
		m, ok := now[was.Name]
		if ok && m.sum == was.sum {
			continue
		}
		before, err := old.versionsOf(was)
		if err != nil {
			continue // what is damaged cannot be compared with
		}
		var after []indexed
		if ok {
			if after, err = x.versionsOf(m); err != nil {
				return err
			}
		}
		versions := map[string]indexed{}
		for _, a := range after {
			versions[a.Version] = a
		}
		for _, b := range before {
			a, ok := versions[b.Version]
			same := ok && content(a.Record) == content(b.Record) && a.Source.Git.Commit == b.Source.Git.Commit
			if b.OpenFaaS == nil && !same {
				return &RewrittenError{URL: x.state.URL, Name: was.Name, Version: b.Version}
			}
			if same {
				x.returned(returnedKey(kind, was.Name, b.Version), b.Yanked, a.Yanked)
			}
		}
	}
	return nil
}
