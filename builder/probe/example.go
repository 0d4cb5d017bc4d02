package probe

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"fnb/internal/plain"
	"fnb/schema"
)

// maxAnswer is how many bytes of an answer are compared or shown.
const maxAnswer = 8 << 20

// A Caller sends examples to a function.
type Caller struct {
	Transport http.RoundTripper // reaches the function, whatever host a request names
	UserAgent string            // "" is that of Go's client
	Patience  time.Duration     // for one answer; 0 is 30 seconds
}

// An ExampleResult is what became of one example.
type ExampleResult struct {
	Example schema.Example `json:"example"`
	Status  int            `json:"status,omitempty"`
	Answer  string         `json:"answer,omitempty"`
	Seconds float64        `json:"seconds"`
	Problem string         `json:"problem,omitempty"` // why the answer is not what it should be
}

// callExample sends an example's request and compares the answer.
func (c Caller) callExample(ctx context.Context, e schema.Example) ExampleResult {
	out := ExampleResult{Example: e}
	start := time.Now()
	status, answer, err := c.Send(ctx, e)
	out.Status, out.Answer, out.Seconds = status, answer, time.Since(start).Seconds()
	want := e.Status
	if want == 0 {
		want = http.StatusOK
	}
	trim := func(s string) string { return strings.TrimRight(s, "\r\n") }
	switch {
	case err != nil:
		out.Problem = err.Error()
	case status != want:
		out.Problem = fmt.Sprintf("the status is %d, but must be %d: %s", status, want, plain.Quoted(answer))
	case e.Equals != "" && trim(answer) != trim(e.Equals):
		out.Problem = fmt.Sprintf("the answer is %s, but must be %s", plain.Quoted(answer), plain.Quoted(e.Equals))
	case !strings.Contains(answer, e.Contains):
		out.Problem = fmt.Sprintf("the answer %s does not contain %s", plain.Quoted(answer), plain.Quoted(e.Contains))
	}
	return out
}

// Send sends one request to a function.
func (c Caller) Send(ctx context.Context, e schema.Example) (status int, answer string, err error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(c.Patience, 30*time.Second))
	defer cancel()
	req, err := newRequest(ctx, e, strings.NewReader(e.Body))
	if err != nil {
		return 0, "", err
	}
	if c.UserAgent != "" && req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", c.UserAgent)
	}
	res, err := c.Transport.RoundTrip(req)
	if err != nil {
		return 0, "", fmt.Errorf("sending the request: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	return res.StatusCode, string(body), err
}

// newRequest is an example's request. The body may be sent in pieces.
func newRequest(ctx context.Context, e schema.Example, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, cmp.Or(e.Method, http.MethodPost), "http://function"+cmp.Or(e.Path, "/"), body)
	if err != nil {
		return nil, err
	}
	if e.Body != "" {
		req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	for _, k := range slices.Sorted(maps.Keys(e.Headers)) {
		if req.Header.Set(k, e.Headers[k]); http.CanonicalHeaderKey(k) == "Host" {
			req.Host = e.Headers[k]
		}
	}
	return req, nil
}

// Describe is an example's request on one line.
func Describe(e schema.Example) string {
	words := []string{cmp.Or(e.Method, http.MethodPost), cmp.Or(e.Path, "/")}
	for _, k := range slices.Sorted(maps.Keys(e.Headers)) {
		words = append(words, "-H "+plain.Quoted(k+": "+e.Headers[k]))
	}
	return strings.TrimSpace(strings.Join(append(words, plain.Quoted(e.Body)), " "))
}

// RunExamples sends all examples, one after the other.
func (c Caller) RunExamples(ctx context.Context, examples []schema.Example) (results []ExampleResult, failed int) {
	for _, e := range examples {
		if ctx.Err() != nil {
			break
		}
		r := c.callExample(ctx, e)
		if r.Problem != "" {
			failed++
		}
		results = append(results, r)
	}
	return results, failed
}
