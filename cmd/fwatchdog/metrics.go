package main

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	vm "github.com/VictoriaMetrics/metrics"
)

// metrics counts requests under the names and labels of OpenFaaS's watchdog.
type metrics struct {
	inFlight atomic.Int64
	series   sync.Map // seriesKey to *series
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

// observe counts one request that has been answered.
func (m *metrics) observe(method string, status int, took time.Duration) {
	key := seriesKey{methodLabel(method), status}
	found, ok := m.series.Load(key)
	if !ok {
		labels := `code="` + strconv.Itoa(status) + `",method="` + key.method + `"`
		found, _ = m.series.LoadOrStore(key, &series{labels: labels})
	}
	if s, ok := found.(*series); ok {
		s.total.Add(1)
		s.duration.update(took.Seconds())
	}
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

// serve answers /metrics. What concerns requests is written here; Go's and the process's own numbers are the library's,
// whose histograms have other buckets, and which would make the binary larger still with its counters.
func (m *metrics) serve(w http.ResponseWriter, _ *http.Request) {
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

func (m *metrics) each(do func(*series)) {
	m.series.Range(func(_, found any) bool {
		if s, ok := found.(*series); ok {
			do(s)
		}
		return true
	})
}
