package main

import (
	"net/http"
	"sync"
	"time"

	"fnb/cmd/fwatchdog/internal/wire"
)

// readyLimit is how long the function may take to say whether it is ready, however long exec_timeout is.
const readyLimit = 10 * time.Second

// readiness asks the function whether it is ready. The request is the watchdog's own: who asks needs no token, so
// nothing of what they sent reaches the function, and only the status of its answer comes back.
type readiness struct {
	up    *upstream
	head  []byte
	limit time.Duration

	mu       sync.Mutex
	underWay *question // nil: none
}

// question is one request of a readiness; status is valid once it is answered.
type question struct {
	answered chan struct{}
	status   int
}

// newReadiness returns nil where the function is not to be asked.
func newReadiness(up *upstream, c *config) *readiness {
	if c.readyPath == "" {
		return nil
	}
	r := &readiness{up: up, limit: readyLimit}
	if c.execTimeout > 0 {
		r.limit = min(r.limit, c.execTimeout)
	}
	host := c.upstream.Host
	if host == "" {
		host = "localhost" // a unix socket has no name
	}
	r.head = up.route.AppendRequest(nil, &http.Request{Method: http.MethodGet, RequestURI: c.readyPath, Host: host}, 0)
	return r
}

// ask returns the status that the function gives, or 503 if it gives none in time. The function is asked once at a
// time: who asks meanwhile gets the same answer.
func (r *readiness) ask() int {
	r.mu.Lock()
	q := r.underWay
	if q != nil {
		r.mu.Unlock()
		<-q.answered
		return q.status
	}
	q = &question{answered: make(chan struct{})}
	r.underWay = q
	r.mu.Unlock()
	q.status = r.status()
	r.mu.Lock()
	r.underWay = nil
	r.mu.Unlock()
	close(q.answered)
	return q.status
}

// status asks over a connection of its own, which nothing else is ever read from.
func (r *readiness) status() int {
	deadline := time.Now().Add(r.limit)
	conn, err := r.up.dial(deadline)
	if err != nil {
		return http.StatusServiceUnavailable
	}
	defer conn.Close() //nolint:errcheck // nothing more is wanted of it
	conn.limit(deadline)
	if _, err := conn.Write(r.head); err != nil {
		return http.StatusServiceUnavailable
	}
	for range interimMost {
		a, err := wire.ReadAnswer(conn.in, http.MethodGet, http.Header{})
		switch {
		case err != nil || a.Status == http.StatusSwitchingProtocols:
			return http.StatusServiceUnavailable
		case a.Status >= http.StatusOK:
			return a.Status
		}
	}
	return http.StatusServiceUnavailable
}
