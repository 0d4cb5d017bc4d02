package document

import (
	"bytes"
	"errors"

	"github.com/BurntSushi/toml"
)

// A TOMLError is a document that is no TOML, is not what it is read as, or would take a reader too long.
type TOMLError struct {
	Line    int    // 0 where all of it is meant
	Problem string // "is not TOML: …"
	Err     error
}

func (e *TOMLError) Error() string { return e.Problem }
func (e *TOMLError) Unwrap() error { return e.Err }

// ReadTOML decodes a document that somebody else wrote. Its error is a [*TOMLError].
func ReadTOML(data []byte, out any) error {
	if err := checkTOML(data); err != nil {
		return &TOMLError{Problem: err.Error(), Err: err}
	}
	err := toml.Unmarshal(data, out)
	if wrong, ok := errors.AsType[toml.ParseError](err); ok {
		return &TOMLError{wrong.Position.Line, "is not TOML: " + wrong.Message, err}
	}
	if err != nil {
		return &TOMLError{Problem: "is not TOML: " + err.Error(), Err: err}
	}
	return nil
}

// What a TOML document may have. Readers take time and memory that grow with the square of both; real files have a
// tenth of it.
const (
	maxBrackets = 500 // open at once
	maxKeyParts = 64  // of one dotted key
)

// The errors of documents that would take too long to read.
var (
	errDeepTOML = errors.New("has brackets in brackets, more than 500 deep")
	errLongKey  = errors.New("has a key of more than 64 parts with dots between")
)

// checkTOML returns an error if a document would take a reader of TOML too long. What it says of a document that is no
// TOML means nothing.
func checkTOML(data []byte) error {
	open, dots := 0, 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '"', '\'':
			i = stringEnd(data, i)
		case '#':
			for i+1 < len(data) && data[i+1] != '\n' {
				i++
			}
		case '[', '{':
			open++
			dots = 0
		case ']', '}':
			open = max(open-1, 0)
			dots = 0
		case '=', ',', '\n':
			dots = 0
		case '.':
			dots++
		}
		if open > maxBrackets {
			return errDeepTOML
		}
		if dots >= maxKeyParts {
			return errLongKey
		}
	}
	return nil
}

// stringEnd is where the string that begins at i ends: its last quote, or the end of the line or of data.
func stringEnd(data []byte, i int) int {
	quote := data[i]
	fence := []byte{quote, quote, quote}
	long := bytes.HasPrefix(data[i:], fence)
	if long {
		i += 2
	}
	for i++; i < len(data); i++ {
		switch {
		case data[i] == '\\' && quote == '"':
			i++
		case data[i] == '\n' && !long:
			return i - 1
		case data[i] != quote:
		case !long:
			return i
		case bytes.HasPrefix(data[i:], fence):
			i += 2
			for n := 0; n < 2 && i+1 < len(data) && data[i+1] == quote; n++ {
				i++ // up to two quotes are part of it
			}
			return i
		}
	}
	return len(data)
}
