package main

import (
	"encoding/json"
	"fmt"

	"fnb/internal/plain"
)

// printJSON prints v as JSON on one line.
func (g *globals) printJSON(v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.out, "%s\n", plain.JSON(data))
	return err
}
