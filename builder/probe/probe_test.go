package probe

import (
	"strings"
	"testing"

	"fnb/schema"
)

func TestJudge(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		o      Options
		status int
		answer string
		want   string // a part of the problem; "" is none
	}{
		{Options{}, 200, "", ""},
		{Options{}, 404, "", ""},
		{Options{Request: schema.Example{Contains: "x", Status: 201}}, 200, "", ""},
		{Options{}, 500, "", "it answers 500, and must answer with a status under 500"},
		{Options{Exact: true}, 399, "", ""},
		{Options{Exact: true}, 400, "", "under 400"},
		{Options{Exact: true, Request: schema.Example{Status: 503}}, 503, "", ""},
		{Options{Exact: true, Request: schema.Example{Status: 201}}, 200, "", "it answers 200, and must answer 201"},
		{Options{Exact: true, Request: schema.Example{Contains: "b"}}, 200, "abc", ""},
		{Options{Exact: true, Request: schema.Example{Contains: "d"}}, 200, "abc", `the answer has no "d" in it: "abc"`},
	} {
		err := (&prober{o: tt.o}).judge(tt.status, tt.answer)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v, answered with %d %q: %v, want %q", tt.o, tt.status, tt.answer, err, tt.want)
		}
	}
}

func TestNewRequest(t *testing.T) {
	t.Parallel()
	body := strings.NewReader("hi")
	r, err := newRequest(t.Context(), schema.Example{Method: "PUT", Path: "/a?b=c", Headers: map[string]string{"host": "example.com", "content-type": "a/b"}, Body: "hi"}, body)
	if err != nil || r.Method != "PUT" || r.URL.RequestURI() != "/a?b=c" || r.Host != "example.com" || r.Header.Get("Content-Type") != "a/b" {
		t.Errorf("%+v %v", r, err)
	}
	r, err = newRequest(t.Context(), schema.Example{Body: "hi"}, body)
	if err != nil || r.Method != "POST" || r.URL.Path != "/" || !strings.HasPrefix(r.Header.Get("Content-Type"), "text/plain") {
		t.Errorf("%+v %v", r, err)
	}
}

func TestPlatformsNamed(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		names []string
		want  string // names, or a part of the error
	}{
		{nil, ""},
		{[]string{"docker", "lambda", "docker"}, "docker lambda"},
		{[]string{"docker", "all"}, strings.Join(PlatformNames(), " ")},
		{[]string{"azure"}, `"azure" is not a platform whose rules fnb knows: it must be one of lambda, cloudrun, `},
	} {
		all, err := PlatformsNamed(tt.names)
		var names []string
		for _, p := range all {
			names = append(names, p.Name)
		}
		if got := strings.Join(names, " "); err == nil && got != tt.want || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v %v", tt.names, got, err)
		}
	}
}
