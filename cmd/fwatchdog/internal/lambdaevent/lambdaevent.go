// Package lambdaevent turns what AWS Lambda invokes a function with into HTTP requests, and their answers into what the
// sender of the event takes. Parse reads an event, Request makes the request of it, and an Answer or a Stream keeps what is
// answered.
package lambdaevent

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"fnb/cmd/fwatchdog/internal/wire"
)

// kind is what sent an event, which decides about the form of the answer.
type kind int

const (
	plainEvent    kind = iota // anything that is no HTTP request
	gatewayV1                 // API Gateway, payload format 1.0
	gatewayV2                 // API Gateway, payload format 2.0, and function URLs
	balancerEvent             // Application Load Balancer
)

// Event is one invocation's payload, with the fields of all kinds of HTTP events.
type Event struct {
	kind kind
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

// Parse finds out what sent text. What is no HTTP event, JSON or not, is a plain one.
func Parse(text []byte) (*Event, error) {
	e := &Event{}
	if err := json.Unmarshal(text, e); err != nil {
		return &Event{raw: text}, nil //nolint:nilerr // it is a payload of some other form
	}
	var context struct {
		HTTP *struct {
			Method string `json:"method"`
		} `json:"http"`
		ELB json.RawMessage `json:"elb"`
	}
	if len(e.RequestContext) > 0 {
		if err := json.Unmarshal(e.RequestContext, &context); err != nil {
			return &Event{raw: text}, nil //nolint:nilerr // it is a payload of some other form
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
	if e.kind != plainEvent && !wire.IsToken(e.Method) {
		return nil, fmt.Errorf("method %q", e.Method)
	}
	return e, nil
}

// IsPlain reports whether no HTTP request made the event.
func (e *Event) IsPlain() bool { return e.kind == plainEvent }

// Streams reports whether the sender can take an answer piece by piece.
func (e *Event) Streams() bool { return e.kind == gatewayV1 || e.kind == gatewayV2 }

// Invocation is what the platform says of an event. Its fields are those of the request that only the platform may set.
type Invocation struct {
	ID     string
	ARN    string
	Trace  string
	Client string // the caller's context, JSON
}

// Request makes the request that the event describes.
func (e *Event) Request(ctx context.Context, in Invocation) (*http.Request, error) {
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
	setField(r.Header, "X-Call-Id", in.ID)
	setField(r.Header, "X-Amzn-Trace-Id", in.Trace)
	setField(r.Header, "X-Amzn-Invoked-Function-Arn", in.ARN)
	setField(r.Header, "X-Amzn-Client-Context", in.Client)
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
	if value != "" && wire.IsValue(value) {
		h[name] = []string{value}
	}
}

// target is the request target of the event.
func (e *Event) target() string {
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
	if _, err := url.PathUnescape(path); err != nil || !wire.IsVisible(path) || strings.ContainsAny(path, "?#") {
		path = (&url.URL{Path: path}).EscapedPath()
	}
	if query != "" {
		path += "?" + strings.ReplaceAll(query, " ", "%20")
	}
	return path
}

// balancerQuery joins parameters that a load balancer leaves encoded as the client sent them.
func (e *Event) balancerQuery() string {
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

func (e *Event) body() ([]byte, error) {
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
func (e *Event) header() http.Header {
	h := http.Header{}
	add := func(name, value string) {
		name = textproto.CanonicalMIMEHeaderKey(name)
		if wire.IsToken(name) && wire.IsValue(value) && !wire.HopByHop(name) && !isPlatforms(name) && name != "Content-Length" && name != "Expect" {
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
