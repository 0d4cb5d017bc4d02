package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// eventKind is what sent a Lambda event, which decides about the form of the answer.
type eventKind int

const (
	plainEvent    eventKind = iota // anything that is no HTTP request
	gatewayV1                      // API Gateway, payload format 1.0
	gatewayV2                      // API Gateway, payload format 2.0, and function URLs
	balancerEvent                  // Application Load Balancer
)

// streams reports whether the sender can take an answer piece by piece.
func (k eventKind) streams() bool { return k == gatewayV1 || k == gatewayV2 }

// event has the fields of all kinds of HTTP events.
type event struct {
	kind eventKind
	raw  []byte

	Version        string          `json:"version"`
	RawPath        string          `json:"rawPath"`
	RawQuery       string          `json:"rawQueryString"`
	Cookies        []string        `json:"cookies"`
	Method         string          `json:"httpMethod"`
	Path           string          `json:"path"`
	Query          values          `json:"queryStringParameters"`
	MultiQuery     url.Values      `json:"multiValueQueryStringParameters"`
	Headers        values          `json:"headers"`
	MultiHeaders   http.Header     `json:"multiValueHeaders"`
	Body           string          `json:"body"`
	Base64         bool            `json:"isBase64Encoded"`
	RequestContext json.RawMessage `json:"requestContext"`
}

// values are names with one value each.
type values map[string]string

// parseEvent finds out what sent text. What is no HTTP event, JSON or not, is a plain one.
func parseEvent(text []byte) (*event, error) {
	e := &event{}
	if err := json.Unmarshal(text, e); err != nil {
		return &event{raw: text}, nil //nolint:nilerr // it is a payload of some other form
	}
	var context struct {
		HTTP *struct {
			Method string `json:"method"`
		} `json:"http"`
		ELB json.RawMessage `json:"elb"`
	}
	if len(e.RequestContext) > 0 {
		if err := json.Unmarshal(e.RequestContext, &context); err != nil {
			return &event{raw: text}, nil //nolint:nilerr // it is a payload of some other form
		}
	}
	e.raw = text
	switch {
	case context.HTTP != nil && context.HTTP.Method != "":
		e.kind, e.Method = gatewayV2, context.HTTP.Method
	case e.Method != "" && context.ELB != nil:
		e.kind = balancerEvent
	case e.Method != "" && len(e.RequestContext) > 0:
		e.kind = gatewayV1
	}
	if e.kind != plainEvent && !isToken([]byte(e.Method)) {
		return nil, fmt.Errorf("method %q", e.Method)
	}
	return e, nil
}

// request makes the request that the event describes.
func (e *event) request(ctx context.Context, in *invocation) (*http.Request, error) {
	method, target, body, err := http.MethodPost, "/", e.raw, error(nil)
	h := http.Header{"Content-Type": {"application/json"}} // what a plain event says of headers is its own affair
	if e.kind != plainEvent {
		method, target, h = e.Method, e.target(), e.header()
		if body, err = e.body(); err != nil {
			return nil, err
		}
		setField(h, "X-Amzn-Request-Context", string(e.RequestContext))
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return nil, err
	}
	r := (&http.Request{
		Method: method, URL: u, RequestURI: target, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)),
	}).WithContext(ctx)
	r.Host = r.Header.Get("Host")
	r.Header.Del("Host")
	if r.Host == "" {
		r.Host = "lambda"
	}
	setField(r.Header, "X-Call-Id", in.id)
	setField(r.Header, "X-Amzn-Trace-Id", in.trace)
	setField(r.Header, "X-Amzn-Invoked-Function-Arn", in.arn)
	setField(r.Header, "X-Amzn-Client-Context", in.client)
	return r, nil
}

// isPlatforms reports whether only the platform may set the field name; also in a spelling that means the same to programs
// to which - is _, as in CGI.
func isPlatforms(name string) bool {
	switch textproto.CanonicalMIMEHeaderKey(strings.ReplaceAll(name, "_", "-")) {
	case "X-Amzn-Request-Context", "X-Call-Id", "X-Amzn-Trace-Id", "X-Amzn-Invoked-Function-Arn", "X-Amzn-Client-Context":
		return true
	}
	return false
}

