package osv

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// A record is an advisory as OSV writes it down, as far as it is used here.
type record struct {
	ID        string        `json:"id"`
	Modified  time.Time     `json:"modified"`
	Withdrawn string        `json:"withdrawn"`
	Aliases   []string      `json:"aliases"`
	Upstream  []string      `json:"upstream"`
	Related   []string      `json:"related"`
	Summary   string        `json:"summary"`
	Details   string        `json:"details"`
	Severity  []score       `json:"severity"`
	Affected  []affected    `json:"affected"`
	Database  wordsOfTheirs `json:"database_specific"`
}

type score struct {
	Type  string `json:"type"`
	Score string `json:"score"`
}

type affected struct {
	Package   named         `json:"package"`
	Ranges    []span        `json:"ranges"`
	Versions  []string      `json:"versions"`
	Severity  []score       `json:"severity"`
	Ecosystem wordsOfTheirs `json:"ecosystem_specific"`
	Database  wordsOfTheirs `json:"database_specific"`
}

type named struct {
	Ecosystem string `json:"ecosystem"`
	Name      string `json:"name"`
}

type span struct {
	Type   string  `json:"type"`
	Events []event `json:"events"`
}

type event struct {
	Introduced   string `json:"introduced"`
	Fixed        string `json:"fixed"`
	LastAffected string `json:"last_affected"`
	Limit        string `json:"limit"`
}

// wordsOfTheirs are what databases write in objects of their own making. Whatever else is
// there, of whatever type, is passed over.
type wordsOfTheirs struct{ Severity, Urgency string }

// UnmarshalJSON takes the words, where they are words.
func (w *wordsOfTheirs) UnmarshalJSON(data []byte) error {
	var raw map[string]json.RawMessage
	if json.Unmarshal(data, &raw) != nil {
		return nil //nolint:nilerr // it is theirs: it may be anything
	}
	_ = json.Unmarshal(raw["severity"], &w.Severity)
	_ = json.Unmarshal(raw["urgency"], &w.Urgency)
	return nil
}

// A brief is what the index needs of a record.
type brief struct {
	ID        string `json:"id"`
	Withdrawn string `json:"withdrawn"`
	Modified  string `json:"modified"`
	Affected  []struct {
		Package named `json:"package"`
	} `json:"affected"`
}

// Bounds of a record.
const (
	maxRecord = 8 << 20 // bytes, unpacked
	maxEvents = 20_000  // of a record that are compared with a version
	maxID     = 128
	maxName   = 1024 // of a package
)

// decode reads a record into a *record or a *brief.
func decode(data []byte, into any) error {
	err := json.Unmarshal(data, into)
	var cut *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &cut) && cut.Offset >= int64(len(data)):
		return fmt.Errorf("it is cut off after %d bytes", len(data))
	}
	return fmt.Errorf("it is not an advisory: %w", err)
}

// checkID says what is wrong with the ID of an advisory, which is shown and compared.
func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("it has no id")
	case len(id) > maxID:
		return fmt.Errorf("its id has %d characters, of at most %d", len(id), maxID)
	case strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }):
		return fmt.Errorf("its id %q has characters that no id has", id)
	}
	return nil
}
