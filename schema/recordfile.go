package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"reflect"
	"strings"

	"github.com/Masterminds/semver/v3"

	"fnb/schema/document"
)

// MaxRecordSize bounds each file of a store, in bytes.
const MaxRecordSize = 256 << 10

// ParseStoreFile reads store.json. As with all files of a store, the name of the
// file is only used for errors; keys that are not known are kept in Unknown; for
// a newer format the error wraps [ErrNewerFormat]; other problems are returned at
// once, each a [*document.FieldError], joined.
func ParseStoreFile(file string, data []byte) (StoreFile, error) {
	var s StoreFile
	r, err := readStored(file, data, &s, &s.V)
	if err != nil {
		return StoreFile{}, err
	}
	s.Unknown = r.rest
	return s, r.err()
}

// ParseNamespace reads namespaces/NS.json, as [ParseStoreFile] does store.json.
func ParseNamespace(file string, data []byte) (Namespace, error) {
	var n Namespace
	r, err := readStored(file, data, &n, &n.V)
	if err != nil {
		return Namespace{}, err
	}
	for i, owner := range n.Owners {
		if strings.TrimSpace(owner) == "" {
			r.fail(fmt.Sprintf("owners[%d]", i), "is empty")
		}
	}
	n.Unknown = r.rest
	return n, r.err()
}

// ParsePackage reads package.json, as [ParseStoreFile] does store.json.
func ParsePackage(file string, data []byte) (Package, error) {
	var p Package
	r, err := readStored(file, data, &p, &p.V)
	if err != nil {
		return Package{}, err
	}
	if p.Deprecated != nil && p.Deprecated.Replacement != "" {
		r.check("deprecated.replacement", ValidatePackageName(p.Deprecated.Replacement))
	}
	p.Unknown = r.rest
	return p, r.err()
}

// ParseYank reads v/VERSION.yank.json, as [ParseStoreFile] does store.json.
func ParseYank(file string, data []byte) (Yank, error) {
	var y Yank
	r, err := readStored(file, data, &y, &y.V)
	if err != nil {
		return Yank{}, err
	}
	if strings.TrimSpace(y.Reason) == "" {
		r.fail("reason", "is missing")
	}
	if y.Severity != "" {
		r.check("severity", checkWord("broken", "security", "legal")(y.Severity))
	}
	if y.Use != "" {
		r.check("use", ValidateVersion(y.Use))
	}
	y.Unknown = r.rest
	return y, r.err()
}

// ParseRecord reads v/VERSION.json, as [ParseStoreFile] does store.json.
func ParseRecord(file string, data []byte) (Record, error) {
	var rec Record
	r, err := readStored(file, data, &rec, &rec.V)
	if err != nil {
		return Record{}, err
	}
	r.check("kind", checkWord(KindTemplate, KindFunction)(rec.Kind))
	r.check("name", ValidatePackageName(rec.Name))
	r.check("vers", ValidateVersion(rec.Version))
	if rec.FNB != "" {
		if _, err := semver.NewConstraint(rec.FNB); err != nil {
			r.fail("fnb", fmt.Sprintf("%q is not a SemVer range", rec.FNB))
		}
	}
	switch rec.Kind {
	case KindTemplate:
		r.template(rec)
	case KindFunction:
		r.function(rec)
	}
	rec.Unknown = r.rest
	return rec, r.err()
}

// template checks what only the record of a template has.
func (r *storedReader) template(rec Record) {
	if !checksumText.MatchString(rec.Checksum) {
		r.fail("cksum", fmt.Sprintf("%q is not a checksum such as fnb1:sha256:…", rec.Checksum))
	}
	r.check("source.git", checkGitSource(rec.Source.Git))
	for i, p := range rec.Platforms {
		if _, err := ParsePlatforms(p); err != nil {
			r.fail(fmt.Sprintf("platforms[%d]", i), err.Error())
		}
	}
	if rec.Image != nil {
		r.fail("image", "does not belong to a template")
	}
}

func checkGitSource(s GitSource) error {
	ref, err := ParseTemplateRef(s.URL)
	switch {
	case err != nil:
		return err
	case ref.Kind != RefGit || ref.Path != "" || ref.Ref != "":
		return fmt.Errorf("%q is not the URL of a git repository", redactUserinfo(s.URL))
	case len(s.Commit) != 40 || !commitText.MatchString(s.Commit):
		return fmt.Errorf("%q is not the full name of a git commit", s.Commit)
	case s.Path != "" && !fs.ValidPath(s.Path):
		return fmt.Errorf("%q is not a path in a repository", s.Path)
	case s.Ref != "" && checkGitRef(s.Ref) != nil:
		return fmt.Errorf("%q is not a git reference", s.Ref)
	}
	return nil
}

// ValidatePackageName returns an error unless name is namespace/name, both as
// [ValidateName] wants them.
func ValidatePackageName(name string) error {
	ns, rest, ok := strings.Cut(name, "/")
	if !ok {
		return fmt.Errorf("%q is not NAMESPACE/NAME", name)
	}
	if err := ValidateName(ns); err != nil {
		return err
	}
	return ValidateName(rest)
}

// ValidateVersion returns an error unless v can be published: SemVer with three
// numbers, and without build metadata, by which versions do not differ.
func ValidateVersion(v string) error {
	parsed, err := semver.StrictNewVersion(v)
	if err != nil {
		return fmt.Errorf("%q is not a version such as 1.2.3", v)
	}
	if parsed.Metadata() != "" {
		return fmt.Errorf("%q has build metadata, which does not tell versions apart", v)
	}
	if len(v) > 100 {
		return fmt.Errorf("version %q… is longer than 100 characters", v[:20])
	}
	return nil
}

// A storedReader gathers the problems of one file of a store.
type storedReader struct {
	lockReader
	rest map[string]json.RawMessage
}

func (r *storedReader) check(field string, err error) {
	if err != nil {
		r.fail(field, strings.ReplaceAll(err.Error(), "\n", "; "))
	}
}

func (r *storedReader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	return document.Join(r.problems)
}

// readStored reads the document data into dst, whose format is then in v, and
// returns what is left to be checked. The error says that there is no such
// document.
func readStored(file string, data []byte, dst any, v *int) (*storedReader, error) {
	r := &storedReader{lockReader: lockReader{file: file}, rest: map[string]json.RawMessage{}}
	if len(data) > MaxRecordSize {
		r.fail("", fmt.Sprintf("has more than %d bytes", MaxRecordSize))
		return nil, r.err()
	}
	if problem := checkJSON(file, data); problem != nil {
		return nil, document.Join([]*document.FieldError{problem})
	}
	if !r.decode("", data, &r.rest) {
		return nil, r.err()
	}
	// The format first: in a newer one everything else may be different.
	if raw, ok := r.rest["v"]; ok {
		r.decode("v", raw, v)
	}
	switch {
	case len(r.problems) > 0:
	case *v > RecordVersion:
		return nil, fmt.Errorf("reading %s: %w: its format is %d, and this fnb understands %d", file, ErrNewerFormat, *v, RecordVersion)
	case *v < 1:
		r.fail("v", "is missing or not a version of the format")
	default:
		format := *v
		var typ *json.UnmarshalTypeError
		if err := json.Unmarshal(data, dst); errors.As(err, &typ) {
			r.fail(typ.Field, fmt.Sprintf("is a JSON %s, which does not belong there", typ.Value))
		} else if err != nil {
			r.fail("", err.Error())
		}
		*v = format // not that of a key "V"
	}
	if len(r.problems) > 0 {
		return nil, r.err()
	}
	t := reflect.TypeOf(dst).Elem()
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		delete(r.rest, name)
	}
	if len(r.rest) == 0 {
		r.rest = nil
	}
	return r, nil
}
