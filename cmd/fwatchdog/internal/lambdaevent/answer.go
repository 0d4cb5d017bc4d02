package lambdaevent

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"unicode/utf8"

	"fnb/cmd/fwatchdog/internal/wire"
)

// httpAnswer is an answer as gateways and load balancers take it, and, without a body, what goes before
// a streamed one.
type httpAnswer struct {
	Status      int                 `json:"statusCode"`
	Description string              `json:"statusDescription,omitempty"`
	Headers     values              `json:"headers,omitempty"`
	Multi       map[string][]string `json:"multiValueHeaders,omitempty"`
	Cookies     []string            `json:"cookies,omitempty"`
	Body        *string             `json:"body,omitempty"`
	Base64      *bool               `json:"isBase64Encoded,omitempty"`
}

// Encode writes what w holds in the form that the event's sender expects.
func (e *Event) Encode(w *Answer) ([]byte, error) {
	if e.kind == plainEvent {
		return w.body.Bytes(), nil
	}
	text, encoded := w.text()
	a := httpAnswer{Status: w.status, Body: &text, Base64: &encoded}
	switch {
	case e.kind == gatewayV2:
		a.Headers, a.Cookies = joined(w.header)
	case e.kind == gatewayV1 || len(e.MultiHeaders) > 0:
		a.Multi = sendable(w.header)
	default:
		a.Headers, a.Cookies = joined(w.header)
		if n := len(a.Cookies); n > 0 {
			a.Headers["Set-Cookie"] = a.Cookies[n-1] // such a balancer takes one
		}
		a.Cookies = nil
	}
	if e.kind == balancerEvent {
		a.Description = strconv.Itoa(w.status) + " " + wire.StatusText(w.status)
	}
	return json.Marshal(a)
}

// sendable leaves out what the platform writes itself.
func sendable(h http.Header) map[string][]string {
	all := map[string][]string{}
	for name, list := range h {
		if name != "Content-Length" && name != "Trailer" && !wire.HopByHop(name) && !strings.HasPrefix(name, http.TrailerPrefix) && len(list) > 0 {
			all[name] = list
		}
	}
	return all
}

func joined(h http.Header) (one values, cookies []string) {
	one = values{}
	for name, list := range sendable(h) {
		if name == "Set-Cookie" {
			cookies = list
			continue
		}
		one[name] = strings.Join(list, ", ")
	}
	return one, cookies
}

var errTooLong = errors.New("more than the answer may hold")

// Answer is an http.ResponseWriter that keeps an answer until it is complete.
type Answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	most   int  // bytes of body
	over   bool // it was longer
}

// NewAnswer returns an Answer that holds a body of at most so many bytes.
func NewAnswer(most int) *Answer { return &Answer{header: http.Header{}, most: most} }

// Header returns the header fields of the answer.
func (w *Answer) Header() http.Header { return w.header }

// WriteHeader sets the status; interim ones are dropped.
func (w *Answer) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
}

// Write adds p to the body. It fails from the first byte on that is too many.
func (w *Answer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.over = w.over || len(p) > w.most-w.body.Len(); w.over {
		return 0, errTooLong
	}
	return w.body.Write(p)
}

// Status is that of the answer; 0: none has been written.
func (w *Answer) Status() int { return w.status }

// TooLong reports whether the body was longer than the answer may hold.
func (w *Answer) TooLong() bool { return w.over }

// String is the body.
func (w *Answer) String() string { return w.body.String() }

// text is the body as it is, or in base64 if it is not text.
func (w *Answer) text() (text string, encoded bool) {
	if isText(w.header) && utf8.Valid(w.body.Bytes()) {
		return w.body.String(), false
	}
	return base64.StdEncoding.EncodeToString(w.body.Bytes()), true
}

func isText(h http.Header) bool {
	if h.Get("Content-Encoding") != "" {
		return false
	}
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return h.Get("Content-Type") == ""
	}
	return strings.HasPrefix(kind, "text/") || strings.HasSuffix(kind, "json") || strings.HasSuffix(kind, "xml") ||
		strings.HasSuffix(kind, "javascript") || kind == "application/x-www-form-urlencoded" || kind == "application/yaml"
}

// Stream is an http.ResponseWriter that passes an answer on piece by piece, after a preamble with status and headers.
type Stream struct {
	Answer
	out   io.Writer
	begun bool
}

// NewStream returns a Stream that writes to out, whose errors come back with the next write.
func NewStream(out io.Writer) *Stream {
	return &Stream{Answer: Answer{header: http.Header{}}, out: out}
}

// Begin sends the preamble, once; also of an answer without a body.
func (w *Stream) Begin() {
	if w.begun {
		return
	}
	w.begun = true
	w.WriteHeader(http.StatusOK)
	a := httpAnswer{Status: w.status}
	a.Headers, a.Cookies = joined(w.header)
	text, _ := json.Marshal(a) // strings and numbers
	const separator = "\x00\x00\x00\x00\x00\x00\x00\x00"
	_, _ = w.out.Write(append(text, separator...)) // an error comes back with the next write
}

// Write passes p on.
func (w *Stream) Write(p []byte) (int, error) {
	w.Begin()
	return w.out.Write(p)
}

// Flush has nothing to do: nothing is kept back.
func (w *Stream) Flush() { w.Begin() }
