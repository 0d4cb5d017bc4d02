package editor

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
)

// merge puts entries into a document of VS Code, in the place of those of the same names.
// Every other byte stays. why says what keeps that from being done; "" is that it was.
func merge(old []byte, entries []entry) (now []byte, why string) {
	d, err := read(old)
	if err != nil {
		return nil, err.Error()
	}
	for _, e := range slices.Backward(entries) {
		i := slices.IndexFunc(d.there, func(p place) bool { return p.name == e.Name })
		if i < 0 {
			continue
		}
		p := d.there[i]
		if same(old[p.from:p.to], e) {
			continue
		}
		d.change(p.from, p.to, string(e.json(margin(old, p.from))))
	}
	var text strings.Builder
	for _, e := range entries {
		if slices.ContainsFunc(d.there, func(p place) bool { return p.name == e.Name }) {
			continue
		}
		if len(d.there) > 0 || text.Len() > 0 {
			text.WriteByte(',')
		}
		text.WriteString("\n        " + string(e.json("        ")))
	}
	if text.Len() > 0 {
		at := d.begin
		if n := len(d.there); n > 0 {
			at = d.there[n-1].to
		} else {
			text.WriteString("\n    ")
		}
		d.change(at, at, text.String())
	}
	return d.apply(old), ""
}

// same reports whether an entry says what is there.
func same(there []byte, e entry) bool {
	var a, b bytes.Buffer
	return json.Compact(&a, there) == nil && json.Compact(&b, e.json("")) == nil && bytes.Equal(a.Bytes(), b.Bytes())
}

// margin is what the line of an offset begins with.
func margin(text []byte, at int) string {
	line := text[bytes.LastIndexByte(text[:at], '\n')+1 : at]
	return string(line[:len(line)-len(bytes.TrimLeft(line, " \t"))])
}

// A document is where the configurations of a launch.json are.
type document struct {
	begin   int // behind the bracket that begins their list
	there   []place
	changes []change
}

// A place is a configuration.
type place struct {
	name     string
	from, to int
}

type change struct {
	from, to int
	text     string
}

func (d *document) change(from, to int, text string) {
	d.changes = append(d.changes, change{from, to, text})
}

// apply makes the changes.
func (d *document) apply(old []byte) []byte {
	slices.SortFunc(d.changes, func(a, b change) int { return a.from - b.from })
	var out bytes.Buffer
	at := 0
	for _, c := range d.changes {
		out.Write(old[at:c.from])
		out.WriteString(c.text)
		at = c.to
	}
	out.Write(old[at:])
	return out.Bytes()
}

var (
	errNoObject = errors.New("it is not a JSON object")
	errNoList   = errors.New("its configurations are not a list")
	errMissing  = errors.New("it has no configurations")
)

// read finds the configurations of a document.
func read(text []byte) (*document, error) {
	dec := json.NewDecoder(bytes.NewReader(blank(text)))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errNoObject
	}
	var d *document
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, errNoObject
		}
		if key != "configurations" {
			var value json.RawMessage
			if err := dec.Decode(&value); err != nil {
				return nil, errNoObject
			}
			continue
		}
		if d != nil {
			return nil, errNoList // there are two, and nobody knows which of them counts
		}
		d = &document{}
		if err := d.read(dec); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, errNoObject
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errNoObject
	}
	if d == nil {
		return nil, errMissing
	}
	return d, nil
}

func (d *document) read(dec *json.Decoder) error {
	if t, err := dec.Token(); err != nil || t != json.Delim('[') {
		return errNoList
	}
	d.begin = int(dec.InputOffset())
	for dec.More() {
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return errNoObject
		}
		to := int(dec.InputOffset())
		var named struct {
			Name string `json:"name"`
		}
		_ = json.Unmarshal(raw, &named) // what is no configuration has no name
		d.there = append(d.there, place{named.Name, to - len(raw), to})
	}
	if _, err := dec.Token(); err != nil {
		return errNoObject
	}
	return nil
}

// blank has spaces in the place of comments and of commas that end a list, which VS Code
// takes and JSON does not, so that all else is where it was.
func blank(text []byte) []byte {
	out := bytes.Clone(text)
	if bytes.HasPrefix(out, []byte("\xef\xbb\xbf")) {
		copy(out, "   ")
	}
	comma := -1 // the last one, while nothing but space is behind it
	for i := 0; i < len(out); i++ {
		switch c := out[i]; {
		case c == '"':
			for i++; i < len(out) && out[i] != '"'; i++ {
				if out[i] == '\\' {
					i++
				}
			}
			comma = -1
		case c == '/' && i+1 < len(out) && (out[i+1] == '/' || out[i+1] == '*'):
			i = blankComment(out, i)
		case c == ',':
			comma = i
		case (c == ']' || c == '}') && comma >= 0:
			out[comma] = ' '
			comma = -1
		case !strings.ContainsRune(" \t\r\n", rune(c)):
			comma = -1
		}
	}
	return out
}

// blankComment removes the comment at an offset, and returns that of its last byte.
func blankComment(out []byte, at int) int {
	end, ends := []byte("\n"), 0
	if out[at+1] == '*' {
		end, ends = []byte("*/"), 2
	}
	to := len(out)
	if n := bytes.Index(out[at+2:], end); n >= 0 {
		to = at + 2 + n + ends
	}
	for i := at; i < to; i++ {
		if out[i] != '\n' {
			out[i] = ' '
		}
	}
	return to - 1
}
