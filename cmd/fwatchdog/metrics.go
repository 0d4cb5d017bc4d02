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
	set      *vm.Set
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
	total    *vm.Counter
	duration histogram
}

// durations are the upper bounds of Prometheus's default buckets.
func durations() [11]float64 {
	return [...]float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
}

// histogram counts values by size. The library's own has other buckets; its versions that have these
// write to standard error when the program starts.
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

func newMetrics() *metrics {
	vm.ExposeMetadata(true)
	m := &metrics{set: vm.NewSet()}
	m.set.NewGauge("http_requests_in_flight", func() float64 { return float64(m.inFlight.Load()) })
	return m
}

// observe counts one request that has been answered.
func (m *metrics) observe(method string, status int, took time.Duration) {
	key := seriesKey{methodLabel(method), status}
	found, ok := m.series.Load(key)
	if !ok {
		labels := `code="` + strconv.Itoa(status) + `",method="` + key.method + `"`
		found, _ = m.series.LoadOrStore(key, &series{
			labels: labels,
			total:  m.set.GetOrCreateCounter("http_requests_total{" + labels + "}"),
		})
	}
	if s, ok := found.(*series); ok {
		s.total.Inc()
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

// serve answers /metrics, with the process's own numbers.
func (m *metrics) serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	m.set.WritePrometheus(w)
	const name = "http_request_duration_seconds"
	fmt.Fprintf(w, "# HELP %s\n# TYPE %s histogram\n", name, name)
	m.series.Range(func(_, found any) bool {
		if s, ok := found.(*series); ok {
			s.duration.write(w, name, s.labels)
		}
		return true
	})
	vm.WriteProcessMetrics(w)
	vm.WriteFDMetrics(w)
}
