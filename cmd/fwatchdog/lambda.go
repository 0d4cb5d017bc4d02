package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"fnb/cmd/fwatchdog/internal/lambdaevent"
)

// runtimePath is the version of the Lambda Runtime API.
const runtimePath = "/2018-06-01/runtime"

// lambda takes invocations from the Lambda Runtime API, instead of requests from a port.
type lambda struct {
	watchdog *watchdog
	client   *http.Client
	base     string
	stream   bool
}

func newLambda(d *watchdog) *lambda {
	return &lambda{
		watchdog: d,
		// The API is on this machine, and an invocation may be long in coming: neither proxy nor time limit.
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: d.config.lambdaConcurrency + 1}},
		base:   "http://" + d.config.lambdaAPI + runtimePath,
		stream: d.config.lambdaStream,
	}
}

// runLambda is run for the Lambda platform: it opens no port, since nobody could reach it.
func (l *life) runLambda(ctx context.Context) error {
	api := newLambda(l.watchdog)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ready, err := l.startFunction()
	if err != nil {
		return errors.Join(err, api.reportInit(ctx, err))
	}
	var exited <-chan struct{}
	if l.process != nil {
		exited = l.process.exited
		defer func() { l.process.stop(time.Second) }()
	}
	served := make(chan error, 1)
	go func() {
		if l.upstream != nil {
			if err := awaitListener(ctx, l.upstream); err != nil {
				served <- err
				return
			}
			close(ready)
		}
		l.health.accepting.Store(true)
		served <- api.serve(ctx, l.config.lambdaConcurrency)
	}()
	select {
	case s := <-l.signals:
		l.logs.printf("%v: stopping", s)
		cancel()
		if err := <-served; !errors.Is(err, context.Canceled) {
			return err
		}
		return nil
	case err = <-served:
		return err
	case <-exited:
		l.process.drainLogs()
		err = l.process.exitError()
		if l.health.accepting.Load() {
			return err
		}
		return errors.Join(err, api.reportInit(ctx, err))
	}
}

// serve answers invocations, n at a time, until the API ends it or ctx does.
func (a *lambda) serve(ctx context.Context, n int) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var workers sync.WaitGroup
	for range n {
		workers.Go(func() {
			for ctx.Err() == nil {
				if err := a.serveOne(ctx); err != nil {
					cancel(err)
				}
			}
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// invocation is one event and what the API says about it.
type invocation struct {
	lambdaevent.Invocation
	deadline time.Time
	event    []byte
}

func (a *lambda) serveOne(ctx context.Context) error {
	in, err := a.next(ctx)
	if err != nil {
		return err
	}
	// The answer to this one is still sent when the watchdog is told to stop.
	ctx = context.WithoutCancel(ctx)
	if !in.deadline.IsZero() {
		const margin = 50 * time.Millisecond // to tell of it
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, in.deadline.Add(-margin))
		defer cancel()
	}
	if err := a.invoke(ctx, in); err != nil {
		a.watchdog.logs.printf("invocation %s: %v", in.ID, err)
	}
	return nil
}

// next waits for an invocation.
func (a *lambda) next(ctx context.Context) (*invocation, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+"/invocation/next", nil)
	if err != nil {
		return nil, err
	}
	answer, err := a.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("waiting for an invocation: %w", err)
	}
	defer answer.Body.Close() //nolint:errcheck // it was only read
	event, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, fmt.Errorf("reading an invocation: %w", err)
	}
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("waiting for an invocation: the runtime API answered %s", answer.Status)
	}
	in := &invocation{event: event, Invocation: lambdaevent.Invocation{
		ID:     answer.Header.Get("Lambda-Runtime-Aws-Request-Id"),
		ARN:    answer.Header.Get("Lambda-Runtime-Invoked-Function-Arn"),
		Trace:  answer.Header.Get("Lambda-Runtime-Trace-Id"),
		Client: answer.Header.Get("Lambda-Runtime-Client-Context"),
	}}
	if ms, err := strconv.ParseInt(answer.Header.Get("Lambda-Runtime-Deadline-Ms"), 10, 64); err == nil {
		in.deadline = time.UnixMilli(ms)
	}
	return in, nil
}

