package main

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// soakTime is how long bad clients are sent: FWATCHDOG_SOAK, at most a minute, or a few seconds.
func soakTime(t *testing.T) time.Duration {
	t.Helper()
	text := os.Getenv("FWATCHDOG_SOAK")
	if text == "" {
		return 3 * time.Second
	}
	d, err := time.ParseDuration(text)
	if err != nil || d > time.Minute {
		t.Fatalf("FWATCHDOG_SOAK=%s: want a duration of at most 1m", text)
	}
	return d
}

// badClients are ways to treat a server. Each uses its connection up.
func badClients() map[string]func(*net.TCPConn) {
	send := func(c *net.TCPConn, text string) { _, _ = io.WriteString(c, text) } // it may be refused
	reset := func(c *net.TCPConn) { _ = c.SetLinger(0) }                         // makes Close a reset
	short := func() { time.Sleep(time.Duration(rand.IntN(60)) * time.Millisecond) }
	return map[string]func(*net.TCPConn){
		"says nothing":     func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) },
		"hangs in a head":  func(c *net.TCPConn) { send(c, "GET / HT"); _, _ = io.Copy(io.Discard, c) },
		"resets in a head": func(c *net.TCPConn) { send(c, "GET / HTTP/1.1\r\nHo"); short(); reset(c) },
		"resets a request": func(c *net.TCPConn) { send(c, "GET /slow/300 HTTP/1.1\r\nHost: h\r\n\r\n"); short(); reset(c) },
		"closes a request": func(c *net.TCPConn) { send(c, "GET /slow/300 HTTP/1.1\r\nHost: h\r\n\r\n"); short() },
		"half-closes": func(c *net.TCPConn) {
			send(c, "GET /slow/300 HTTP/1.1\r\nHost: h\r\n\r\n")
			closeWrite(c)
			_, _ = io.Copy(io.Discard, c)
		},
		"hangs in a small body": func(c *net.TCPConn) {
			send(c, "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nhalf")
			_, _ = io.Copy(io.Discard, c)
		},
		"hangs in a body": func(c *net.TCPConn) {
			send(c, "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\nhalf")
			_, _ = io.Copy(io.Discard, c)
		},
		"closes in a body": func(c *net.TCPConn) {
			send(c, "POST /count HTTP/1.1\r\nHost: h\r\nContent-Length: 900000\r\n\r\n"+strings.Repeat("x", rand.IntN(90000)))
		},
		"resets in chunks": func(c *net.TCPConn) {
			send(c, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf")
			short()
			reset(c)
		},
		"sends no chunk": func(c *net.TCPConn) {
			send(c, "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")
			_, _ = io.Copy(io.Discard, c)
		},
		"sends 10000 headers": func(c *net.TCPConn) {
			send(c, "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+strings.Repeat("X-Many: value\r\n", 10000)+"\r\n")
			_, _ = io.Copy(io.Discard, c)
		},
		"does not read":   func(c *net.TCPConn) { send(c, "GET /big/50000000 HTTP/1.1\r\nHost: h\r\n\r\n"); short(); short() },
		"leaves a stream": func(c *net.TCPConn) { send(c, "GET /stream/50 HTTP/1.1\r\nHost: h\r\n\r\n"); short(); reset(c) },
		"leaves an upgrade": func(c *net.TCPConn) {
			send(c, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nline\n")
			short()
		},
		"holds an upgrade": func(c *net.TCPConn) {
			send(c, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		},
		"sends garbage": func(c *net.TCPConn) { send(c, "\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"); _, _ = io.Copy(io.Discard, c) },
		"is answered early": func(c *net.TCPConn) {
			send(c, "POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 60000\r\n\r\n"+strings.Repeat("x", 60000-rand.IntN(2)))
			_, _ = io.Copy(io.Discard, c)
		},
		"is answered early in chunks": func(c *net.TCPConn) {
			send(c, "POST /early HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf")
			short()
			send(c, strings.Repeat("x", 251)+"\r\n0\r\n\r\n")
			_, _ = io.Copy(io.Discard, c)
		},
		"half-closes an upgrade": func(c *net.TCPConn) {
			send(c, "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nline\n")
			closeWrite(c)
			_, _ = io.Copy(io.Discard, c)
		},
		"asks whether it is ready": func(c *net.TCPConn) {
			send(c, "POST /_/ready HTTP/1.1\r\nHost: h\r\nContent-Length: 90000\r\n\r\n"+strings.Repeat("x", rand.IntN(90000)))
			short()
		},
		"is good": func(c *net.TCPConn) {
			send(c, "POST /see HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
			_, _ = io.Copy(io.Discard, c)
		},
	}
}

func TestSoak(t *testing.T) {
	ours(t)
	limits := []string{"max_inflight=8", "queue_depth=8", "queue_timeout=500ms", "read_timeout=700ms", "write_timeout=2s", "exec_timeout=1s"}
	for name, variables := range map[string][]string{
		"http":        fn(t, "server", append(limits[:len(limits):len(limits)], "ready_path=/slow/20")...),
		"buffering":   fn(t, "server", append(limits[:len(limits):len(limits)], "buffer_http=true", "body_buffer_size=65536")...),
		"streaming":   append(limits[:len(limits):len(limits)], "fprocess=cat", "mode=streaming"),
		"serializing": append(limits[:len(limits):len(limits)], "fprocess=cat", "mode=serializing"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			soak(t, launch(t, variables...).serving(), soakTime(t))
		})
	}
}

// soak sends bad clients for a while and checks that nothing of them is left.
func soak(t *testing.T, d *dog, limit time.Duration) {
	t.Helper()
	d.get("/")
	goroutines, _ := d.metric("go_goroutines")
	descriptors, _ := d.metric("process_open_fds")
	var over atomic.Bool
	var clients sync.WaitGroup
	for name, behave := range badClients() {
		for range 2 {
			clients.Go(func() {
				for !over.Load() {
					conn, err := net.Dial("tcp", d.address)
					if err != nil {
						time.Sleep(10 * time.Millisecond)
						continue
					}
					if tcp, ok := conn.(*net.TCPConn); ok {
						_ = tcp.SetDeadline(time.Now().Add(5 * time.Second)) // it is open
						behave(tcp)
					}
					_ = conn.Close() // the end of it
					if name != "is good" {
						time.Sleep(5 * time.Millisecond) // else who is refused takes every place before a good one can
					}
				}
			})
		}
	}
	time.Sleep(limit)
	if !eventually(30*time.Second, func() bool { n, _ := d.metric(`http_requests_total{code="200",method="post"}`); return n > 0 }) {
		t.Error("no good client was answered")
	}
	over.Store(true)
	clients.Wait()
	if !eventually(10*time.Second, func() bool { n, _ := d.metric("http_requests_in_flight"); return n == 0 }) {
		t.Error("requests are still under way")
	}
	// What is compared includes the connection that asks, and a child's last moments.
	var g, f float64
	if !eventually(10*time.Second, func() bool {
		g, _ = d.metric("go_goroutines")
		f, _ = d.metric("process_open_fds")
		return g <= goroutines+2 && f <= descriptors+2
	}) {
		t.Errorf("%v goroutines and %v descriptors, %v and %v before", g, f, goroutines, descriptors)
	}
	if err := allPlacesFree(d, 8); err != nil {
		t.Error(err)
	}
	d.get("/_/health").wantStatus(t, http.StatusOK)
}

// allPlacesFree fills every place at once.
func allPlacesFree(d *dog, n int) error {
	got := make(chan int)
	for range n {
		go func() { got <- d.status("/slow/300") }()
	}
	for range n {
		if status := <-got; status != http.StatusOK {
			return fmt.Errorf("a place is lost: status %d", status)
		}
	}
	return nil
}
