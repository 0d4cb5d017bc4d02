package tunnel

import (
	"slices"
	"strings"
	"testing"
)

// ask is a question for a name, of a type.
func ask(name string, kind byte) []byte {
	msg := []byte{0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := range strings.SplitSeq(name, ".") {
		msg = append(append(msg, byte(len(label))), label...)
	}
	return append(msg, 0, 0, kind, 0, classIN)
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	var told []string
	s := newServer([]way{{"db", "127.102.1.1:5432"}, {"api.example.com", "127.102.1.2:443"}}, func(name string) { told = append(told, name) })
	for _, tt := range []struct {
		name string
		kind byte
		code byte
		ip   []byte
	}{
		{"db", typeA, 0, []byte{127, 102, 1, 1}},
		{"API.Example.COM", typeA, 0, []byte{127, 102, 1, 2}},
		{"localhost", typeA, 0, []byte{127, 0, 0, 1}},
		{"db", 28, 0, nil}, // it has no address of IPv6
		{"other.example.com", typeA, noName, nil},
		{"Other.example.com", 28, noName, nil},
		{"1.0.0.127.in-addr.arpa", 12, noName, nil},
		{"_ldap._tcp.example.com", 33, noName, nil},
		{"a\x1b[31m", typeA, noName, nil},
	} {
		question := ask(tt.name, tt.kind)
		got := s.answer(question)
		if len(got) < len(question) || got[0] != 0x12 || got[2] != 0x81 || got[3] != 0x80|tt.code || got[5] != 1 || string(got[headSize:len(question)]) != string(question[headSize:]) {
			t.Errorf("%s: % x", tt.name, got)
			continue
		}
		if n := len(got) - len(question); tt.ip == nil && n != 0 || tt.ip != nil && (got[7] != 1 || !slices.Equal(got[len(got)-4:], tt.ip)) {
			t.Errorf("%s: % x", tt.name, got[len(question):])
		}
	}
	if !slices.Equal(told, []string{"other.example.com"}) {
		t.Errorf("told of %q", told)
	}
	for range 3 * mostAsked {
		s.answer(ask(strings.Repeat("a", 1+len(told))+"x", typeA))
	}
	if len(told) > mostAsked {
		t.Errorf("told of %d names", len(told))
	}
}

// FuzzAnswer looks for what a function can do to the server.
func FuzzAnswer(f *testing.F) {
	f.Add(ask("db", typeA))
	f.Add([]byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1})
	f.Fuzz(func(t *testing.T, msg []byte) {
		s := newServer([]way{{"db", "127.102.1.1:5432"}}, func(name string) {
			if strings.ContainsAny(name, "\x00\x1b\n ") {
				t.Errorf("%q", name)
			}
		})
		if got := s.answer(msg); len(got) > len(msg)+16 {
			t.Errorf("% x is answered with % x", msg, got)
		}
	})
}
