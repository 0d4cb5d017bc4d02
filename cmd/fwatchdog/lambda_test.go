package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

func onLambda(t *testing.T, a *runtimeAPI, variables ...string) *dog {
	t.Helper()
	return launch(t, append(variables, "AWS_LAMBDA_RUNTIME_API="+a.address)...)
}

func functionURL(method, path, query, body string) events.LambdaFunctionURLRequest {
	return events.LambdaFunctionURLRequest{
		Version: "2.0", RawPath: path, RawQueryString: query, Body: body,
		Headers: map[string]string{"host": "abc.lambda-url.eu-west-1.on.aws", "x-custom": "v", "x-call-id": "forged", "connection": "close"},
		Cookies: []string{"a=1", "b=2"},
		RequestContext: events.LambdaFunctionURLRequestContext{
			RequestID: "r", HTTP: events.LambdaFunctionURLRequestContextHTTPDescription{Method: method, Path: path, SourceIP: "192.0.2.1"},
		},
	}
}

// decode reads an outcome's body.
func decode[T any](t *testing.T, o outcome) T {
	t.Helper()
	var answer T
	if o.path != "response" {
		t.Fatalf("the invocation failed: %s", o.body)
	}
	if err := json.Unmarshal(o.body, &answer); err != nil {
		t.Fatalf("%v in %q", err, o.body)
	}
	return answer
}

func seenIn(t *testing.T, body string) seen {
	t.Helper()
	var s seen
	if err := json.Unmarshal([]byte(body), &s); err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	return s
}

func TestLambdaFunctionURL(t *testing.T) {
	ours(t)
	a := newRuntimeAPI(t)
	onLambda(t, a, fn(t, "server")...)
	answer := decode[events.LambdaFunctionURLResponse](t, a.invoke(t, functionURL("POST", "/see", "q=1&r=a%20b", "the body"), 5*time.Second))
	if answer.StatusCode != 200 || answer.IsBase64Encoded || len(answer.Cookies) != 2 || answer.Headers["Content-Type"] != "application/json" ||
		answer.Headers["X-Duration-Seconds"] == "" {
		t.Errorf("answer %+v", answer)
	}
	s := seenIn(t, answer.Body)
	if s.Method != "POST" || s.URI != "/see?q=1&r=a%20b" || s.Body != "the body" || s.Host != "abc.lambda-url.eu-west-1.on.aws" {
		t.Errorf("the function saw %+v", s)
	}
	h := s.Header
	if h.Get("X-Custom") != "v" || h.Get("Cookie") != "a=1; b=2" || !strings.HasPrefix(h.Get("X-Call-Id"), "id-") ||
		!strings.HasPrefix(h.Get("X-Amzn-Trace-Id"), "Root=1-") || !strings.Contains(h.Get("X-Amzn-Request-Context"), "192.0.2.1") ||
		!strings.HasPrefix(h.Get("X-Amzn-Invoked-Function-Arn"), "arn:") {
		t.Errorf("the function's headers: %v", h)
	}
}

func TestLambdaBinaryBodies(t *testing.T) {
	ours(t)
	a := newRuntimeAPI(t)
	onLambda(t, a, fn(t, "server")...)
	binary := []byte("\x00\x01\xfe\xff")
	event := functionURL("POST", "/echo", "", base64.StdEncoding.EncodeToString(binary))
	event.IsBase64Encoded = true
	event.Headers["content-type"] = "application/octet-stream"
	answer := decode[events.LambdaFunctionURLResponse](t, a.invoke(t, event, 5*time.Second))
	got, err := base64.StdEncoding.DecodeString(answer.Body)
	if err != nil || !answer.IsBase64Encoded || !bytes.Equal(got, binary) {
		t.Errorf("answer %+v: %q, %v", answer, got, err)
	}
	event.Body = "*not base64*"
	if o := a.invoke(t, event, 5*time.Second); o.path != "error" || !strings.Contains(string(o.body), "Runtime.InvalidEvent") {
		t.Errorf("a broken event: %s %s", o.path, o.body)
	}
}

