package attestation

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"fnb/internal/plain"
)

// exact refuses a JSON object that readers do not agree about: one that has a key twice, or one of the known keys in
// other letters. encoding/json takes the last of them, whatever its letters, and others take another one.
func exact(data []byte, known ...string) error {
	d := json.NewDecoder(bytes.NewReader(data))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return err // whatever else it is says nothing twice
	}
	var met []string
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return err
		}
		key, _ := token.(string) // before a value there is nothing else
		if slices.Contains(met, key) {
			return errors.New("it says " + plain.Quoted(key) + " twice")
		}
		if i := slices.IndexFunc(known, func(k string) bool { return strings.EqualFold(k, key) }); i >= 0 {
			if known[i] != key {
				return errors.New("it says " + plain.Quoted(key) + " where others read " + plain.Quoted(known[i]) + " alone")
			}
			met = append(met, key)
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return err
		}
	}
	return nil
}
