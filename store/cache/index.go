package cache

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"fnb/internal/disk"
	"fnb/internal/plain"
	"fnb/origin"
	"fnb/schema"
	"fnb/store/records"
)

const versionsFile = "versions.ndjson"

// MaxProblems is how many problems an index remembers.
const MaxProblems = 20

// An Index is what the cache has of one store:
//
//	stores/HEX.json               an [IndexState], HEX the SHA-256 of the URL
//	stores/HEX/…/templates.3.tsv  one line for each template, by name
//	stores/HEX/…/functions.3.tsv  one line for each function, by name
//	stores/HEX/…/versions.ndjson  one line for each version, by package
//
// The state has the checksums of the names, and each name that of its versions.
type Index struct {
	State IndexState
	dir   string
	names map[string][]byte // by kind
	Again []string          // keys of State.Returned that are new in this reading
}

// namesFile is the file of an index that has the names of a kind. It has another name when
// its lines have other fields: an index without it is read anew.
func namesFile(kind string) string { return records.KindDir(kind) + ".3.tsv" }

// An IndexState says of what an index is, and when that was looked at.
type IndexState struct {
	URL      string    `json:"url"`
	Commit   string    `json:"commit,omitempty"` // or what else tells one content from another
	ETag     string    `json:"etag,omitempty"`
	Checked  time.Time `json:"checked"`
	Dir      string    `json:"dir"`
	Problems []string  `json:"problems,omitempty"`
	Passed   int       `json:"passed,omitempty"` // files that were passed over
	// Reach is how far away the store was; 0 is this machine.
	Reach origin.Reach `json:"reach,omitempty"`
	// Trust is what was known of the owners of the store's namespaces when it was read.
	Trust string `json:"trust,omitempty"`
	// Broken are namespaces whose owners were not believed then, and why.
	Broken map[string]string `json:"broken,omitempty"`
	// Returned are versions that were withdrawn and are not any more, as
	// "kind name@version", and why they had been.
	Returned map[string]string `json:"returned,omitempty"`

	Names map[string]string `json:"sums"` // checksum of the names, by kind
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
	for _, kind := range records.Kinds() {
		w.names[kind] = &bytes.Buffer{}
	}
	return w, nil
}

func (w *indexWriter) add(p records.StoredPackage) error {
	m := records.Summarize(p)
	var lines bytes.Buffer
	enc := json.NewEncoder(&lines)
	for _, v := range p.Versions {
		if err := enc.Encode(v); err != nil {
			return err
		}
	}
	m.Offset, m.Size, m.Sum = w.offset, int64(lines.Len()), records.Sum(lines.Bytes())
	w.offset += m.Size
	w.names[p.Kind()].WriteString(m.Line())
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
			err = disk.ReplaceFile(filepath.Join(w.dir, namesFile(kind)), b.Bytes(), 0o600)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("using the cache: %w", err)
	}
	return names, nil
}

func (c *Cache) indexPath(url, suffix string) string {
	return filepath.Join(c.dir, "stores", records.Sum([]byte(url))+suffix)
}

// OpenIndex opens what the cache has of a store. What is damaged counts as
// missing.
func (c *Cache) OpenIndex(url string) (*Index, bool) {
	x := &Index{names: map[string][]byte{}}
	data, err := os.ReadFile(c.indexPath(url, ".json"))
	if err != nil || json.Unmarshal(data, &x.State) != nil || x.State.URL != url || !filepath.IsLocal(x.State.Dir) {
		return nil, false
	}
	x.dir = filepath.Join(c.indexPath(url, ""), x.State.Dir)
	for _, kind := range records.Kinds() {
		x.names[kind], err = os.ReadFile(filepath.Join(x.dir, namesFile(kind)))
		if err != nil || records.Sum(x.names[kind]) != x.State.Names[kind] {
			return nil, false
		}
	}
	return x, true
}

// SaveState makes an index the one that is opened; the store's lock is held.
func (c *Cache) SaveState(st IndexState) error {
	data, err := json.MarshalIndent(st, "", "  ")
	if err != nil {
		return err
	}
	return disk.ReplaceFile(c.indexPath(st.URL, ".json"), append(data, '\n'), 0o600)
}