func TestLambdaGateways(t *testing.T) {
	ours(t)
	a := newRuntimeAPI(t)
	onLambda(t, a, fn(t, "server")...)

	v2 := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RawPath: "/see", RawQueryString: "a=1", Headers: map[string]string{"host": "api", "x-many": "1,2"},
		RequestContext: events.APIGatewayV2HTTPRequestContext{Stage: "$default", HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{Method: "PUT"}},
	}
	got2 := decode[events.APIGatewayV2HTTPResponse](t, a.invoke(t, v2, 5*time.Second))
	if s := seenIn(t, got2.Body); s.Method != "PUT" || s.URI != "/see?a=1" || s.Header.Get("X-Many") != "1,2" || len(got2.Cookies) != 2 {
		t.Errorf("format 2.0: %+v %+v", got2, s)
	}

	v1 := events.APIGatewayProxyRequest{
		HTTPMethod: "GET", Path: "/see", MultiValueQueryStringParameters: map[string][]string{"q": {"a b", "c&d"}},
		Headers: map[string]string{"Host": "rest", "X-Many": "2"}, MultiValueHeaders: map[string][]string{"Host": {"rest"}, "X-Many": {"1", "2"}},
		RequestContext: events.APIGatewayProxyRequestContext{Stage: "prod", RequestID: "r"},
	}
	got1 := decode[events.APIGatewayProxyResponse](t, a.invoke(t, v1, 5*time.Second))
	if s := seenIn(t, got1.Body); s.Method != "GET" || s.URI != "/see?q=a+b&q=c%26d" || len(s.Header["X-Many"]) != 2 || s.Host != "rest" {
		t.Errorf("format 1.0: %+v", s)
	}
	if len(got1.MultiValueHeaders["Set-Cookie"]) != 2 {
		t.Errorf("format 1.0: headers %v", got1.MultiValueHeaders)
	}

	alb := events.ALBTargetGroupRequest{
		HTTPMethod: "GET", Path: "/see", QueryStringParameters: map[string]string{"q": "a%20b"}, Headers: map[string]string{"host": "lb"},
		RequestContext: events.ALBTargetGroupRequestContext{ELB: events.ELBContext{TargetGroupArn: "arn"}},
	}
	gotALB := decode[events.ALBTargetGroupResponse](t, a.invoke(t, alb, 5*time.Second))
	if s := seenIn(t, gotALB.Body); s.URI != "/see?q=a%20b" || gotALB.StatusDescription != "200 OK" || gotALB.Headers["Set-Cookie"] != "b=2" || gotALB.MultiValueHeaders != nil {
		t.Errorf("load balancer: %+v %+v", gotALB, s)
	}
	alb.Headers, alb.QueryStringParameters = nil, nil
	alb.MultiValueHeaders = map[string][]string{"host": {"lb"}, "x-many": {"1", "2"}}
	alb.MultiValueQueryStringParameters = map[string][]string{"q": {"1", "2"}}
	gotALB = decode[events.ALBTargetGroupResponse](t, a.invoke(t, alb, 5*time.Second))
	if s := seenIn(t, gotALB.Body); s.URI != "/see?q=1&q=2" || len(s.Header["X-Many"]) != 2 || len(gotALB.MultiValueHeaders["Set-Cookie"]) != 2 || gotALB.Headers != nil {
		t.Errorf("load balancer with many values: %+v %+v", gotALB, s)
	}
}

func TestLambdaPlainPayloads(t *testing.T) {
	ours(t)
	a := newRuntimeAPI(t)
	onLambda(t, a, fn(t, "server")...)
	for _, event := range []string{`{"key":"value"}`, `"text"`, `[1,2]`, `null`, `{"httpMethod":7}`, `{"Records":[{"eventSource":"aws:sqs","body":"x"}]}`} {
		o := a.invoke(t, []byte(event), 5*time.Second)
		if o.path != "response" || string(o.body) != "Hello, world" {
			t.Errorf("%s: %s %s", event, o.path, o.body)
		}
	}
}

