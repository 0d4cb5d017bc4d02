package ownership

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"fnb/schema"
	"fnb/schema/document"
)

// What the files may have.
const (
	maxKeys       = 100
	maxText       = 200 // of a name, an issuer, a subject
	maxKeyText    = 16 << 10
	maxSignatures = 16
)

// The roles of a [Key].
const (
	RoleOwner   = "owner"   // says who the owners are
	RolePublish = "publish" // adds versions, and describes and deprecates packages
	RoleYank    = "yank"    // withdraws versions, and deprecates packages
)

// Roles are all roles.
func Roles() []string { return []string{RoleOwner, RolePublish, RoleYank} }

// Owners is the contents of namespaces/NS/N.json: whose signatures count in a namespace,
// from then on. Each but the first is signed by the owners of the one before it and by its own.
type Owners struct {
	V         int    `json:"v"`                  // of the format: 1
	Namespace string `json:"namespace"`          // whose names begin with it
	Number    int    `json:"number"`             // as in the name of the file; the first is 1
	Previous  string `json:"previous,omitempty"` // SHA-256 of the file before, in hex
	Threshold int    `json:"threshold"`          // how many keys with the role owner have to sign
	Keys      []Key  `json:"keys"`
	// Records are the SHA-256 of records that count without a signature of these keys:
	// they are older than the namespace's keys, or signed by one that was taken away.
	Records []string `json:"records,omitempty"`
}

// A Key is one whose signatures count: either Key or OIDC.
type Key struct {
	Name  string     `json:"name"`          // whose it is, for people
	Key   string     `json:"key,omitempty"` // public, as SSH writes it in a line, or in PEM
	OIDC  *Subject   `json:"oidc,omitempty"`
	Roles []string   `json:"roles"`
	Until *time.Time `json:"until,omitempty"` // the last moment at which it may sign; none means for ever
}

// A Subject is a person or workflow that an issuer of OpenID Connect tokens knows.
type Subject struct {
	Issuer  string `json:"issuer"`
	Subject string `json:"subject"`
}

// Has reports whether a key has a role.
func (k Key) Has(role string) bool { return slices.Contains(k.Roles, role) }

// Marshal returns the contents of the file.
func (o Owners) Marshal() ([]byte, error) { return indented(o) }

func indented(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(v)
	return b.Bytes(), err
}

// A checker gathers the problems of one file.
type checker struct {
	file     string
	problems []*document.FieldError
}

func (c *checker) fail(field, format string, args ...any) {
	c.problems = append(c.problems, &document.FieldError{File: c.file, Field: field, Problem: fmt.Sprintf(format, args...)})
}

func (c *checker) err() error {
	if len(c.problems) == 0 {
		return nil
	}
	return document.Join(c.problems)
}

// decode reads a document of at most [schema.MaxRecordSize] bytes into dst.
func (c *checker) decode(data []byte, dst any) error {
	if len(data) > schema.MaxRecordSize {
		c.fail("", "has more than %d bytes", schema.MaxRecordSize)
	} else if err := json.Unmarshal(data, dst); err != nil {
		c.fail("", "%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return c.err()
}

// ParseOwners reads namespaces/NS/N.json. The name of the file is only used for errors. For a
// newer format the error wraps [schema.ErrNewerFormat]; other problems are returned at once.
func ParseOwners(file string, data []byte) (Owners, error) {
	var o Owners
	c := &checker{file: file}
	var format struct {
		V int `json:"v"`
	}
	if err := c.decode(data, &format); err != nil {
		return Owners{}, err
	}
	if format.V > schema.RecordVersion {
		return Owners{}, fmt.Errorf("reading %s: %w: its format is %d, and this fnb understands %d", file, schema.ErrNewerFormat, format.V, schema.RecordVersion)
	}
	if err := c.decode(data, &o); err != nil {
		return Owners{}, err
	}
	if o.V < 1 {
		c.fail("v", "is missing or not a version of the format")
	}
	if err := schema.ValidateName(o.Namespace); err != nil {
		c.fail("namespace", "%v", err)
	}
	if o.Number < 1 {
		c.fail("number", "is missing or less than 1")
	}
	if (o.Number > 1) != (o.Previous != "") || o.Previous != "" && !isSum(o.Previous) {
		c.fail("previous", "must be the SHA-256 of the owners before, in hex, and the first ones have none")
	}
	c.keys(o)
	for i, sum := range o.Records {
		if !isSum(sum) {
			c.fail(fmt.Sprintf("records[%d]", i), "is not a SHA-256 in hex")
			break
		}
	}
	return o, c.err()
}

// keys checks the keys of owners, and that there are enough of them.
func (c *checker) keys(o Owners) {
	owners := 0
	if len(o.Keys) > maxKeys {
		c.fail("keys", "are more than %d", maxKeys)
		return
	}
	for i, k := range o.Keys {
		at := fmt.Sprintf("keys[%d]", i)
		switch {
		case k.Name == "" || len(k.Name) > maxText || strings.ContainsAny(k.Name, "\r\n\t"):
			c.fail(at+".name", "must be one line of at most %d bytes", maxText)
		case (k.Key == "") == (k.OIDC == nil):
			c.fail(at, "must have either a key or an OIDC subject")
		case len(k.Key) > maxKeyText:
			c.fail(at+".key", "has more than %d bytes", maxKeyText)
		case k.OIDC != nil && (k.OIDC.Issuer == "" || k.OIDC.Subject == "" || len(k.OIDC.Issuer)+len(k.OIDC.Subject) > maxKeyText):
			c.fail(at+".oidc", "must have an issuer and a subject")
		}
		for _, role := range k.Roles {
			if !slices.Contains(Roles(), role) {
				c.fail(at+".roles", "%q is not one of %s", role, strings.Join(Roles(), ", "))
			}
		}
		if k.Has(RoleOwner) {
			owners++
		}
	}
	if o.Threshold < 1 || o.Threshold > owners {
		c.fail("threshold", "is %d, and must be from 1 to the number of keys with the role owner, which is %d", o.Threshold, owners)
	}
}

// isSum reports whether s is a SHA-256 in hex.
func isSum(s string) bool {
	_, err := hex.DecodeString(s)
	return err == nil && len(s) == 64 && strings.ToLower(s) == s
}
