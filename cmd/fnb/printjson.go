package main

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// printJSON prints v as JSON on one line.
func (g *globals) printJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.out, "%s\n", escapeJSON(data))
	return err
}

// escapeJSON writes out what could drive a terminal and JSON leaves as it is. The
// document means the same.
func escapeJSON(data []byte) []byte {
	if !bytes.ContainsFunc(data, func(r rune) bool { return r >= 0x7f && drives(r) }) {
		return data
	}
	var b bytes.Buffer
	for _, r := range string(data) {
		if r >= 0x7f && drives(r) {
			fmt.Fprintf(&b, "\\u%04x", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.Bytes()
}