func TestLambdaInEveryMode(t *testing.T) {
	ours(t)
	for _, mode := range []string{modeStreaming, modeSerializing} {
		a := newRuntimeAPI(t)
		onLambda(t, a, forking(t, mode, "cat")...)
		if o := a.invoke(t, []byte(`{"in":1}`), 5*time.Second); o.path != "response" || string(o.body) != `{"in":1}` {
			t.Errorf("%s: %s %s", mode, o.path, o.body)
		}
		answer := decode[events.LambdaFunctionURLResponse](t, a.invoke(t, functionURL("POST", "/", "", "text"), 5*time.Second))
		body, _ := base64.StdEncoding.DecodeString(answer.Body)
		if string(body) != "text" || answer.Headers["Content-Type"] != "application/octet-stream" {
			t.Errorf("%s: %+v", mode, answer)
		}
	}
	a := newRuntimeAPI(t)
	onLambda(t, a, forking(t, modeSerializing, "fail")...)
	if o := a.invoke(t, []byte(`{}`), 5*time.Second); o.path != "error" || !strings.Contains(string(o.body), "exit status 3") ||
		o.header.Get("Lambda-Runtime-Function-Error-Type") != "Function.Status500" {
		t.Errorf("a failing function: %s %s %v", o.path, o.body, o.header)
	}
}

func TestLambdaErrors(t *testing.T) {
	ours(t)
	a := newRuntimeAPI(t)
	a.largest = 1 << 20
	d := onLambda(t, a, fn(t, "server", "exec_timeout=100ms")...)
	answer := decode[events.LambdaFunctionURLResponse](t, a.invoke(t, functionURL("GET", "/status/503", "", ""), 5*time.Second))
	if answer.StatusCode != 503 {
		t.Errorf("answer %+v", answer)
	}
	// Lambda's deadline counts, not exec_timeout.
	if answer := decode[events.LambdaFunctionURLResponse](t, a.invoke(t, functionURL("GET", "/slow/300", "", ""), 5*time.Second)); answer.StatusCode != 200 {
		t.Errorf("before the deadline: %+v", answer)
	}
	inTime := false
	for try := 0; try < 4 && !inTime; try++ { // a busy machine may be late
		begun := time.Now()
		if answer := decode[events.LambdaFunctionURLResponse](t, a.invoke(t, functionURL("GET", "/slow/9000", "", ""), 600*time.Millisecond)); answer.StatusCode != 504 {
			t.Errorf("at the deadline: %+v", answer)
		}
		inTime = time.Since(begun) <= 600*time.Millisecond
	}
	if !inTime {
		t.Error("it was told too late each time")
	}
	if o := a.invoke(t, functionURL("GET", "/big/2000000", "", ""), 5*time.Second); o.path != "error" || !strings.Contains(string(o.body), "ResponseSizeTooLarge") {
		t.Errorf("a large answer: %s %.100s", o.path, o.body)
	}
	answer = decode[events.LambdaFunctionURLResponse](t, a.invoke(t, functionURL("GET", "/see", "", ""), 5*time.Second))
	if seenIn(t, answer.Body).Method != "GET" {
		t.Error("it does not go on after errors")
	}
	if !strings.Contains(d.errs.String(), "GET /slow/9000 - 504") {
		t.Error("requests are not in the log")
	}
	if conn, err := net.Dial("tcp", d.address); err == nil {
		_ = conn.Close() // it should not be open
		t.Error("it listens, where nobody can reach it")
	}
}

