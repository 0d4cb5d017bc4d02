// Package metrics counts requests under the names and labels of OpenFaaS's watchdog. New returns the Requests of one
// watchdog, which serve themselves in Prometheus's text format.
package metrics

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
)

// Requests are those of one watchdog.
type Requests struct {
	inFlight atomic.Int64

	mu     sync.RWMutex
	series map[seriesKey]*series
}

// New returns the counters, at 0.
func New() *Requests { return &Requests{series: map[seriesKey]*series{}} }

// Begin counts a request that is being answered from now on.
func (m *Requests) Begin() { m.inFlight.Add(1) }

// InFlight is how many requests are being answered.
func (m *Requests) InFlight() int64 { return m.inFlight.Load() }

// End counts one request that has been answered.
func (m *Requests) End(method string, status int, took time.Duration) {
	m.inFlight.Add(-1)
	s := m.of(seriesKey{methodLabel(method), status})
	s.total.Add(1)
	s.duration.update(took.Seconds())
}

type seriesKey struct {
	method string
	status int
}

// series is what is counted for one method and status.
type series struct {
	labels   string
	total    atomic.Uint64
	duration histogram
}

// durations are the upper bounds of Prometheus's default buckets.
func durations() [11]float64 {
	return [...]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
}

// histogram counts values by size.
type histogram struct {
	mu      sync.Mutex
	buckets [12]uint64 // the last one is for what no bound holds
	sum     float64
}

func (h *histogram) update(value float64) {
	bounds := durations()
	at, _ := slices.BinarySearch(bounds[:], value)
	h.mu.Lock()
	h.buckets[at]++
	h.sum += value
	h.mu.Unlock()
}

// write writes the histogram in Prometheus's text format.
func (h *histogram) write(w io.Writer, name, labels string) {
	h.mu.Lock()
	buckets, sum := h.buckets, h.sum
	h.mu.Unlock()
	total := uint64(0)
	for i, bound := range durations() {
		total += buckets[i]
		fmt.Fprintf(w, "%s_bucket{%s,le=\"%g\"} %d\n", name, labels, bound, total)
	}
	total += buckets[len(buckets)-1]
	fmt.Fprintf(w, "%s_bucket{%s,le=\"+Inf\"} %d\n", name, labels, total)
	fmt.Fprintf(w, "%s_sum{%s} %g\n%s_count{%s} %d\n", name, labels, sum, name, labels, total)
}

// of returns the series of a key, which begins with its first request.
func (m *Requests) of(key seriesKey) *series {
	m.mu.RLock()
	s := m.series[key]
	m.mu.RUnlock()
	if s != nil {
		return s
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if s = m.series[key]; s == nil {
		s = &series{labels: `code="` + strconv.Itoa(key.status) + `",method="` + key.method + `"`}
		m.series[key] = s
	}
	return s
}

// methodLabel keeps the number of series small, whatever clients send.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodPost, http.MethodPut, http.MethodHead, http.MethodDelete,
		http.MethodConnect, http.MethodOptions, http.MethodTrace, http.MethodPatch:
		return strings.ToLower(method)
	}
	return "unknown"
}

// ServeHTTP answers with all metrics. What concerns requests is written here; Go's and the process's own numbers are the library's,
// whose histograms have other buckets, and which would make the binary larger still with its counters.
func (m *Requests) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	const gauge, counter, duration = "http_requests_in_flight", "http_requests_total", "http_request_duration_seconds"
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	head(w, gauge, "gauge", "Requests that are being answered.")
	fmt.Fprintf(w, "%s %d\n", gauge, m.inFlight.Load())
	head(w, counter, "counter", "Requests that have been answered.")
	m.each(func(s *series) { fmt.Fprintf(w, "%s{%s} %d\n", counter, s.labels, s.total.Load()) })
	head(w, duration, "histogram", "Time from a request to the end of its answer.")
	m.each(func(s *series) { s.duration.write(w, duration, s.labels) })
	vm.ExposeMetadata(true)
	vm.WriteProcessMetrics(w)
	vm.WriteFDMetrics(w)
}

func head(w io.Writer, name, kind, help string) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// each calls do with all series, in no order.
func (m *Requests) each(do func(*series)) {
	m.mu.RLock()
	all := slices.Collect(maps.Values(m.series))
	m.mu.RUnlock()
	for _, s := range all {
		do(s)
	}
}
