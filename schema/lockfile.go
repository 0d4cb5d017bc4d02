package schema

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"fnb/internal/disk"
	"fnb/internal/lazyregexp"
	"fnb/schema/document"
)

var (
	// ErrNewerFormat is wrapped by the error for a file whose format is newer
	// than this package understands.
	ErrNewerFormat = errors.New("written by a newer fnb")

	checksumText = lazyregexp.New(`^fnb1:sha256:[0-9a-f]{64}$`)
	commitText   = lazyregexp.New(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
)

// maxLock bounds a lock, in bytes.
const maxLock = 4 << 20

// ReadLock reads the lock at path. Where there is no such file, the lock is empty.
func ReadLock(path string) (*Lock, error) {
	data, err := document.ReadFile(path, maxLock)
	if errors.Is(err, fs.ErrNotExist) {
		return &Lock{Version: lockVersion}, nil
	}
	if err != nil {
		return nil, err
	}
	return ParseLock(path, data)
}

// ParseLock reads the contents of a lock. The name of the file is only used for
// errors. Keys that are not known are kept in Unknown. If the format is newer
// than it reads, the error wraps [ErrNewerFormat]; other problems are
// returned at once, each a [*document.FieldError], joined.
func ParseLock(file string, data []byte) (*Lock, error) {
	keys := map[string]json.RawMessage{}
	if len(data) > maxLock {
		return nil, &document.FieldError{File: file, Problem: fmt.Sprintf("the file is larger than %d bytes", maxLock)}
	}
	if problem := checkJSON(file, data); problem != nil {
		return nil, problem
	}
	r := &lockReader{file: file}
	r.decode("", data, &keys)
	lock := &Lock{}
	r.take(keys, "", "version", &lock.Version)
	if len(r.problems) == 0 && lock.Version > lockVersion {
		return nil, fmt.Errorf("reading %s: %w: its format is %d, and this fnb understands %d", file, ErrNewerFormat, lock.Version, lockVersion)
	}
	if len(r.problems) == 0 && lock.Version < 1 {
		r.fail("version", "is missing or not a version of the format")
	}
	r.take(keys, "", "bases", &lock.Bases)
	r.take(keys, "", "watchdogs", &lock.Watchdogs)
	r.take(keys, "", "services", &lock.Services)
	r.take(keys, "", "settings", &lock.Settings)
	pins := map[string]json.RawMessage{}
	r.take(keys, "", "templates", &pins)
	r.unknown(lock, "", keys)
	for _, ref := range slices.Sorted(maps.Keys(pins)) {
		r.pin(lock, ref, pins[ref])
	}
	if len(r.problems) > 0 {
		return nil, document.Join(r.problems)
	}
	return lock, nil
}

// A lockReader gathers the problems of a lock.
type lockReader struct {
	file     string
	problems []*document.FieldError
}

func (r *lockReader) fail(field, problem string) {
	r.problems = append(r.problems, &document.FieldError{File: r.file, Field: field, Problem: problem})
}

// decode reads data, which is known to be JSON, into dst, and is true when it could.
func (r *lockReader) decode(field string, data []byte, dst any) bool {
	err := json.Unmarshal(data, dst)
	if err == nil {
		return true
	}
	problem := err.Error()
	var typ *json.UnmarshalTypeError
	if errors.As(err, &typ) {
		problem = fmt.Sprintf("is a JSON %s, which does not belong there", typ.Value)
	}
	r.fail(field, problem)
	return false
}

// take reads the value of key into dst and removes it from keys.
func (r *lockReader) take(keys map[string]json.RawMessage, parent, key string, dst any) {
	if data, ok := keys[key]; ok {
		delete(keys, key)
		r.decode(document.Below(parent, key), data, dst)
	}
}

func (r *lockReader) unknown(lock *Lock, ref string, keys map[string]json.RawMessage) {
	if len(keys) == 0 {
		return
	}
	if lock.Unknown == nil {
		lock.Unknown = map[string]map[string]json.RawMessage{}
	}
	lock.Unknown[ref] = keys
}

func (r *lockReader) pin(lock *Lock, ref string, data json.RawMessage) {
	field := document.Below("templates", ref)
	if ref == "" {
		r.fail(field, "a template reference cannot be empty")
		return
	}
	keys := map[string]json.RawMessage{}
	if !r.decode(field, data, &keys) {
		return
	}
	var pin Pin
	r.take(keys, field, "store", &pin.Store)
	r.take(keys, field, "version", &pin.Version)
	r.take(keys, field, "checksum", &pin.Checksum)
	r.take(keys, field, "commit", &pin.Commit)
	r.take(keys, field, "signer", &pin.Signer)
	if !checksumText.MatchString(pin.Checksum) {
		r.fail(document.Below(field, "checksum"), fmt.Sprintf("%q is not a checksum such as fnb1:sha256:…", pin.Checksum))
	}
	if pin.Commit != "" && !commitText.MatchString(pin.Commit) {
		r.fail(document.Below(field, "commit"), fmt.Sprintf("%q is not the full name of a git commit", pin.Commit))
	}
	if lock.Templates == nil {
		lock.Templates = map[string]Pin{}
	}
	lock.Templates[ref] = pin
	r.unknown(lock, ref, keys)
}

// checkJSON returns the first place where data is not one JSON document.
func checkJSON(file string, data []byte) *document.FieldError {
	d := json.NewDecoder(bytes.NewReader(data))
	var value json.RawMessage
	err := d.Decode(&value)
	offset := int(d.InputOffset())
	if err == nil {
		if _, err = d.Token(); errors.Is(err, io.EOF) {
			return nil
		}
		err = errors.New("something follows the document")
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = int(syntax.Offset) - 1
	}
	before := data[:min(max(offset, 0), len(data))]
	problem := "is not JSON: " + strings.TrimPrefix(err.Error(), "json: ")
	if len(bytes.TrimSpace(data)) == 0 {
		problem = "is empty; delete it, or get it back from version control"
	}
	if bytes.Contains(data, []byte("<<<<<<< ")) {
		problem = "has conflict markers of git in it"
		before = data[:bytes.Index(data, []byte("<<<<<<< "))]
	}
	return &document.FieldError{
		File: file, Problem: problem,
		Line:   bytes.Count(before, []byte("\n")) + 1,
		Column: len([]rune(string(before[bytes.LastIndexByte(before, '\n')+1:]))) + 1,
	}
}

// Marshal returns l as the contents of a file: JSON with sorted keys, one value
// a line, so that version control shows what changed. Equal locks are equal
// bytes. Unknown keys of a pin that is gone are left out.
func (l Lock) Marshal() []byte {
	contents := map[string]any{"version": max(l.Version, lockVersion)}
	if len(l.Templates) > 0 {
		pins := map[string]any{}
		for ref, pin := range l.Templates {
			pins[ref] = pinKeys(pin, l.Unknown[ref])
		}
		contents["templates"] = pins
	}
	if len(l.Bases) > 0 {
		contents["bases"] = l.Bases
	}
	if len(l.Watchdogs) > 0 {
		contents["watchdogs"] = l.Watchdogs
	}
	if len(l.Services) > 0 {
		contents["services"] = l.Services
	}
	if len(l.Settings) > 0 {
		contents["settings"] = l.Settings
	}
	addUnknown(contents, l.Unknown[""])
	data, err := marshalJSON(contents)
	if err != nil {
		panic("schema: a lock that is not JSON: " + err.Error()) // only texts, numbers and decoded JSON are in it
	}
	return data
}

func pinKeys(pin Pin, unknown map[string]json.RawMessage) map[string]any {
	keys := map[string]any{"store": pin.Store, "checksum": pin.Checksum}
	if pin.Version != "" {
		keys["version"] = pin.Version
	}
	if pin.Commit != "" {
		keys["commit"] = pin.Commit
	}
	if pin.Signer != "" {
		keys["signer"] = pin.Signer
	}
	addUnknown(keys, unknown)
	return keys
}

// addUnknown adds the unknown keys to document, their own keys sorted too.
func addUnknown(contents map[string]any, unknown map[string]json.RawMessage) {
	for key, data := range unknown {
		if _, known := contents[key]; known {
			continue
		}
		d := json.NewDecoder(bytes.NewReader(data))
		d.UseNumber()
		var v any
		if d.Decode(&v) == nil {
			contents[key] = v
		}
	}
}

// marshalJSON returns v as indented JSON that a person can read.
func marshalJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// WriteLock replaces the file at path by l, in one step. A file that already
// says the same is left alone.
func (l Lock) WriteLock(path string) error {
	data := l.Marshal()
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, data) {
		return nil
	}
	return disk.ReplaceFile(path, data, 0o644)
}
