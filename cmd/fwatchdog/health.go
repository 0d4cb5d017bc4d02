package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

// health knows whether the watchdog wants requests: the function can take them, and no drain has begun.
// While it does, and unless suppress_lock is set, the lock file exists; without the file it is unhealthy.
type health struct {
	accepting atomic.Bool
	leaving   atomic.Bool // a drain has begun: each answer is its connection's last
	lock      string      // "": suppress_lock
}

// newHealth checks that the lock file can be written, and removes one that a killed watchdog left.
func newHealth(c *config) (*health, error) {
	h := &health{}
	if c.suppressLock {
		return h, nil
	}
	h.lock = lockFile()
	err := writeLock(h.lock)
	if err == nil {
		err = removeLock(h.lock)
	}
	if err != nil {
		return nil, fmt.Errorf("lock file: %w (mount a writable folder there, or set suppress_lock=true)", err)
	}
	return h, nil
}

func lockFile() string { return filepath.Join(os.TempDir(), ".lock") }

// writeLock makes the lock file anew. What is there under its name, a link of somebody's included, is removed and
// never written to.
func writeLock(path string) error {
	if err := removeLock(path); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o660)
	if err != nil {
		return err
	}
	return f.Close()
}

// removeLock removes the lock file, if there is one; a folder, even an empty one, stays.
func removeLock(path string) error {
	if err := syscall.Unlink(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return &fs.PathError{Op: "remove", Path: path, Err: err}
	}
	return nil
}

// hasLock reports whether the lock file is there; a link is none.
func hasLock(path string) error {
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", path)
	}
	return err
}

// accept begins to be healthy.
func (h *health) accept() error {
	if h.lock != "" {
		if err := writeLock(h.lock); err != nil {
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
		_ = removeLock(h.lock) // accepting decides as well
	}
}

func (h *health) ok() bool {
	return h.accepting.Load() && (h.lock == "" || hasLock(h.lock) == nil)
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
		return hasLock(lockFile())
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
