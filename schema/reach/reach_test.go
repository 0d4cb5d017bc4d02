package reach

import (
	"strings"
	"testing"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Destination{
		"db=127.0.0.1:5432":        {"db", 5432, "127.0.0.1", 5432},
		"DB=LocalHost:5432":        {"db", 5432, "localhost", 5432},
		"api.example.com:443":      {"api.example.com", 443, "api.example.com", 443},
		"a_b=[::1]:1":              {"a_b", 1, "::1", 1},
		"api:80=127.0.0.1:18765":   {"api", 80, "127.0.0.1", 18765},
		"api.io:80=api.io:81":      {"api.io", 80, "api.io", 81},
		"mail=mail.example.com:25": {"mail", 25, "mail.example.com", 25},
	} {
		got, err := Parse(text)
		if got != want || err != nil {
			t.Errorf("%s: %+v %v", text, got, err)
		}
		if again, err := Parse(got.String()); again != got || err != nil {
			t.Errorf("%s: %s is %+v %v", text, got, again, err)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                        "does not lead to a HOST:PORT",
		"db":                      "is not [NAME[:PORT]=]HOST:PORT",
		"db=":                     "does not lead",
		"db=/run/pg.sock":         "not a URL or a socket's file",
		"https://api.example.com": "not a URL",
		"::1:5432":                "is written [::1]:5432",
		"db=host:0":               `"0" is not a port`,
		"db=host:65536":           "is not a port",
		"db=host:+1":              "is not a port",
		"db=host:http":            "is not a port",
		"db=:5432":                "is not [NAME[:PORT]=]HOST:PORT",
		"db=0.0.0.0:5432":         "nothing is at the address",
		"127.0.0.1:5432":          "needs a name by which the function knows it, such as db=127.0.0.1:5432",
		"localhost:5432":          "needs a name",
		"localhost=db:5432":       "is the function's own host: take another name",
		"api:=db:5432":            `"" is not a port`,
		"api:x=db:5432":           `"x" is not a port`,
		"a:1:2=db:5432":           `"1:2" is not a port`,
		":80=db:5432":             "the name before = is missing",
		"a.localhost=db:5432":     "is the function's own host",
		"=db:5432":                "the name before = is missing",
		"10.0.0.1=db:5432":        "is an address",
		"a b=db:5432":             "is not the name of a host",
		"db=a..b:5432":            "is not the name of a host",
		"-a=db:1":                 "is not the name of a host",
		"a\x1b=db:1":              "is not the name of a host",
	} {
		if d, err := Parse(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %+v %v", text, d, err)
		}
	}
	if _, err := ParseAll([]string{"db=a:1", "DB:1=b:2"}); err == nil || !strings.Contains(err.Error(), "are both db:1") {
		t.Error(err)
	}
	if all, err := ParseAll([]string{"db=a:1", "db=a:2", "db:3=a:1"}); len(all) != 3 || err != nil {
		t.Errorf("%v %v", all, err)
	}
}
