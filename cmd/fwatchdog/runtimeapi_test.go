package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// runtimeAPI is the Lambda Runtime API as AWS documents it: a runtime polls for the next invocation, and
// answers each by its request id with a response or an error.
type runtimeAPI struct {
	address string
	queue   chan *invoked
	open    map[string]*invoked // only touched by the server's handlers, under lock
	lock    chan struct{}
	inits   chan outcome
	largest int64
}

// invoked is one invocation and what came of it.
type invoked struct {
	id       string
	event    []byte
	deadline time.Time
	outcome  chan outcome
}

// outcome is what a runtime posted.
type outcome struct {
	path    string
	body    []byte
	header  http.Header
	trailer http.Header
	chunked bool
	first   time.Duration // until the first byte of the body
}

func newRuntimeAPI(t *testing.T) *runtimeAPI {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	a := &runtimeAPI{
		address: l.Addr().String(), queue: make(chan *invoked, 100), open: map[string]*invoked{}, lock: make(chan struct{}, 1),
		inits: make(chan outcome, 10), largest: 6 << 20,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+runtimePath+"/invocation/next", a.next)
	mux.HandleFunc("POST "+runtimePath+"/invocation/{id}/{what}", a.conclude)
	mux.HandleFunc("POST "+runtimePath+"/init/error", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.inits <- outcome{path: "init", body: body, header: r.Header}
		w.WriteHeader(http.StatusAccepted)
	})
	s := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = s.Serve(l) }()      // it ends with Close
	t.Cleanup(func() { _ = s.Close() }) // the test is over
	return a
}

func (a *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case in := <-a.queue:
		a.lock <- struct{}{}
		a.open[in.id] = in
		<-a.lock
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", in.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(in.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-west-1:123456789012:function:hello")
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1")
		h.Set("Content-Type", "application/json")
		_, _ = w.Write(in.event) // the runtime complains
	}
}

func (a *runtimeAPI) conclude(w http.ResponseWriter, r *http.Request) {
	a.lock <- struct{}{}
	in := a.open[r.PathValue("id")]
	<-a.lock
	what := r.PathValue("what")
	if in == nil || what != "response" && what != "error" {
		http.Error(w, `{"errorType":"InvalidRequestID"}`, http.StatusBadRequest)
		return
	}
	begun := time.Now()
	in1 := make([]byte, 1)
	n, _ := io.ReadFull(r.Body, in1)
	first := time.Since(begun)
	rest, _ := io.ReadAll(io.LimitReader(r.Body, a.largest+1))
	if what == "response" && int64(len(rest)) >= a.largest && r.Header.Get("Lambda-Runtime-Function-Response-Mode") == "" {
		http.Error(w, `{"errorType":"RequestEntityTooLarge"}`, http.StatusRequestEntityTooLarge)
		return
	}
	in.outcome <- outcome{
		path: what, body: append(in1[:n], rest...), header: r.Header, trailer: r.Trailer, first: first,
		chunked: len(r.TransferEncoding) > 0,
	}
	w.WriteHeader(http.StatusAccepted)
}

// invoke sends an event and waits for what comes of it.
func (a *runtimeAPI) invoke(t *testing.T, event any, limit time.Duration) outcome {
	t.Helper()
	text, ok := event.([]byte)
	if !ok {
		var err error
		if text, err = json.Marshal(event); err != nil {
			t.Fatal(err)
		}
	}
	in := &invoked{id: fmt.Sprintf("id-%d", time.Now().UnixNano()), event: text, deadline: time.Now().Add(limit), outcome: make(chan outcome, 1)}
	a.queue <- in
	select {
	case o := <-in.outcome:
		return o
	case <-time.After(10 * time.Second):
		t.Fatal("the invocation is not answered")
		return outcome{}
	}
}
