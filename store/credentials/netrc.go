package credentials

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// A netrcEntry is what a .netrc says of one machine.
type netrcEntry struct {
	machine        string // "" for the default
	user, password string
}

// readNetrc returns the login and password of the first entry for host that has a
// password, or else of the default one. Nothing of one entry is mixed with another's.
func readNetrc(r io.Reader, host string) (user, secret string, err error) {
	entries, err := parseNetrc(r)
	if err != nil {
		return "", "", err
	}
	for _, wanted := range []string{host, ""} {
		for _, e := range entries {
			if strings.EqualFold(e.machine, wanted) && e.password != "" && !strings.ContainsFunc(e.user, isControl) {
				return e.user, e.password, nil
			}
		}
	}
	return "", "", nil
}

// parseNetrc reads a .netrc: words that may be on any line, macros up to an empty line,
// and comments that take a whole line. A login or a secret with a control character is none.
func parseNetrc(r io.Reader) ([]netrcEntry, error) {
	var all []netrcEntry
	lines := bufio.NewScanner(r)
	macro, key := false, ""
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if macro {
			macro = len(words) > 0
			continue
		}
		for _, word := range words {
			if key == "" && strings.HasPrefix(word, "#") {
				break
			}
			last := len(all) - 1
			switch {
			case key == "machine":
				all = append(all, netrcEntry{machine: word})
			case key == "login" && last >= 0:
				all[last].user = word
			case key == "password" && last >= 0 && !strings.ContainsFunc(word, isControl):
				all[last].password = word
			case key == "macdef":
				macro = true
			case key == "" && word == "default":
				all = append(all, netrcEntry{})
			}
			switch {
			case key != "":
				key = ""
			case word == "machine", word == "login", word == "password", word == "account", word == "macdef":
				key = word
			}
			if macro {
				break
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading credentials: %w", err)
	}
	return all, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }
