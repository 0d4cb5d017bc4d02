package runtimeapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"fnb/builder/probe/runtimeapi"
)

// A runtime is a function that asks an API.
type runtime struct {
	t      *testing.T
	client *http.Client
}

func started(t *testing.T) (*runtimeapi.Server, *runtime) {
	t.Helper()
	s := runtimeapi.New("hello")
	t.Cleanup(s.Close)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) { return s.Dial(ctx) }
	return s, &runtime{t, &http.Client{Transport: &http.Transport{DialContext: dial}}}
}

const base = "http://api/2018-06-01/runtime"

func (r *runtime) do(method, path string, body io.Reader, header http.Header) (int, http.Header, []byte) {
	req, err := http.NewRequestWithContext(r.t.Context(), method, base+path, body)
	if err != nil {
		r.t.Error(err)
		return 0, nil, nil
	}
	for k, v := range header {
		req.Header[k] = v
	}
	res, err := r.client.Do(req)
	if err != nil {
		r.t.Error(err)
		return 0, nil, nil
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Error(err)
	}
	return res.StatusCode, res.Header, text
}

// answer takes one event and answers it with what is made of it.
func (r *runtime) answer(path string, with func(event map[string]any) string, header http.Header) {
	_, h, event := r.do(http.MethodGet, "/invocation/next", nil, nil)
	var e map[string]any
	if err := json.Unmarshal(event, &e); err != nil {
		r.t.Errorf("%q: %v", event, err)
	}
	if h.Get("Lambda-Runtime-Deadline-Ms") == "" || h.Get("Lambda-Runtime-Invoked-Function-Arn") == "" {
		r.t.Errorf("headers: %v", h)
	}
	id := h.Get("Lambda-Runtime-Aws-Request-Id")
	if status, _, text := r.do(http.MethodPost, "/invocation/"+id+path, strings.NewReader(with(e)), header); status != http.StatusAccepted {
		r.t.Errorf("%d %s", status, text)
	}
	if status, _, _ := r.do(http.MethodPost, "/invocation/"+id+path, strings.NewReader("{}"), nil); status != http.StatusBadRequest {
		r.t.Errorf("a second answer: %d", status)
	}
}

// beside does something beside the test, which waits for it.
func beside(do func()) <-chan struct{} {
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	return done
}

func send(t *testing.T, rt http.RoundTripper, body string) (*http.Response, string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://function/a%20b?x=1&x=2", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("X-Some", "thing")
	res, err := rt.RoundTrip(req)
	if err != nil {
		return nil, "", err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return res, string(text), err
}

func TestSources(t *testing.T) {
	t.Parallel()
	for from, looks := range map[runtimeapi.Source]func(e map[string]any) bool{
		runtimeapi.FunctionURL: func(e map[string]any) bool {
			http, _ := e["requestContext"].(map[string]any)["http"].(map[string]any)
			return e["version"] == "2.0" && http["method"] == "PUT" && e["rawPath"] == "/a%20b" && e["rawQueryString"] == "x=1&x=2"
		},
		runtimeapi.Gateway:  func(e map[string]any) bool { return e["version"] == "1.0" && e["httpMethod"] == "PUT" },
		runtimeapi.Balancer: func(e map[string]any) bool { return e["requestContext"].(map[string]any)["elb"] != nil },
	} {
		s, r := started(t)
		done := beside(func() {
			r.answer("/response", func(e map[string]any) string {
				if !looks(e) || e["headers"].(map[string]any)["x-some"] != "thing" || e["body"] != "hi" {
					t.Errorf("%s: %v", from, e)
				}
				return `{"statusCode": 201, "headers": {"content-type": "text/plain"}, "multiValueHeaders": {"x-a": ["1", "2"]}, "body": "aGkh", "isBase64Encoded": true}`
			}, nil)
		})
		res, text, err := send(t, s.Transport(from), "hi")
		if err != nil || res.StatusCode != 201 || text != "hi!" || len(res.Header["X-A"]) != 2 || s.Streamed() {
			t.Errorf("%s: %+v %q %v", from, res, text, err)
		}
		<-done
		select {
		case <-s.Begun():
		default:
			t.Error("the function has not begun")
		}
	}
}

func TestStreamed(t *testing.T) {
	t.Parallel()
	s, r := started(t)
	done := beside(func() {
		r.answer("/response", func(map[string]any) string {
			return `{"statusCode": 418, "headers": {"X-A": "1"}}` + strings.Repeat("\x00", 8) + "piece by piece"
		}, http.Header{"Lambda-Runtime-Function-Response-Mode": {"streaming"}})
	})
	res, text, err := send(t, s.Transport(runtimeapi.FunctionURL), "\xff")
	if err != nil || res.StatusCode != 418 || text != "piece by piece" || !s.Streamed() {
		t.Errorf("%+v %q %v", res, text, err)
	}
	<-done
}

func TestFailures(t *testing.T) {
	t.Parallel()
	s, r := started(t)
	done := beside(func() {
		r.answer("/error", func(e map[string]any) string {
			if e["key"] != "value" {
				t.Errorf("%v", e)
			}
			return `{"errorMessage": "no", "errorType": "Function.Bad"}`
		}, nil)
	})
	_, _, err := send(t, s.Transport(runtimeapi.Direct), `{"key": "value"}`)
	var f *runtimeapi.Failure
	if !errors.As(err, &f) || f.Type != "Function.Bad" || f.Message != "no" {
		t.Errorf("%v", err)
	}
	<-done
	// Too much, for an event and for an answer.
	if _, _, err := send(t, s.Transport(runtimeapi.Direct), strings.Repeat(" ", runtimeapi.MaxPayload)+"{}"); err == nil {
		t.Error("an event of more than 6 MB is sent")
	}
	done = beside(func() {
		_, h, _ := r.do(http.MethodGet, "/invocation/next", nil, nil)
		path := "/invocation/" + h.Get("Lambda-Runtime-Aws-Request-Id")
		if status, _, _ := r.do(http.MethodPost, path+"/response", bytes.NewReader(make([]byte, runtimeapi.MaxPayload+1)), nil); status != http.StatusRequestEntityTooLarge {
			t.Errorf("an answer of more than 6 MB: %d", status)
		}
		r.do(http.MethodPost, path+"/error", strings.NewReader("not JSON"), http.Header{"Lambda-Runtime-Function-Error-Type": {"Function.TooLarge"}})
	})
	if _, _, err := send(t, s.Transport(runtimeapi.FunctionURL), ""); !errors.As(err, &f) || f.Type != "Function.TooLarge" || f.Message != "not JSON" {
		t.Errorf("%v", err)
	}
	<-done
	// A function that cannot begin.
	if status, _, _ := r.do(http.MethodPost, "/init/error", strings.NewReader(`{"errorMessage": "it ended", "errorType": "Runtime.ExitError"}`), nil); status != http.StatusAccepted {
		t.Errorf("status %d", status)
	}
	<-s.Failed()
	if err := s.Why(); !strings.Contains(err.Error(), "Runtime.ExitError: it ended") {
		t.Error(err)
	}
	// An answer to nothing, and no answer.
	if status, _, _ := r.do(http.MethodPost, "/invocation/nobody/response", strings.NewReader("{}"), nil); status != http.StatusBadRequest {
		t.Errorf("status %d", status)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://function/", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Transport(runtimeapi.Balancer).RoundTrip(req)
	if err == nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%+v %v", res, err)
	}
}
