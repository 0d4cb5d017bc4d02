package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const upgradeRequest = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"

// upgrading is a function that switches protocols and then treats the connection as then does.
func upgrading(t *testing.T, then func(c net.Conn, in *bufio.Reader)) string {
	t.Helper()
	return rawUpstream(t, func(c net.Conn) {
		in := bufio.NewReader(c)
		switch head := readHeadText(in); {
		case strings.HasPrefix(head, "GET /ws "), strings.HasPrefix(head, "POST /ws "):
			_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n") // the test sees it
			then(c, in)
		case head != "":
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok") // the test sees it
		}
	}).address
}

// upgrade opens an upgraded connection.
func (d *dog) upgrade() (*net.TCPConn, *bufio.Reader) {
	d.t.Helper()
	conn := d.dial()
	in := bufio.NewReader(conn)
	if _, err := io.WriteString(conn, upgradeRequest); err != nil {
		d.t.Fatal(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second)) // it is open
	if head := readHeadText(in); !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		d.t.Fatalf("got %q, want 101", head)
	}
	return conn, in
}

// dripping writes what it counts, at intervals that are longer than the watchdog waits before it asks after a client.
func dripping(c net.Conn, n int) {
	for i := range n {
		time.Sleep(2 * halfCloseGrace)
		if _, err := fmt.Fprintf(c, "<%d>", i); err != nil {
			return
		}
	}
}

// TestUpgradedConnectionsCarryNothingElse has both sides say all they have to say, the client first.
func TestUpgradedConnectionsCarryNothingElse(t *testing.T) {
	ours(t)
	d := launch(t, before(t, upgrading(t, func(c net.Conn, in *bufio.Reader) {
		said, _ := io.ReadAll(in)
		dripping(c, 4)
		_, _ = c.Write(said) // the test sees it
	}), "exec_timeout=0")...).serving()
	conn, in := d.upgrade()
	long := strings.Repeat("0123456789", 20000)
	_, _ = io.WriteString(conn, long) // the test sees it
	closeWrite(conn)
	if got, err := io.ReadAll(in); err != nil || string(got) != "<0><1><2><3>"+long {
		t.Errorf("%d bytes, %.100q, %v", len(got), got, err)
	}
}

// TestUpgradedConnectionsEndWithEitherSide has one side end, and the other do nothing about it.
func TestUpgradedConnectionsEndWithEitherSide(t *testing.T) {
	ours(t)
	wait := func(net.Conn, *bufio.Reader) { time.Sleep(8 * time.Second) }
	for _, tt := range []struct {
		name string
		fn   func(net.Conn, *bufio.Reader)
		end  func(*net.TCPConn)
	}{
		{"the function closes", func(net.Conn, *bufio.Reader) {}, nil},
		{"the function closes its sending side", func(c net.Conn, in *bufio.Reader) { closeWrite(c); wait(c, in) }, nil},
		{"the function closes and the client goes on", func(net.Conn, *bufio.Reader) {}, func(c *net.TCPConn) { go dripping(c, 20) }},
		{"the client closes its sending side", wait, func(c *net.TCPConn) { closeWrite(c) }},
		{"the client closes", wait, func(c *net.TCPConn) { _ = c.Close() }},
		{"the client resets", wait, func(c *net.TCPConn) { _, _ = c.SetLinger(0), c.Close() }},
		{"the client closes and does not read", func(c net.Conn, _ *bufio.Reader) { _, _ = io.Copy(c, zeros{}) }, func(c *net.TCPConn) { closeWrite(c) }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := launch(t, before(t, upgrading(t, tt.fn), "exec_timeout=0", "max_inflight=1")...).serving()
			conn, _ := d.upgrade()
			if tt.end != nil {
				tt.end(conn)
			}
			begun := time.Now()
			if !eventually(6*time.Second, func() bool { return d.status("/") == http.StatusOK }) || time.Since(begun) > 3*upgradeGrace {
				t.Errorf("its place is not free after %v", time.Since(begun))
			}
		})
	}
}

// TestUpgradeWaitsForTheRequestsEnd has a function switch protocols before it has the whole request.
func TestUpgradeWaitsForTheRequestsEnd(t *testing.T) {
	ours(t)
	const size = 100_000
	d := launch(t, before(t, upgrading(t, func(c net.Conn, in *bufio.Reader) {
		body := make([]byte, size)
		_, err := io.ReadFull(in, body)
		rest, _ := io.ReadAll(in)
		fmt.Fprintf(c, "%d %v %s", strings.Count(string(body), "b"), err, rest)
	}), "read_timeout=1s")...).serving()
	head := strings.Replace(strings.Replace(upgradeRequest, "GET", "POST", 1), "\r\n\r\n", fmt.Sprintf("\r\nContent-Length: %d\r\n\r\n", size), 1)
	for sent, want := range map[int]string{size: fmt.Sprint(size, " <nil> and more"), 1000: " 408 "} {
		conn := d.dial()
		_, _ = io.WriteString(conn, head) // the test sees it
		time.Sleep(100 * time.Millisecond)
		_, _ = io.WriteString(conn, strings.Repeat("b", sent)) // the test sees it
		if sent == size {
			_, _ = io.WriteString(conn, "and more") // the test sees it
			closeWrite(conn)
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second)) // it is open
		if got, _ := io.ReadAll(conn); !strings.Contains(string(got), want) {
			t.Errorf("%d bytes of %d: got\n%s", sent, size, got)
		}
	}
}

