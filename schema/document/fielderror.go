package document

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"
)

// A FieldError is one problem at one place of a file.
type FieldError struct {
	File    string // as the caller named it; may be ""
	Line    int    // from 1; 0 where no line is known
	Column  int    // in characters, from 1; 0 where no column is known
	Field   string // where in the document: "functions.hello.lang"; "" for the document itself
	Problem string // what is wrong, to be read after Field
	Near    string // the word that was probably meant; "" where none is near
	Err     error  // what a check of the value returned; nil without one
}

// Unwrap returns what there is to know about the problem.
func (e *FieldError) Unwrap() error { return e.Err }

// Error returns e as one line: "stack.yaml:7:5: functions.hello.lnag: is not a
// known key (did you mean "lang"?)".
func (e *FieldError) Error() string {
	place := e.File
	if e.Line > 0 {
		if place == "" {
			place = "line "
		} else {
			place += ":"
		}
		place += strconv.Itoa(e.Line)
		if e.Column > 0 {
			place += ":" + strconv.Itoa(e.Column)
		}
	}
	text := e.Problem
	if e.Near != "" {
		text += " (did you mean " + strconv.Quote(e.Near) + "?)"
	}
	parts := slices.DeleteFunc([]string{place, e.Field, text}, func(s string) bool { return s == "" })
	return strings.Join(parts, ": ")
}

// Join returns all problems in the order of their lines, joined; nil
// for none.
func Join(problems []*FieldError) error {
	slices.SortStableFunc(problems, func(a, b *FieldError) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	errs := make([]error, 0, len(problems))
	for i, p := range problems {
		if i > 0 && p.same(problems[i-1]) {
			continue // one wrong value, used twice through an alias
		}
		errs = append(errs, p)
	}
	return errors.Join(errs...)
}

// same reports whether both say the same of one place.
func (e *FieldError) same(other *FieldError) bool {
	a, b := *e, *other
	a.Err, b.Err = nil, nil
	return a == b
}
