package main

import (
	"encoding/json"

	"fnb/internal/plain"
)

// printJSON prints v as JSON on one line.
func (g *globals) printJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return g.writeJSON(append(data, '\n'))
}

// printIndented prints v as JSON on many lines.
func (g *globals) printIndented(v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	return g.writeJSON(append(data, '\n'))
}

// writeJSON writes a document to standard output. All of them go through here, since
// JSON leaves characters as they are that drive a terminal.
func (g *globals) writeJSON(data []byte) error {
	_, err := g.out.Write(plain.JSON(data))
	return err
}
