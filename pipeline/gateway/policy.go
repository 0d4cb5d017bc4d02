package gateway

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A policy is how often a call is tried again, and after which pauses.
type policy struct {
	attempts       int
	first, longest time.Duration
	codes          []int // of answers after which it is tried again
}

// Annotations of a function in the stack file, as OpenFaaS has them.
const (
	annotationAttempts = "com.openfaas.retry.attempts"
	annotationCodes    = "com.openfaas.retry.codes"
	annotationFirst    = "com.openfaas.retry.min_wait"
	annotationLongest  = "com.openfaas.retry.max_wait"
)

// policyOf reads a function's annotations. Without any a call is tried five times within
// some 15 seconds.
func policyOf(annotations map[string]string) (policy, error) {
	p := policy{attempts: 5, first: time.Second, longest: 2 * time.Minute, codes: []int{
		http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout,
	}}
	if v, ok := annotations[annotationAttempts]; ok {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > 1000 {
			return p, fmt.Errorf("annotation %s: %q: it must be a number from 0 to 1000", annotationAttempts, v)
		}
		p.attempts = max(n, 1)
	}
	for name, d := range map[string]*time.Duration{annotationFirst: &p.first, annotationLongest: &p.longest} {
		v, ok := annotations[name]
		if !ok {
			continue
		}
		wait, err := time.ParseDuration(v)
		if err != nil || wait < 0 || wait > time.Hour {
			return p, fmt.Errorf("annotation %s: %q: it must be a time of at most an hour, such as 5s", name, v)
		}
		*d = wait
	}
	if v, ok := annotations[annotationCodes]; ok {
		p.codes = nil
		for code := range strings.SplitSeq(v, ",") {
			n, err := strconv.Atoi(strings.TrimSpace(code))
			if err != nil || n < 100 || n > 599 {
				return p, fmt.Errorf("annotation %s: %q: it must be status codes, such as 429,503", annotationCodes, v)
			}
			p.codes = append(p.codes, n)
		}
	}
	return p, nil
}

// again says whether an answer with a status is one after which a call is tried again.
func (p policy) again(status int) bool { return slices.Contains(p.codes, status) }

// pause is how long to wait after so many tries. What the function asked for is obeyed up
// to the longest pause.
func (p policy) pause(tries int, asked time.Duration) time.Duration {
	pause := p.first
	for range tries - 1 {
		if pause >= p.longest {
			break
		}
		pause *= 2
	}
	return min(max(pause, asked), p.longest)
}

// retryAfter is the pause that an answer asks for.
func retryAfter(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n > 0 {
		return time.Duration(min(n, 3600)) * time.Second
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(at.Sub(now), 0)
	}
	return 0
}