func TestLambdaStreams(t *testing.T) {
	ours(t)
	a := newRuntimeAPI(t)
	onLambda(t, a, fn(t, "server", "lambda_invoke_mode=response_stream")...)
	o := a.invoke(t, functionURL("GET", "/stream/4", "", ""), 5*time.Second)
	preamble, body, ok := bytes.Cut(o.body, make([]byte, 8))
	var head struct {
		StatusCode int               `json:"statusCode"`
		Headers    map[string]string `json:"headers"`
	}
	if !ok || json.Unmarshal(preamble, &head) != nil || head.StatusCode != 200 {
		t.Fatalf("body %q", o.body)
	}
	if string(body) != "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: 3\n\n" {
		t.Errorf("body %q", body)
	}
	if !o.chunked || o.header.Get("Lambda-Runtime-Function-Response-Mode") != "streaming" ||
		o.header.Get("Content-Type") != "application/vnd.awslambda.http-integration-response" {
		t.Errorf("headers %v", o.header)
	}
	if o.first > 400*time.Millisecond {
		t.Errorf("the first byte came after %v", o.first)
	}
	// An answer that is cut off says so in the trailer.
	o = a.invoke(t, functionURL("GET", "/stream/100", "", ""), 700*time.Millisecond)
	if o.trailer.Get("Lambda-Runtime-Function-Error-Type") == "" || o.trailer.Get("Lambda-Runtime-Function-Error-Body") == "" {
		t.Errorf("trailer %v", o.trailer)
	}
	// Events that cannot be streamed are not.
	if o := a.invoke(t, []byte(`{}`), 5*time.Second); o.chunked || string(o.body) != "Hello, world" {
		t.Errorf("a plain payload: %q", o.body)
	}
	o = a.invoke(t, functionURL("GET", "/status/204", "", ""), 5*time.Second)
	if preamble, body, _ := bytes.Cut(o.body, make([]byte, 8)); !strings.Contains(string(preamble), "204") || len(body) != 0 {
		t.Errorf("an empty answer: %q", o.body)
	}
}

func TestLambdaConcurrency(t *testing.T) {
	ours(t)
	a := newRuntimeAPI(t)
	onLambda(t, a, fn(t, "server", "AWS_LAMBDA_MAX_CONCURRENCY=4")...)
	a.invoke(t, []byte(`{}`), 5*time.Second)
	begun := time.Now()
	done := make(chan outcome)
	for range 4 {
		go func() { done <- a.invoke(t, functionURL("GET", "/slow/500", "", ""), 5*time.Second) }()
	}
	for range 4 {
		<-done
	}
	if took := time.Since(begun); took > 1500*time.Millisecond {
		t.Errorf("four at a time took %v", took)
	}
}

func TestLambdaInitErrors(t *testing.T) {
	ours(t)
	a := newRuntimeAPI(t)
	d := onLambda(t, a, "fprocess=/does/not/exist", "upstream_url=http://127.0.0.1:1")
	if code := d.exit(); code == 0 {
		t.Error("exit 0")
	}
	if o := <-a.inits; !strings.Contains(string(o.body), "fprocess") {
		t.Errorf("init error %s", o.body)
	}
	d = onLambda(t, a, "mode=http", "fprocess="+self(t)+" 3", functionVariable+"=exit", "upstream_url=http://127.0.0.1:"+freePort(t))
	if code := d.exit(); code == 0 {
		t.Error("exit 0")
	}
	if o := <-a.inits; !strings.Contains(string(o.body), "exit status 3") {
		t.Errorf("init error %s", o.body)
	}
}

func TestLambdaFunctionDies(t *testing.T) {
	ours(t)
	a := newRuntimeAPI(t)
	d := onLambda(t, a, fn(t, "server")...)
	a.queue <- &invoked{id: "dies", event: []byte(`{"version":"2.0","rawPath":"/exit/0","requestContext":{"http":{"method":"GET"}}}`), deadline: time.Now().Add(5 * time.Second), outcome: make(chan outcome, 1)}
	if code := d.exit(); code == 0 {
		t.Error("exit 0, though the function is gone")
	}
}
