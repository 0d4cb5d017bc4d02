package impact

import (
	"errors"
	"fmt"
	"path"
	"strings"

	"fnb/audit/osv"
	"fnb/internal/lazyregexp"
	"fnb/schema"
)

// A Kind is what is looked for.
type Kind string

// Kinds.
const (
	Base     Kind = "base"     // a base image
	Package  Kind = "package"  // a package that is in images
	Template Kind = "template" // what images are made by
	Watchdog Kind = "watchdog" // what they have before their function
)

// A Query is what is looked for: [ParseQuery].
type Query struct {
	Kind    Kind
	Name    string // of a base image or a watchdog, the full reference or a pattern of it
	Op      string // "<", "<=", "=", ">=" or ">"; "" is any version
	Version string
}

var queried = lazyregexp.New(`^(base|package|template|watchdog)=([^<>=]*)(?:(<=|>=|<|>|=)(.+))?$`)

// ParseQuery reads base=REF, package=NAME, package=NAME<VERSION, template=NAME<VERSION, watchdog=default or
// watchdog=<VERSION. A REF may be a pattern, such as docker.io/library/python:*.
func ParseQuery(s string) (Query, error) {
	m := queried.FindStringSubmatch(s)
	if m == nil {
		return Query{}, errors.New("it is not base=REF, package=NAME<VERSION, template=NAME<VERSION or watchdog=default")
	}
	q := Query{Kind: Kind(m[1]), Name: m[2], Op: m[3], Version: m[4]}
	if q.Name == "" && q.Kind != Watchdog || q.Name == "" && q.Op == "" {
		return q, fmt.Errorf("%s= says no name", q.Kind)
	}
	if q.Kind == Base {
		if q.Op != "" {
			return q, errors.New("a base image has a digest, and no version")
		}
		if strings.ContainsAny(q.Name, "*?[") {
			if _, err := path.Match(q.Name, ""); err != nil {
				return q, fmt.Errorf("%s: %w", q.Name, err)
			}
			return q, nil
		}
		ref, err := schema.ParseImageRef(q.Name)
		if err != nil {
			return q, err
		}
		q.Name = ref.Full().String()
	}
	return q, nil
}

// isBase reports whether a base image is meant.
func (q Query) isBase(name, digest string) bool {
	if strings.ContainsAny(q.Name, "*?[") {
		ok, err := path.Match(q.Name, name)
		return ok && err == nil
	}
	return q.Name == name || q.Name == name+"@"+digest
}

// holds reports whether a version is meant, by the rules of an ecosystem.
func (q Query) holds(ecosystem, version string) bool {
	if q.Op == "" {
		return true
	}
	if version == "" {
		return false
	}
	o := osv.Order(ecosystem, version, q.Version)
	switch q.Op {
	case "<":
		return o < 0
	case "<=":
		return o <= 0
	case "=":
		return o == 0
	case ">=":
		return o >= 0
	}
	return o > 0
}