// setField sets a field that only the platform may set; one line, or nothing.
func setField(h http.Header, name, value string) {
	if value != "" && validValue(value) {
		h[name] = []string{value}
	}
}

func validValue(value string) bool {
	for i := range len(value) {
		if c := value[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// target is the request target of the event.
func (e *event) target() string {
	path, query := e.Path, ""
	switch e.kind {
	case gatewayV2:
		path, query = e.RawPath, e.RawQuery
	case balancerEvent:
		query = e.balancerQuery()
	default:
		all := e.MultiQuery
		if len(all) == 0 {
			all = url.Values{}
			for name, value := range e.Query {
				all.Set(name, value)
			}
		}
		query = all.Encode()
	}
	if !strings.HasPrefix(path, "/") {
		path = "/" + path
	}
	if _, err := url.PathUnescape(path); err != nil || !visible(path) || strings.ContainsAny(path, "?#") {
		path = (&url.URL{Path: path}).EscapedPath()
	}
	if query != "" {
		path += "?" + strings.ReplaceAll(query, " ", "%20")
	}
	return path
}

// balancerQuery joins parameters that a load balancer leaves encoded as the client sent them.
func (e *event) balancerQuery() string {
	var parts []string
	for name, value := range e.Query {
		parts = append(parts, name+"="+value)
	}
	for name, all := range e.MultiQuery {
		for _, value := range all {
			parts = append(parts, name+"="+value)
		}
	}
	return strings.Join(parts, "&")
}

func (e *event) body() ([]byte, error) {
	if !e.Base64 {
		return []byte(e.Body), nil
	}
	body, err := base64.StdEncoding.DecodeString(e.Body)
	if err != nil {
		return nil, fmt.Errorf("body: %w", err)
	}
	return body, nil
}

// header collects the event's headers; malformed ones, and fields of a connection and of the platform, are left out.
func (e *event) header() http.Header {
	h := http.Header{}
	add := func(name, value string) {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if isToken([]byte(name)) && validValue(value) && !hopByHop(name) && !isPlatforms(name) && name != "Content-Length" && name != "Expect" {
			h[name] = append(h[name], value)
		}
	}
	for name, all := range e.MultiHeaders {
		for _, value := range all {
			add(name, value)
		}
	}
	for name, value := range e.Headers {
		if len(e.MultiHeaders) == 0 {
			add(name, value)
		}
	}
	if len(e.Cookies) > 0 {
		h["Cookie"] = nil
		add("Cookie", strings.Join(e.Cookies, "; "))
	}
	return h
}

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

// answer writes what w holds in the form that the event's sender expects.
func (e *event) answer(w *eventWriter) ([]byte, error) {
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
		a.Description = strconv.Itoa(w.status) + " " + statusText(w.status)
	}
	return json.Marshal(a)
}

// sendable leaves out what the platform writes itself.
func sendable(h http.Header) map[string][]string {
	all := map[string][]string{}
	for name, list := range h {
		if name != "Content-Length" && name != "Trailer" && !hopByHop(name) && !strings.HasPrefix(name, http.TrailerPrefix) && len(list) > 0 {
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

// eventWriter keeps an answer until it is complete.
type eventWriter struct {
	header http.Header
	status int
	body   bytes.Buffer
	most   int  // bytes of body
	over   bool // it was longer
}

func (w *eventWriter) Header() http.Header { return w.header }

func (w *eventWriter) WriteHeader(status int) {
	if w.status == 0 && status >= http.StatusOK {
		w.status = status
	}
}

func (w *eventWriter) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if w.over = w.over || len(p) > w.most-w.body.Len(); w.over {
		return 0, errTooLong
	}
	return w.body.Write(p)
}

// text is the body as it is, or in base64 if it is not text.
func (w *eventWriter) text() (text string, encoded bool) {
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

// streamWriter passes an answer on piece by piece, after a preamble with status and headers.
type streamWriter struct {
	eventWriter
	out   *io.PipeWriter
	begun bool
}

// begin sends the preamble, once.
func (w *streamWriter) begin() {
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

func (w *streamWriter) Write(p []byte) (int, error) {
	w.begin()
	return w.out.Write(p)
}

// Flush has nothing to do: nothing is kept back.
func (w *streamWriter) Flush() { w.begin() }
