package policy

import (
	"fmt"

	"fnb/schema/rules"
)

// A Kind is a kind of thing that rules are about.
type Kind string

// Kinds of things.
const (
	KindTemplate Kind = "template"
	KindBase     Kind = "base image"
	KindImage    Kind = "image"
	KindSource   Kind = "source"
	KindWatchdog Kind = "watchdog"
	KindBuilder  Kind = "builder"
	KindPackages Kind = "packages"
)

// A Refusal says what may not be used, and which rule says so.
type Refusal struct {
	Kind Kind       `json:"kind"`
	Name string     `json:"name"`
	Rule string     `json:"rule"` // "bases.allow"
	File string     `json:"file"`
	Line int        `json:"line"`
	Why  string     `json:"why"`
	Mode rules.Mode `json:"mode"` // warn where it may be used all the same

	// Reference is what to write where Name is named, if that is another: a template's
	// reference in the stack.
	Reference string `json:"reference,omitempty"`
	// Use is a version to use instead; "" where none is known.
	Use string `json:"use,omitempty"`
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("%s:%d: %s: %s %s: %s", r.File, r.Line, r.Rule, r.Kind, r.Name, r.Why)
}
