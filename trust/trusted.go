package trust

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"fnb/internal/plain"
)

// maxTrustedKeys bounds a file of public keys.
const maxTrustedKeys = 1000

// A TrustedKey is a public key with what it is trusted for.
type TrustedKey struct {
	PublicKey
	Principals    []string  // whose it is, where the file says it
	Namespaces    []string  // what it may sign; none means anything
	After, Before time.Time // when it is valid; the zero time means no such end
}

// Check reports whether the key may sign in a namespace now: a [*TimeError] or a
// [*SignatureError] says why not.
func (k TrustedKey) Check(namespace string, now time.Time) error {
	if len(k.Namespaces) > 0 && !slices.Contains(k.Namespaces, namespace) {
		return &SignatureError{Key: k.PublicKey, Why: fmt.Sprintf("the key is trusted for %s alone, not for %s", strings.Join(k.Namespaces, ", "), namespace)}
	}
	if !k.After.IsZero() && now.Before(k.After) || !k.Before.IsZero() && !now.Before(k.Before) {
		return &TimeError{Key: k.PublicKey, After: k.After, Before: k.Before, Now: now}
	}
	return nil
}

// ParseTrustedKeys reads a file of public keys: PEM, OpenSSH's lines, or lines of allowed signers
// ("PRINCIPALS [OPTIONS] KEY", see ssh-keygen). Empty lines, and those that begin with #, say nothing.
func ParseTrustedKeys(data []byte) ([]TrustedKey, error) {
	var out []TrustedKey
	if bytes.Contains(data, []byte("-----BEGIN ")) {
		for block, rest := pem.Decode(data); block != nil && len(out) <= maxTrustedKeys; block, rest = pem.Decode(rest) {
			key, err := parsePublicPEM(block)
			if err != nil {
				return nil, err
			}
			out = append(out, TrustedKey{PublicKey: key})
		}
	} else {
		n := 0
		for line := range strings.Lines(string(data)) {
			n++
			line = strings.TrimSpace(line)
			if line == "" || line[0] == '#' {
				continue
			}
			key, err := parseTrustedLine(line)
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", n, err)
			}
			if out = append(out, key); len(out) > maxTrustedKeys {
				break
			}
		}
	}
	if len(out) > maxTrustedKeys {
		return nil, fmt.Errorf("it has more than %d keys", maxTrustedKeys)
	}
	if len(out) == 0 {
		return nil, errors.New("it has no public key")
	}
	return out, nil
}

func parseTrustedLine(line string) (TrustedKey, error) {
	first, rest, _ := strings.Cut(line, " ")
	if keyType(first) {
		key, err := ParsePublicKey([]byte(line))
		return TrustedKey{PublicKey: key}, err
	}
	// What stands before the key are options, in the syntax of authorized_keys.
	pub, comment, options, _, err := ssh.ParseAuthorizedKey([]byte(strings.TrimSpace(rest)))
	if err != nil {
		return TrustedKey{}, errors.New("it is neither a public key nor a line of allowed signers")
	}
	k := TrustedKey{Principals: strings.Split(plain.Short(first), ",")}
	if k.PublicKey, err = newPublicKey(pub, comment); err != nil {
		return k, err
	}
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		value = strings.Trim(value, `"`)
		switch strings.ToLower(name) {
		case "namespaces":
			k.Namespaces = strings.Split(plain.Short(value), ",")
		case "valid-after":
			k.After, err = parseTime(value)
		case "valid-before":
			k.Before, err = parseTime(value)
		default:
			err = fmt.Errorf("the option %q is not known here", plain.Short(name))
		}
		if err != nil {
			return k, err
		}
	}
	return k, nil
}

func keyType(word string) bool {
	return strings.HasPrefix(word, "ssh-") || strings.HasPrefix(word, "ecdsa-") || strings.HasPrefix(word, "sk-")
}

// parseTime reads a time as ssh-keygen does: YYYYMMDD[HHMM[SS]], local, or with a Z.
func parseTime(s string) (time.Time, error) {
	zone, digits := time.Local, s
	if strings.HasSuffix(s, "Z") {
		zone, digits = time.UTC, strings.TrimSuffix(s, "Z")
	}
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if t, err := time.ParseInLocation(layout, digits, zone); err == nil && len(digits) == len(layout) {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write YYYYMMDD, or YYYYMMDDHHMM, with a Z behind it for UTC", plain.Short(s))
}
