package schema

import (
	"encoding/json"
	"time"
)

// RecordVersion is the highest format of a store's files that this package
// understands; they say theirs under "v".
const RecordVersion = 1

// The kinds of a [Record].
const (
	KindTemplate = "template"
	KindFunction = "function"
)

// A StoreFile is the contents of store.json, which makes a folder or repository
// a store.
type StoreFile struct {
	V           int    `json:"v"`                // of the format: 1
	Origin      string `json:"origin,omitempty"` // what the store calls itself
	Description string `json:"description,omitempty"`

	Unknown map[string]json.RawMessage `json:"-"` // keys of a later fnb
}

// A Namespace is the contents of namespaces/NS.json: to whom names belong.
type Namespace struct {
	V      int      `json:"v"`                // of the format: 1
	Owners []string `json:"owners,omitempty"` // e-mail addresses or logins; none means whoever may change the store

	Unknown map[string]json.RawMessage `json:"-"` // keys of a later fnb
}

// A Package is the contents of package.json, the only file of a package that
// may change.
type Package struct {
	V           int          `json:"v"` // of the format: 1
	Description string       `json:"description,omitempty"`
	Tags        []string     `json:"tags,omitempty"`
	Deprecated  *Deprecation `json:"deprecated,omitempty"`

	Unknown map[string]json.RawMessage `json:"-"` // keys of a later fnb
}

// A Deprecation says why a package should not be used any more.
type Deprecation struct {
	Reason      string `json:"reason"`
	Replacement string `json:"replacement,omitempty"` // namespace/name
}

// A Record is one version of a package, as v/VERSION.json has it. It is never
// changed once it is in a store.
type Record struct {
	V           int        `json:"v"`    // of the format: 1
	Kind        string     `json:"kind"` // "template" or "function"
	Name        string     `json:"name"` // namespace/name
	Version     string     `json:"vers"` // SemVer, without build metadata
	Language    string     `json:"lang,omitempty"`
	Description string     `json:"description,omitempty"`
	FNB         string     `json:"fnb,omitempty"` // SemVer range of the fnb that it needs
	License     string     `json:"license,omitempty"`
	Published   *time.Time `json:"pubtime,omitempty"`

	// Of a template: its files.
	Checksum  string       `json:"cksum,omitempty"`
	Source    RecordSource `json:"source,omitzero"`
	Parts     RecordParts  `json:"parts,omitzero"`
	Platforms []string     `json:"platforms,omitempty"` // none means any

	// Of a function: its image, how it is run, and what people read.
	Image      *RecordImage `json:"image,omitempty"`
	Run        *RecordRun   `json:"run,omitempty"`
	Built      *RecordBuilt `json:"built,omitempty"`
	Examples   []Example    `json:"examples,omitempty"`
	Try        *Trial       `json:"try,omitempty"`
	Title      string       `json:"title,omitempty"`
	Categories []string     `json:"categories,omitempty"`
	Icon       string       `json:"icon,omitempty"` // a data: URL of a picture, or an https: URL
	Author     string       `json:"author,omitempty"`
	README     string       `json:"readme,omitempty"` // Markdown, of whoever published it

	Unknown map[string]json.RawMessage `json:"-"` // keys of a later fnb
}

// A RecordSource says where the files of a version are.
type RecordSource struct {
	Git GitSource `json:"git"`
}

// A GitSource is a folder of a git repository at one commit.
type GitSource struct {
	URL    string `json:"url"`            // without credentials
	Ref    string `json:"ref,omitempty"`  // refs/tags/… that named the commit, for people
	Commit string `json:"commit"`         // 40 hexadecimal digits
	Path   string `json:"path,omitempty"` // slash-separated; "" or "." is the repository's root
}

// RecordParts are the four parts of a template, in short.
type RecordParts struct {
	Dockerfile string           `json:"dockerfile,omitempty"` // "" where the handler brings it
	Entrypoint RecordEntrypoint `json:"entrypoint"`
	Handler    RecordHandler    `json:"handler"`
	Packages   []RecordPackages `json:"packages,omitempty"`
}

// A RecordEntrypoint is the entrypoint in short.
type RecordEntrypoint struct {
	FProcess string `json:"fprocess,omitempty"`
	Mode     string `json:"mode,omitempty"`
	Watchdog string `json:"watchdog,omitempty"`
}

// A RecordHandler is the starter handler in short.
type RecordHandler struct {
	Dir string `json:"dir"`
}

// RecordPackages is a package list in short.
type RecordPackages struct {
	Ecosystem string `json:"eco"`
	Manifest  string `json:"manifest"`
	Lock      string `json:"lock,omitempty"`
}

// A Yank is the contents of v/VERSION.yank.json: the version is not chosen any
// more, except by a lock that has it.
type Yank struct {
	V        int        `json:"v"` // of the format: 1
	Reason   string     `json:"reason"`
	Severity string     `json:"severity,omitempty"` // broken, security or legal
	By       string     `json:"by,omitempty"`
	At       *time.Time `json:"at,omitempty"`
	Use      string     `json:"use,omitempty"` // the version to use instead

	Unknown map[string]json.RawMessage `json:"-"` // keys of a later fnb
}

// Marshal returns the contents of store.json.
func (s StoreFile) Marshal() ([]byte, error) { return marshalStore(s, s.Unknown) }

// Marshal returns the contents of the file.
func (n Namespace) Marshal() ([]byte, error) { return marshalStore(n, n.Unknown) }

// Marshal returns the contents of package.json, with the keys of a later fnb.
func (p Package) Marshal() ([]byte, error) { return marshalStore(p, p.Unknown) }

// Marshal returns the contents of the record's file.
func (r Record) Marshal() ([]byte, error) { return marshalStore(r, r.Unknown) }

// Marshal returns the contents of the file.
func (y Yank) Marshal() ([]byte, error) { return marshalStore(y, y.Unknown) }

// marshalStore writes v and the unknown keys as JSON with sorted keys.
func marshalStore(v any, unknown map[string]json.RawMessage) ([]byte, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	keys := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &keys); err != nil {
		return nil, err
	}
	for key, value := range unknown {
		if _, known := keys[key]; !known {
			keys[key] = value
		}
	}
	document := map[string]any{}
	addUnknown(document, keys)
	return marshalJSON(document)
}
