package trust

import (
	"testing"

	"fnb/internal/growth"
)

const someKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ9Uf5OqZ1pX3Cd2q3T9m1mJwVwkMAbWkBfyqCFhVb6E ann"

// TestGrowth reads files of keys that attackers have: the time grows with their length.
func TestGrowth(t *testing.T) {
	var readers []growth.Reader
	for _, c := range []struct{ what, before, part, after string }{
		{"keys", "", someKey + "\n", ""},
		{"comments", "", "# a\n", ""},
		{"options", "a ", `valid-before="20300101Z",`, `namespaces="x" ` + someKey},
		{"namespaces", `a namespaces="`, "x,", `" ` + someKey},
		{"principals", "a", ",a", " " + someKey},
		{"blanks", "a", " ", someKey},
		{"quotes", "a ", `"\"`, " " + someKey},
		{"PEM that begins", "", "-----BEGIN PUBLIC KEY-----\n", ""},
		{"PEM that ends", "-----BEGIN PUBLIC KEY-----\n", "-----END PUBLIC KEY-----\n", ""},
		{"PEM with headers", "-----BEGIN PUBLIC KEY-----\n", "a: b\n", "\n-----END PUBLIC KEY-----\n"},
		{"PEM of nothing", "", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n", ""},
	} {
		readers = append(readers, growth.Reader{Name: c.what, Size: maxKeyFile - 100, Begin: func(size int) func() {
			data := []byte(c.before + growth.Numbered(c.part, size-len(c.before)-len(c.after)-len(c.part)) + c.after)
			return func() {
				_, _ = ParseTrustedKeys(data)
				_, _ = ParsePublicKey(data)
				_, _ = openPrivate(t.Context(), "k", data, Options{})
			}
		}})
	}
	growth.Check(t, readers...)
}

// FuzzKeys reads any bytes as keys: public ones, of a file of them, and a private one.
func FuzzKeys(f *testing.F) {
	f.Add([]byte(someKey))
	f.Add([]byte(`a@b.c,d namespaces="fnb-image",valid-before="20300101Z" ` + someKey))
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAn1R/k6pnWlfcJ3ardP2bWYnBXCQwBtaQF/KoIWFVvoQ=\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := ParseTrustedKeys(data)
		if (len(keys) == 0) == (err == nil) {
			t.Errorf("%d keys, %v", len(keys), err)
		}
		for _, k := range keys {
			line := k.String()
			again, err := ParsePublicKey([]byte(line))
			if err != nil || !again.Equal(k.PublicKey) || again.Fingerprint() != k.Fingerprint() {
				t.Errorf("%s is read as %v, %v", line, again, err)
			}
		}
		if s, err := openPrivate(t.Context(), "k", data, Options{}); err == nil {
			_ = s.Close()
		}
	})
}