// ForgetIndex removes what the cache has of a store; its lock is held.
func (c *Cache) ForgetIndex(url string) error {
	err := os.Remove(c.indexPath(url, ".json"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, os.RemoveAll(c.indexPath(url, "")))
}

// All returns the packages of a kind, by name.
func (x *Index) All(kind string) []records.Summary {
	var all []records.Summary
	for line := range strings.Lines(string(x.names[kind])) {
		if m, ok := records.ParseSummary(line); ok {
			all = append(all, m)
		}
	}
	return all
}

// Namespaces returns the namespaces of the store, sorted.
func (x *Index) Namespaces() []string {
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

// Find returns the summary of a package.
func (x *Index) Find(kind, name string) (records.Summary, bool) {
	names, at := x.names[kind], 0
	if start := []byte(name + "\t"); !bytes.HasPrefix(names, start) {
		if at = bytes.Index(names, append([]byte("\n"), start...)) + 1; at == 0 {
			return records.Summary{}, false
		}
	}
	line, _, _ := bytes.Cut(names[at:], []byte("\n"))
	return records.ParseSummary(string(line))
}

// ErrDamaged is wrapped by errors of an index that is not as it was written.
var ErrDamaged = errors.New("the cache of the store is damaged")

// Versions returns the versions of a package, ascending, after they were found
// to be those that the index was made with.
func (x *Index) Versions(m records.Summary) (_ []records.StoredVersion, err error) {
	f, err := os.Open(filepath.Join(x.dir, versionsFile))
	if err != nil {
		return nil, ErrDamaged
	}
	defer func() { _ = f.Close() }() // it was only read from
	data, err := io.ReadAll(io.NewSectionReader(f, m.Offset, m.Size))
	if err != nil || records.Sum(data) != m.Sum {
		return nil, ErrDamaged
	}
	var all []records.StoredVersion
	d := json.NewDecoder(bytes.NewReader(data))
	for {
		var v records.StoredVersion
		if err := d.Decode(&v); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, ErrDamaged
		}
		all = append(all, v)
	}
}

// note remembers a file that was passed over, of very many the first.
func (st *IndexState) note(file string, err error) {
	if st.Passed++; len(st.Problems) < MaxProblems {
		st.Problems = append(st.Problems, plain.Short(file+": "+err.Error()))
	}
}

// BuildIndex writes what a store has into the cache and opens it; the store's
// lock is held. old is what the cache had before, nil for nothing: none of its
// versions may be gone or different.
func (c *Cache) BuildIndex(st IndexState, old *Index, packages records.Feed) (_ *Index, err error) {
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
	err = packages(records.Taker{Add: w.add, Pass: st.note})
	names, cerr := w.close()
	if err = errors.Join(err, cerr); err != nil {
		return nil, err
	}
	st.Dir, st.Names = filepath.Base(dir), map[string]string{}
	for kind, data := range names {
		st.Names[kind] = records.Sum(data)
	}
	x := &Index{State: st, dir: dir, names: names}
	if old != nil {
		if err := x.Continues(old); err != nil {
			return nil, err
		}
	}
	if err := c.SaveState(x.State); err != nil {
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

// ReturnedKey is a version's key in [IndexState].Returned.
func ReturnedKey(kind, name, version string) string { return kind + " " + name + "@" + version }

// Continues returns an error unless every version of old is in x as it was: a
// store only grows. Versions that may be used again, which old had as withdrawn, are
// noted for as long as that is so.
func (x *Index) Continues(old *Index) error {
	x.State.Returned = maps.Clone(old.State.Returned)
	for _, kind := range records.Kinds() {
		if err := x.continuesIn(kind, old); err != nil {
			return err
		}
	}
	return nil
}

// returned notes that a version was withdrawn and is not any more, or is again.
func (x *Index) returned(key string, before, now *schema.Yank) {
	switch {
	case now != nil:
		delete(x.State.Returned, key)
	case before != nil:
		if x.State.Returned == nil {
			x.State.Returned = map[string]string{}
		}
		x.State.Returned[key] = plain.Short(before.Reason)
		x.Again = append(x.Again, key)
	}
}

// ReturnedNote says of a version with a key of Returned that it was withdrawn before.
func (x *Index) ReturnedNote(store, key string) string {
	return fmt.Sprintf("store %s: %s may be used again; it had been withdrawn: %s", store, key, x.State.Returned[key])
}

func (x *Index) continuesIn(kind string, old *Index) error {
	now := map[string]records.Summary{}
	for _, m := range x.All(kind) {
		now[m.Name] = m
	}
	for _, was := range old.All(kind) {
		m, ok := now[was.Name]
		if ok && m.Sum == was.Sum {
			continue
		}
		before, err := old.Versions(was)
		if err != nil {
			continue // what is damaged cannot be compared with
		}
		var after []records.StoredVersion
		if ok {
			if after, err = x.Versions(m); err != nil {
				return err
			}
		}
		versions := map[string]records.StoredVersion{}
		for _, a := range after {
			versions[a.Version] = a
		}
		for _, b := range before {
			a, ok := versions[b.Version]
			same := ok && records.Content(a.Record) == records.Content(b.Record) && a.Source.Git.Commit == b.Source.Git.Commit
			if b.Refused != "" {
				continue // nobody could use it, and whoever keeps the store may clean up
			}
			if b.OpenFaaS == nil && !same {
				return &RewrittenError{URL: x.State.URL, Name: was.Name, Version: b.Version}
			}
			if same {
				x.returned(ReturnedKey(kind, was.Name, b.Version), b.Yanked, a.Yanked)
			}
		}
	}
	return nil
}

// A RewrittenError says that a store has taken back or changed a version that it
// had before. What the cache has of the store is as it was.
type RewrittenError struct {
	URL, Name, Version string
}

func (e *RewrittenError) Error() string {
	return fmt.Sprintf("%s: version %s of %s is gone or different, and a store only grows", e.URL, e.Version, e.Name)
}

// Reach is how far away a store was when it was last read, or public where that is not
// known.
func (c *Cache) Reach(url string) origin.Reach {
	var st IndexState
	data, err := os.ReadFile(c.indexPath(url, ".json"))
	if err != nil || json.Unmarshal(data, &st) != nil || st.URL != url {
		return origin.Public
	}
	return st.Reach
}