// TestUpgradedConnectionsAreNoRequests sends what would be heads of requests, which nobody will ever answer.
func TestUpgradedConnectionsAreNoRequests(t *testing.T) {
	ours(t)
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	d := launch(t, before(t, upgrading(t, func(c net.Conn, in *bufio.Reader) {
		n, _ := io.Copy(io.Discard, in)
		fmt.Fprint(c, n)
	}))...).serving()
	lines := strings.Repeat(strings.Repeat("x", 8000)+"\r\n\r\n", 500)
	for range 10 {
		conn, in := d.upgrade()
		_, _ = io.WriteString(conn, lines) // the function counts it
		defer func() {
			closeWrite(conn)
			if got, err := io.ReadAll(in); err != nil || string(got) != fmt.Sprint(len(lines)) {
				t.Errorf("the function got %q of %d bytes, %v", got, len(lines), err)
			}
		}()
	}
	time.Sleep(300 * time.Millisecond) // until it has all been read
	if rss := residentKiB(t, d.cmd.Process.Pid, "VmHWM"); rss > 20<<10 {
		t.Errorf("it used up to %d KiB", rss)
	}
}

// endings are ways for a connection to end before, in or after a request.
func endings() map[string]func(*net.TCPConn) {
	send := func(c *net.TCPConn, text string) { _, _ = io.WriteString(c, text) } // it may be refused
	drain := func(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }              // to its end
	upgraded := func(c *net.TCPConn) *bufio.Reader {
		send(c, upgradeRequest)
		in := bufio.NewReader(c)
		_ = readHeadText(in) // 101
		return in
	}
	const large = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n"
	return map[string]func(*net.TCPConn){
		"upgraded, the function ends": func(c *net.TCPConn) {
			in := upgraded(c)
			send(c, "end\n")
			_, _ = io.Copy(io.Discard, in) // to its end
		},
		"upgraded, the client ends": func(c *net.TCPConn) { upgraded(c) },
		"upgraded and reset":        func(c *net.TCPConn) { upgraded(c); _ = c.SetLinger(0) },
		"upgraded and half-closed":  func(c *net.TCPConn) { upgraded(c); closeWrite(c); drain(c) },
		"half-closed":               func(c *net.TCPConn) { send(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); closeWrite(c); drain(c) },
		"half-closed with a body":   func(c *net.TCPConn) { send(c, large+strings.Repeat("x", 1000000)); closeWrite(c); drain(c) },
		"half-closed, then gone":    func(c *net.TCPConn) { send(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); closeWrite(c) },
		"answered before its body":  func(c *net.TCPConn) { send(c, large+"x"); drain(c) },
		"answered in its chunks": func(c *net.TCPConn) {
			send(c, "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nx")
			drain(c)
		},
		"broken off in a body":       func(c *net.TCPConn) { send(c, large+"x") },
		"broken off in a small body": func(c *net.TCPConn) { send(c, "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\nx") },
		"broken off in a head":       func(c *net.TCPConn) { send(c, "GET / HTTP/1.1\r\nHo") },
		"reset in a request":         func(c *net.TCPConn) { send(c, "GET / HTTP/1.1\r\nHost: h\r\n\r\n"); _ = c.SetLinger(0) },
		"malformed":                  func(c *net.TCPConn) { send(c, "GET / HTTP/9\r\n\r\n"); drain(c) },
	}
}

// TestEndedConnectionsLeaveNothing ends some hundreds of connections in every way, and counts what is left of them.
func TestEndedConnectionsLeaveNothing(t *testing.T) {
	ours(t)
	const places = 20
	d := launch(t, before(t, upgrading(t, func(_ net.Conn, in *bufio.Reader) { _, _ = in.ReadString('\n') }),
		"exec_timeout=0", "read_timeout=30s", fmt.Sprintf("max_inflight=%d", places))...).serving()
	round := func() {
		var clients sync.WaitGroup
		for _, end := range endings() {
			clients.Go(func() {
				for range 25 {
					conn, err := net.Dial("tcp", d.address)
					if err != nil {
						t.Error(err)
						return
					}
					_ = conn.SetDeadline(time.Now().Add(20 * time.Second)) // it is open
					if tcp, ok := conn.(*net.TCPConn); ok {
						end(tcp)
					}
					_ = conn.Close() // the end of it
				}
			})
		}
		clients.Wait()
	}
	d.get("/")
	goroutines, _ := d.metric("go_goroutines")
	descriptors, _ := d.metric("process_open_fds")
	settled := func() {
		t.Helper()
		var g, f, n float64
		if !eventually(6*time.Second, func() bool {
			g, _ = d.metric("go_goroutines")
			f, _ = d.metric("process_open_fds")
			n, _ = d.metric("http_requests_in_flight")
			return g <= goroutines+2 && f <= descriptors+2 && n == 0
		}) {
			t.Errorf("%v requests, %v goroutines and %v descriptors; 0, %v and %v before", n, g, f, goroutines, descriptors)
		}
	}
	round() // what is kept for later connections is made
	settled()
	kib := residentKiB(t, d.cmd.Process.Pid, "VmRSS")
	for range 2 {
		round()
	}
	settled()
	if after := residentKiB(t, d.cmd.Process.Pid, "VmRSS"); !raceEnabled && after > kib+4<<10 {
		t.Errorf("%d KiB, %d before", after, kib)
	}
	for range places {
		d.upgrade() // each holds a place
	}
	d.get("/").wantStatus(t, http.StatusTooManyRequests)
}
