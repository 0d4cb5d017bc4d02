package osv

import (
	"strings"

	cvss20 "github.com/pandatix/go-cvss/20"
	cvss30 "github.com/pandatix/go-cvss/30"
	cvss31 "github.com/pandatix/go-cvss/31"
	cvss40 "github.com/pandatix/go-cvss/40"
)

// A Level is how bad something is; a larger one is worse.
type Level int

// Levels.
const (
	Unknown Level = iota // nobody says
	None                 // it is not worth mending, says the distribution
	Low
	Medium
	High
	Critical
)

// Levels are the words of levels, by number.
func Levels() []string { return []string{"unknown", "none", "low", "medium", "high", "critical"} }

func (l Level) String() string { return Levels()[l] }

// MarshalText writes a level as its word.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText reads the word of a level.
func (l *Level) UnmarshalText(text []byte) error {
	for i, word := range Levels() {
		if word == string(text) {
			*l = Level(i)
			return nil
		}
	}
	*l = Unknown
	return nil
}

// A Severity is how bad an advisory is.
type Severity struct {
	Level  Level   `json:"level"`
	Score  float64 `json:"score,omitempty"`  // of CVSS, 0 to 10
	Vector string  `json:"vector,omitempty"` // that the score is of
}

// Worse is the worse of two severities.
func (s Severity) Worse(t Severity) Severity {
	if t.Level > s.Level || t.Level == s.Level && t.Score > s.Score {
		return t
	}
	return s
}

// severityOf is how bad a record is for what it affects: the worst of what its vectors make
// and, where there is none, what the database says in words.
func severityOf(r *record, a *affected) Severity {
	var worst Severity
	for _, s := range append(append([]score(nil), a.Severity...), r.Severity...) {
		worst = worst.Worse(scored(s))
	}
	if a.Ecosystem.Urgency == "unimportant" {
		return Severity{Level: None, Score: worst.Score, Vector: worst.Vector}
	}
	if worst.Level != Unknown {
		return worst
	}
	if strings.HasPrefix(r.ID, "MAL-") { // a package that was made to do harm
		return Severity{Level: Critical}
	}
	for _, word := range []string{a.Ecosystem.Severity, a.Database.Severity, r.Database.Severity, a.Ecosystem.Urgency} {
		if l := worded(word); l != Unknown {
			return Severity{Level: l}
		}
	}
	return Severity{}
}

// scored is the severity that a vector makes; that of one that cannot be read is unknown.
func scored(s score) Severity {
	var points float64
	switch vector := s.Score; {
	case len(vector) > 512:
		return Severity{}
	case strings.HasPrefix(vector, "CVSS:4.0/"):
		v, err := cvss40.ParseVector(vector)
		if err != nil {
			return Severity{}
		}
		points = v.Score()
	case strings.HasPrefix(vector, "CVSS:3.1/"):
		v, err := cvss31.ParseVector(vector)
		if err != nil {
			return Severity{}
		}
		points = v.BaseScore()
	case strings.HasPrefix(vector, "CVSS:3.0/"):
		v, err := cvss30.ParseVector(vector)
		if err != nil {
			return Severity{}
		}
		points = v.BaseScore()
	case s.Type == "CVSS_V2":
		v, err := cvss20.ParseVector(vector)
		if err != nil {
			return Severity{}
		}
		points = v.BaseScore()
		return Severity{Level: rated(points, false), Score: points, Vector: vector}
	default:
		return Severity{Level: worded(s.Score)} // such as Ubuntu's
	}
	return Severity{Level: rated(points, true), Score: points, Vector: s.Score}
}

// rated is the level of a score; CVSS 2 has nothing above high.
func rated(points float64, hasCritical bool) Level {
	switch {
	case points >= 9 && hasCritical:
		return Critical
	case points >= 7:
		return High
	case points >= 4:
		return Medium
	case points > 0:
		return Low
	}
	return None
}

// worded is the level that a database says in a word of its own.
func worded(word string) Level {
	switch strings.ToLower(strings.TrimRight(word, "*")) {
	case "critical":
		return Critical
	case "high", "important":
		return High
	case "medium", "moderate":
		return Medium
	case "low", "minor":
		return Low
	case "negligible", "unimportant", "none", "informational":
		return None
	}
	return Unknown
}
