package main

import (
	"fmt"
	"net/http"
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
	total    *vm.Counter
	duration *vm.PrometheusHistogram
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
		labels := fmt.Sprintf(`{code="%s",method="%s"}`, strconv.Itoa(status), key.method)
		found, _ = m.series.LoadOrStore(key, &series{
			total:    m.set.GetOrCreateCounter("http_requests_total" + labels),
			duration: m.set.GetOrCreatePrometheusHistogram("http_request_duration_seconds" + labels),
		})
	}
	if s, ok := found.(*series); ok {
		s.total.Inc()
		s.duration.Update(took.Seconds())
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
	vm.WriteProcessMetrics(w)
}
