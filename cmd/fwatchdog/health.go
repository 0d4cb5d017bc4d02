package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"
)

// health knows whether the watchdog wants requests: the function can take them, and no drain has begun.
// While it does, and unless suppress_lock is set, the lock file exists; without the file it is unhealthy.
type health struct {
	accepting atomic.Bool
	lock      string // "": suppress_lock
}

// newHealth checks that the lock file can be written, and removes one that a killed watchdog left.
func newHealth(c *config) (*health, error) {
	h := &health{}
	if c.suppressLock {
		return h, nil
	}
	h.lock = lockFile()
	err := os.WriteFile(h.lock, nil, 0o660)
	if err == nil {
		err = os.Remove(h.lock)
	}
	if err != nil {
		return nil, fmt.Errorf("lock file: %w (mount a writable folder there, or set suppress_lock=true)", err)
	}
	return h, nil
}

func lockFile() string { return filepath.Join(os.TempDir(), ".lock") }

// accept begins to be healthy.
func (h *health) accept() error {
	if h.lock != "" {
		if err := os.WriteFile(h.lock, nil, 0o660); err != nil {
			return fmt.Errorf("lock file: %w", err)
		}
	}
	h.accepting.Store(true)
	return nil
}

// refuse ends being healthy.
func (h *health) refuse() {
	h.accepting.Store(false)
	if h.lock != "" {
		_ = os.Remove(h.lock) // accepting decides as well
	}
}

func (h *health) ok() bool {
	if !h.accepting.Load() {
		return false
	}
	if h.lock == "" {
		return true
	}
	_, err := os.Stat(h.lock)
	return err == nil
}

// serve answers /_/health.
func (h *health) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method != http.MethodGet:
		w.WriteHeader(http.StatusMethodNotAllowed)
	case !h.ok():
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		_, _ = w.Write([]byte("OK")) // the client may be gone
	}
}

// awaitListener dials the upstream until it listens. Looking every two milliseconds costs a local
// upstream nothing that can be measured; a remote one is asked less often.
func awaitListener(ctx context.Context, u *upstream) error {
	pause := 2 * time.Millisecond
	if host, _, err := net.SplitHostPort(u.address); u.network == "tcp" && err == nil && host != "localhost" {
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			pause = 50 * time.Millisecond
		}
	}
	d := net.Dialer{Timeout: time.Second}
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		conn, err := d.DialContext(ctx, u.network, u.address)
		if err == nil {
			return conn.Close()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// runHealthcheck asks the watchdog of this container for its health.
func runHealthcheck(pairs []string) error {
	c, err := readConfig(pairs)
	if err != nil {
		return err
	}
	if c.port == 0 {
		_, err := os.Stat(lockFile())
		return err
	}
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{Proxy: nil, DisableKeepAlives: true}}
	ctx, cancel := context.WithTimeout(context.Background(), client.Timeout)
	defer cancel()
	target := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(c.port)) + "/_/health"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	if err := answer.Body.Close(); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("unhealthy: %s", answer.Status)
	}
	return nil
}
