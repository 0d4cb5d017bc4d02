// Package environ reads typed values from environment variables. New returns a Reader, which collects what is wrong.
package environ

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Reader reads typed values from NAME=value pairs and collects what is wrong with them,
// so that one start shows every mistake.
type Reader struct {
	values   map[string]string
	problems []error
}

// New returns a Reader of NAME=value pairs.
func New(pairs []string) *Reader {
	e := &Reader{values: make(map[string]string, len(pairs))}
	for _, pair := range pairs {
		if name, value, ok := strings.Cut(pair, "="); ok && value != "" {
			e.values[name] = value
		}
	}
	return e
}

// Problem notes what is wrong with the variable name.
func (e *Reader) Problem(name, format string, args ...any) {
	e.problems = append(e.problems, fmt.Errorf("%s: "+format, append([]any{name}, args...)...))
}

// Text returns the value of the last of names that is set, or fallback. An empty variable is an unset one.
func (e *Reader) Text(fallback string, names ...string) string {
	for _, name := range slices.Backward(names) {
		if value, ok := e.values[name]; ok {
			return value
		}
	}
	return fallback
}

// Boolean reads what strconv.ParseBool does.
func (e *Reader) Boolean(name string, fallback bool) bool {
	value, ok := e.values[name]
	if !ok {
		return fallback
	}
	parsed, err := strconv.ParseBool(value)
	if err != nil {
		e.Problem(name, "%q is neither true nor false", value)
		return fallback
	}
	return parsed
}

// Integer reads a whole number from least to most.
func (e *Reader) Integer(name string, fallback, least, most int) int {
	value, ok := e.values[name]
	if !ok {
		return fallback
	}
	parsed, err := strconv.Atoi(value)
	if err != nil || parsed < least || parsed > most {
		e.Problem(name, "%q is not a whole number from %d to %d", value, least, most)
		return fallback
	}
	return parsed
}

// Duration reads whole seconds ("30") or Go's notation ("1m30s").
func (e *Reader) Duration(name string, fallback time.Duration) time.Duration {
	value, ok := e.values[name]
	if !ok {
		return fallback
	}
	if seconds, err := strconv.Atoi(value); err == nil && seconds >= 0 && seconds < 1<<30 {
		return time.Duration(seconds) * time.Second
	}
	parsed, err := time.ParseDuration(value)
	if err != nil || parsed < 0 {
		e.Problem(name, "%q is neither a number of seconds nor a duration such as 1m30s", value)
		return fallback
	}
	return parsed
}

// Has reports whether the variable name is set.
func (e *Reader) Has(name string) bool {
	_, ok := e.values[name]
	return ok
}

// Err is everything that was wrong; nil: nothing.
func (e *Reader) Err() error { return errors.Join(e.problems...) }
