package runtimeapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"
)

// A Source is what invokes a function on Lambda, and so the form of its events and answers.
type Source string

// The sources that are known.
const (
	FunctionURL Source = "a function URL" // also API Gateway, payload format 2.0
	Gateway     Source = "API Gateway, payload format 1.0"
	Balancer    Source = "an Application Load Balancer"
	Direct      Source = "aws lambda invoke" // the body is the event
)

// Transport sends requests to the function as events of a source.
func (s *Server) Transport(from Source) http.RoundTripper { return transport{s, from} }

type transport struct {
	server *Server
	from   Source
}

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
		_ = r.Body.Close() // it has been read
	}
	event, err := t.event(r, body)
	if err != nil {
		return nil, err
	}
	a, err := t.server.invoke(r.Context(), event)
	switch {
	case err != nil:
		return nil, err
	case a.failure != nil:
		return nil, a.failure
	case t.from == Direct:
		return response(r, http.StatusOK, http.Header{}, a.body), nil
	case a.streamed:
		return streamed(r, a.body)
	}
	return t.answer(r, a.body)
}

// object is one of JSON.
type object = map[string]any

// event is a request as the source tells a function of it. Field by field it is as AWS documents it.
func (t transport) event(r *http.Request, body []byte) ([]byte, error) {
	if t.from == Direct {
		return asJSON(body)
	}
	one, all := map[string]string{}, map[string][]string{}
	for name, values := range r.Header {
		one[strings.ToLower(name)], all[name] = strings.Join(values, ","), values
	}
	host := r.Host
	if host == "" {
		host = r.URL.Host
	}
	one["host"], all["Host"] = host, []string{host}
	query, queries := map[string]string{}, map[string][]string(r.URL.Query())
	for name, values := range queries {
		query[name] = values[len(values)-1]
	}
	text, encoded := string(body), !utf8.Valid(body)
	if encoded {
		text = base64.StdEncoding.EncodeToString(body)
	}
	path := r.URL.EscapedPath()
	now := time.Now()
	switch t.from {
	case FunctionURL:
		return json.Marshal(object{
			"version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": r.URL.RawQuery,
			"headers": one, "queryStringParameters": query, "body": text, "isBase64Encoded": encoded,
			"requestContext": object{
				"accountId": "anonymous", "apiId": "urlid", "domainName": host, "requestId": "id", "routeKey": "$default", "stage": "$default",
				"http": object{"method": r.Method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": r.UserAgent()},
				"time": now.UTC().Format("02/Jan/2006:15:04:05 +0000"), "timeEpoch": now.UnixMilli(),
			},
		})
	case Gateway:
		return json.Marshal(object{
			"version": "1.0", "resource": "/{proxy+}", "path": path, "httpMethod": r.Method, "headers": one, "multiValueHeaders": all,
			"queryStringParameters": query, "multiValueQueryStringParameters": queries, "body": text, "isBase64Encoded": encoded,
			"requestContext": object{
				"accountId": "123456789012", "apiId": "id", "httpMethod": r.Method, "path": path, "protocol": "HTTP/1.1", "requestId": "id",
				"resourcePath": "/{proxy+}", "stage": "$default", "identity": object{"sourceIp": "192.0.2.1"},
			},
		})
	}
	return json.Marshal(object{
		"requestContext": object{"elb": object{"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/lambda/0123456789abcdef"}},
		"httpMethod":     r.Method, "path": path, "queryStringParameters": query, "headers": one, "body": text, "isBase64Encoded": encoded,
	})
}

// asJSON is a body as the JSON that every event is: itself, or a text.
func asJSON(body []byte) ([]byte, error) {
	if json.Valid(body) {
		return body, nil
	}
	return json.Marshal(string(body))
}

// answered is an answer as all sources of HTTP take it.
type answered struct {
	Status  int               `json:"statusCode"`
	Headers map[string]string `json:"headers"`
	Many    http.Header       `json:"multiValueHeaders"`
	Cookies []string          `json:"cookies"`
	Body    string            `json:"body"`
	Base64  bool              `json:"isBase64Encoded"`
}

func (a *answered) header() http.Header {
	h := http.Header{}
	for name, value := range a.Headers {
		h.Set(name, value)
	}
	for name, values := range a.Many {
		h[http.CanonicalHeaderKey(name)] = values
	}
	for _, c := range a.Cookies {
		h.Add("Set-Cookie", c)
	}
	return h
}

// answer is the response that a source makes of what the function has answered.
func (t transport) answer(r *http.Request, text []byte) (*http.Response, error) {
	var a answered
	if err := json.Unmarshal(text, &a); err != nil || a.Status == 0 {
		if t.from == FunctionURL { // what has no status is the body
			return response(r, http.StatusOK, http.Header{"Content-Type": {"application/json"}}, text), nil
		}
		return nil, fmt.Errorf("the answer is not what %s takes: %.200q", t.from, text)
	}
	body := []byte(a.Body)
	if a.Base64 {
		var err error
		if body, err = base64.StdEncoding.DecodeString(a.Body); err != nil {
			return nil, fmt.Errorf("the answer's body is not base64: %w", err)
		}
	}
	return response(r, a.Status, a.header(), body), nil
}

// streamed is the response of an answer that came piece by piece: JSON, eight zero bytes, and the body.
func streamed(r *http.Request, text []byte) (*http.Response, error) {
	head, body, ok := bytes.Cut(text, make([]byte, 8))
	var a answered
	if !ok || json.Unmarshal(head, &a) != nil {
		return nil, errors.New("the streamed answer does not begin with its status and headers")
	}
	if a.Status == 0 {
		a.Status = http.StatusOK
	}
	return response(r, a.Status, a.header(), body), nil
}

func response(r *http.Request, status int, h http.Header, body []byte) *http.Response {
	if kind, _, err := mime.ParseMediaType(h.Get("Content-Type")); err != nil || kind == "" {
		h.Set("Content-Type", "application/json")
	}
	return &http.Response{
		Status: fmt.Sprintf("%d %s", status, http.StatusText(status)), StatusCode: status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: h, Body: io.NopCloser(bytes.NewReader(body)), ContentLength: int64(len(body)), Request: r,
	}
}
