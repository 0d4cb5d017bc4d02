package document

import (
	"errors"
	"strings"
	"testing"
)

func TestReadTOML(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]TOMLError{
		"a = 1\nb = \n":                      {Line: 2, Problem: "is not TOML: expected value but found '\\n' instead"},
		"a = 'x'\n":                          {Problem: "is not TOML: toml: line 1 (last key \"a\"): incompatible types: TOML value has type string; destination has type integer"},
		strings.Repeat("a.", 64) + "a = 1\n": {Problem: errLongKey.Error()},
	} {
		var out struct {
			A int `toml:"a"`
		}
		err := ReadTOML([]byte(text), &out)
		if e, ok := errors.AsType[*TOMLError](err); !ok || e.Line != want.Line || e.Problem != want.Problem {
			t.Errorf("%.60q: %+v, want %+v", text, err, want)
		}
	}
	var out map[string]any
	if err := ReadTOML([]byte("a = 1\n"), &out); err != nil || out["a"] != int64(1) {
		t.Errorf("%v, %v", out, err)
	}
}

func TestCheckTOML(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a.", 64) + "a = 1\n"
	quoted := strings.Repeat(`"=".`, 64) + "a = 1\n"
	dots := strings.Repeat(".", 100)
	for text, want := range map[string]error{
		"": nil, "a.b.c = 1\n[x.y]\n": nil, `v = "` + dots + "\"\n": nil, "# " + dots + "\n": nil,
		"t = \"\"\"\n" + dots + "\n\"\"\"\n": nil, "t = '''" + dots + "'''\n": nil,
		long: errLongKey, quoted: errLongKey, "[" + strings.Repeat("a.", 64) + "a]\n": errLongKey, "x = {" + long + "}": errLongKey,
		// What hides a key from who does not know long strings, escapes and comments.
		`x = {y = """ " """, ` + quoted: errLongKey, "x = {y = ''' ' ''', " + quoted: errLongKey, `x = "\""` + "\n" + quoted: errLongKey,
		`x = '\'` + "\n" + quoted: errLongKey, "# \"\n" + quoted: errLongKey, `x = """a"""""` + "\n" + quoted: errLongKey,
		strings.Repeat("[", 501): errDeepTOML, strings.Repeat("[", 400) + strings.Repeat("]", 400) + strings.Repeat("{", 400): nil,
	} {
		if got := checkTOML([]byte(text)); !errors.Is(got, want) {
			t.Errorf("%.60q: %v, want %v", text, got, want)
		}
	}
}
