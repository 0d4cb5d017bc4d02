package lambdaevent

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"fnb/cmd/fwatchdog/internal/wire"
)

// TestEventsCannotSpeakForThePlatform has events say what only Lambda may say.
func TestEventsCannotSpeakForThePlatform(t *testing.T) {
	t.Parallel()
	names := []string{"X-Amzn-Request-Context", "x_amzn_request_context", "X-Call-Id", "x-call_id", "X-Amzn-Trace-Id", "X-AMZN-INVOKED-FUNCTION-ARN", "x-amzn-client-context"}
	said := map[string]string{"X-Custom": "kept", "Host": "evil"}
	for _, name := range names {
		said[name] = "forged"
	}
	for kind, event := range map[string]map[string]any{
		"plain":          {"cookies": []string{"a=1"}},
		"a function URL": {"requestContext": map[string]any{"http": map[string]any{"method": "GET"}}},
		"format 1.0":     {"httpMethod": "GET", "requestContext": map[string]any{"stage": "s"}},
		"load balancer":  {"httpMethod": "GET", "requestContext": map[string]any{"elb": map[string]any{}}},
	} {
		for _, in := range []Invocation{{}, {ID: "id", Trace: "trace", ARN: "arn", Client: "client"}} {
			event["headers"] = said
			text, err := json.Marshal(event)
			if err != nil {
				t.Fatal(err)
			}
			e, err := Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			r, err := e.Request(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			for name, values := range r.Header {
				if values[0] == "forged" || kind == "plain" && in.ID == "" && name != "Content-Type" {
					t.Errorf("%s: the function gets %s: %q", kind, name, values)
				}
			}
			if kind == "plain" {
				if r.Host != "lambda" || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s: host %q, headers %v", kind, r.Host, r.Header)
				}
			} else if r.Host != "evil" || r.Header.Get("X-Custom") != "kept" || !strings.HasPrefix(r.Header.Get("X-Amzn-Request-Context"), "{") {
				t.Errorf("%s: host %q, headers %v", kind, r.Host, r.Header)
			}
			if r.Header.Get("X-Call-Id") != in.ID || r.Header.Get("X-Amzn-Client-Context") != in.Client {
				t.Errorf("%s: headers %v, want those of %+v", kind, r.Header, in)
			}
		}
	}
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	const v2, v1, elb = `{"requestContext":{"http":{"method":"GET"}}}`, `{"httpMethod":"GET","requestContext":{"stage":"s"}}`, `{"httpMethod":"GET","requestContext":{"elb":{}}}`
	for _, tt := range []struct{ name, event, kind, body, want string }{
		{"a plain one", `{"a":1}`, "text/plain", "hi", "hi"},
		{"a text for a function URL", v2, "text/plain", "hi", `{"statusCode":201,"headers":{"Content-Type":"text/plain"},"cookies":["a=1","b=2"],"body":"hi","isBase64Encoded":false}`},
		{"bytes for a function URL", v2, "image/png", "\xff", `{"statusCode":201,"headers":{"Content-Type":"image/png"},"cookies":["a=1","b=2"],"body":"/w==","isBase64Encoded":true}`},
		{"a text that is none", v2, "text/plain", "\xff", `{"statusCode":201,"headers":{"Content-Type":"text/plain"},"cookies":["a=1","b=2"],"body":"/w==","isBase64Encoded":true}`},
		{"for a gateway", v1, "text/plain", "hi", `{"statusCode":201,"multiValueHeaders":{"Content-Type":["text/plain"],"Set-Cookie":["a=1","b=2"]},"body":"hi","isBase64Encoded":false}`},
		{"for a load balancer", elb, "text/plain", "hi", `{"statusCode":201,"statusDescription":"201 Created","headers":{"Content-Type":"text/plain","Set-Cookie":"b=2"},"body":"hi","isBase64Encoded":false}`},
	} {
		e, err := Parse([]byte(tt.event))
		if err != nil {
			t.Fatal(err)
		}
		w := NewAnswer(10)
		h := w.Header()
		h["Content-Type"], h["Set-Cookie"], h["Connection"], h["Content-Length"] = []string{tt.kind}, []string{"a=1", "b=2"}, []string{"close"}, []string{"9"}
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusCreated)
		if _, err := io.WriteString(w, tt.body); err != nil {
			t.Fatal(err)
		}
		if got, err := e.Encode(w); err != nil || string(got) != tt.want {
			t.Errorf("%s: %s, %v; want %s", tt.name, got, err, tt.want)
		}
	}
}

func TestAnswerIsBounded(t *testing.T) {
	t.Parallel()
	w := NewAnswer(4)
	if _, err := io.WriteString(w, "1234"); err != nil || w.TooLong() || w.Status() != http.StatusOK {
		t.Errorf("four bytes: %v, status %d", err, w.Status())
	}
	for range 2 {
		if _, err := io.WriteString(w, "5"); err == nil || !w.TooLong() || w.String() != "1234" {
			t.Errorf("a fifth byte: %v, %q", err, w.String())
		}
	}
}

func TestStream(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := NewStream(&out)
	w.Header().Set("X-A", "1")
	w.WriteHeader(http.StatusTeapot)
	const preamble = `{"statusCode":418,"headers":{"X-A":"1"}}` + "\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, step := range []struct {
		do   func()
		want string
	}{{w.Flush, preamble}, {func() { _, _ = io.WriteString(w, "a") }, preamble + "a"}, {w.Begin, preamble + "a"}} {
		if step.do(); out.String() != step.want {
			t.Errorf("%q, want %q", out.String(), step.want)
		}
	}
}

func FuzzEvent(f *testing.F) {
	f.Add([]byte(`{"version":"2.0","rawPath":"/a b?c","rawQueryString":"q","body":"body","requestContext":{"http":{"method":"POST"}}}`))
	f.Add([]byte(`{"httpMethod":"GET","path":"/%zz","requestContext":{"elb":{}},"queryStringParameters":{"a":"b c"}}`))
	f.Add([]byte(`{"httpMethod":"GET /x HTTP/1.1\r\n","path":"x","requestContext":{"stage":"s"},"headers":{"a\r\nb":"c\r\nd"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := Parse(text)
		if err != nil {
			return
		}
		r, err := e.Request(t.Context(), Invocation{ID: "i\r\nd"})
		if err != nil {
			return
		}
		if strings.ContainsAny(r.RequestURI, " \r\n\x00") || !wire.IsToken(r.Method) {
			t.Errorf("%q: request line %q %q", text, r.Method, r.RequestURI)
		}
		for name, values := range r.Header {
			for _, value := range values {
				if !wire.IsToken(name) || strings.ContainsAny(value, "\r\n\x00") {
					t.Errorf("%q: header %q: %q", text, name, value)
				}
			}
		}
	})
}