// invoke has the function answer one event.
func (a *lambda) invoke(ctx context.Context, in *invocation) error {
	e, err := lambdaevent.Parse(in.event)
	if err != nil {
		return a.reportError(in.ID, "Runtime.InvalidEvent", err.Error())
	}
	r, err := e.Request(ctx, in.Invocation)
	if err != nil {
		return a.reportError(in.ID, "Runtime.InvalidEvent", err.Error())
	}
	if a.stream && e.Streams() {
		return a.invokeStreaming(in, r)
	}
	w := lambdaevent.NewAnswer(a.watchdog.config.bodyMost)
	whole := a.call(w, r)
	switch {
	case w.TooLong():
		return a.reportError(in.ID, "Function.ResponseSizeTooLarge", "the function's answer is "+errTooLong.Error())
	case !whole:
		return a.reportError(in.ID, "Function.ResponseCutOff", "the function's answer was cut off")
	case e.IsPlain() && w.Status() >= http.StatusBadRequest:
		return a.reportError(in.ID, "Function.Status"+strconv.Itoa(w.Status()), w.String())
	}
	answer, err := e.Encode(w)
	if err != nil {
		return a.reportError(in.ID, "Function.Unmarshalable", err.Error())
	}
	status, err := a.post("/invocation/"+in.ID+"/response", http.Header{}, bytes.NewReader(answer))
	if err == nil && status == http.StatusRequestEntityTooLarge {
		return a.reportError(in.ID, "Function.ResponseSizeTooLarge", "the function's answer is larger than Lambda takes")
	}
	return err
}

// call has the watchdog answer r as it answers any request. It is false where the answer was cut off.
func (a *lambda) call(w http.ResponseWriter, r *http.Request) (whole bool) {
	defer func() {
		if problem := recover(); problem != nil {
			if err, ok := problem.(error); !ok || !errors.Is(err, http.ErrAbortHandler) {
				panic(problem)
			}
			whole = false
		}
	}()
	a.watchdog.ServeHTTP(w, r)
	return true
}

// invokeStreaming passes the function's answer on while it comes.
func (a *lambda) invokeStreaming(in *invocation, r *http.Request) error {
	body, out := io.Pipe()
	w := lambdaevent.NewStream(out)
	trailer := http.Header{"Lambda-Runtime-Function-Error-Type": nil, "Lambda-Runtime-Function-Error-Body": nil}
	go func() {
		if !a.call(w, r) {
			text, _ := json.Marshal(lambdaError{"the function's answer was cut off", "Function.ResponseCutOff"}) // two strings
			trailer.Set("Lambda-Runtime-Function-Error-Type", "Function.ResponseCutOff")
			trailer.Set("Lambda-Runtime-Function-Error-Body", base64.StdEncoding.EncodeToString(text))
		}
		w.Begin()
		_ = out.Close() // a pipe's end cannot fail
	}()
	post, err := http.NewRequest(http.MethodPost, a.base+"/invocation/"+in.ID+"/response", body) //nolint:noctx // it ends with the answer, which has a deadline
	if err != nil {
		return err
	}
	post.Header.Set("Lambda-Runtime-Function-Response-Mode", "streaming")
	post.Header.Set("Content-Type", "application/vnd.awslambda.http-integration-response")
	post.Trailer = trailer
	answer, err := a.client.Do(post)
	_ = body.CloseWithError(errClientGone) // unblocks the function's answer, if it is still being written
	if err != nil {
		return fmt.Errorf("streaming the answer: %w", err)
	}
	return answer.Body.Close()
}

// lambdaError is an error as the Runtime API takes it.
type lambdaError struct {
	Message string `json:"errorMessage"`
	Type    string `json:"errorType"`
}

func (a *lambda) reportError(id, kind, message string) error {
	return a.report("/invocation/"+id+"/error", kind, message)
}

// reportInit says that the function could not be started.
func (a *lambda) reportInit(ctx context.Context, cause error) error {
	if ctx.Err() != nil {
		return nil
	}
	return a.report("/init/error", "Runtime.ExitError", cause.Error())
}

func (a *lambda) report(path, kind, message string) error {
	text, err := json.Marshal(lambdaError{message, kind})
	if err != nil {
		return err
	}
	status, err := a.post(path, http.Header{
		"Lambda-Runtime-Function-Error-Type": {kind}, "Content-Type": {"application/vnd.aws.lambda.error+json"},
	}, bytes.NewReader(text))
	if err == nil && status >= http.StatusBadRequest {
		return fmt.Errorf("reporting an error: the runtime API answered %d", status)
	}
	return err
}

func (a *lambda) post(path string, header http.Header, body io.Reader) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+path, body)
	if err != nil {
		return 0, err
	}
	for name, values := range header {
		r.Header[name] = values
	}
	answer, err := a.client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("answering the runtime API: %w", err)
	}
	_, _ = io.Copy(io.Discard, answer.Body) // so that the connection can be used again
	return answer.StatusCode, answer.Body.Close()
}
