package main

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"fnb/cmd/fwatchdog/internal/wire"
)

// limiter admits max_inflight requests at a time and lets queue_depth more wait for a place.
// A nil *limiter admits everything.
type limiter struct {
	slots   chan struct{}
	waiting atomic.Int64
	depth   int64
	timeout time.Duration
}

func newLimiter(c *config) *limiter {
	if c.maxInflight == 0 {
		return nil
	}
	return &limiter{slots: make(chan struct{}, c.maxInflight), depth: int64(c.queueDepth), timeout: c.queueTimeout}
}

// full reports whether the next request would be refused or would have to wait.
func (l *limiter) full() bool {
	return l != nil && len(l.slots) == cap(l.slots)
}

// acquire takes a place for x, which release gives back. It answers x itself where there is none.
func (l *limiter) acquire(x *exchange) bool {
	if l == nil {
		return true
	}
	select {
	case l.slots <- struct{}{}:
		return true
	default:
	}
	if l.wait(x) {
		return true
	}
	if x.isGone() {
		x.fail(wire.StatusClientGone, "", "client closed the connection while it waited for a place")
		return false
	}
	l.refuse(x)
	return false
}

// refuse answers as OpenFaaS's middleware does.
func (l *limiter) refuse(x *exchange) {
	x.mark("faas-middleware")
	http.Error(x, fmt.Sprintf("Concurrent request limit exceeded. Max concurrent requests: %d", cap(l.slots)), http.StatusTooManyRequests)
}

// wait stands in the queue, if that has room.
func (l *limiter) wait(x *exchange) bool {
	if l.waiting.Add(1) > l.depth {
		l.waiting.Add(-1)
		return false
	}
	defer l.waiting.Add(-1)
	gone := make(goneSignal)
	x.onGone(gone)
	defer x.onGone(nil)
	timer := time.NewTimer(l.timeout)
	defer timer.Stop()
	select {
	case l.slots <- struct{}{}:
		return true
	case <-timer.C:
	case <-gone:
	}
	return false
}

func (l *limiter) release() {
	if l != nil {
		<-l.slots
	}
}
