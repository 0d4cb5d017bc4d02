package main

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// raws is a server whose every byte the test decides about.
type raws struct {
	address string
	l       net.Listener
	mu      sync.Mutex
	conns   []net.Conn
}

// rawUpstream has serve answer each connection, which is closed when serve returns.
func rawUpstream(t *testing.T, serve func(net.Conn)) *raws {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	u := &raws{address: l.Addr().String(), l: l}
	t.Cleanup(u.close)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			u.mu.Lock()
			u.conns = append(u.conns, conn)
			u.mu.Unlock()
			go func() {
				serve(conn)
				_ = conn.Close() // the end of it
			}()
		}
	}()
	return u
}

func (u *raws) close() {
	_ = u.l.Close() // it may be closed
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, c := range u.conns {
		_ = c.Close() // it may be closed
	}
	u.conns = nil
}

// answering serves text to every request of a connection.
func answering(text string) func(net.Conn) {
	return func(c net.Conn) {
		for in := bufio.NewReader(c); ; {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body) // it ends somehow
			if _, err := io.WriteString(c, text); err != nil {
				return
			}
		}
	}
}

// answeringByPath serves the answer whose number is the request's path, and closes.
func answeringByPath(answers []string) func(net.Conn) {
	return func(c net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // it ends somehow
		if n, err := strconv.Atoi(r.URL.Path[1:]); err == nil {
			_, _ = io.WriteString(c, answers[n]) // the end of it
		}
	}
}

// overflowing answers every request, and to HEAD and to what /204, /304 and /excess ask for it sends a whole second
// answer that belongs to nobody, in the same piece or after a pause.
func overflowing(pause time.Duration) func(net.Conn) {
	return func(c net.Conn) {
		for in := bufio.NewReader(c); ; {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			answer, more := "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "HTTP/1.1 200 OK\r\nX-Evil: yes\r\nContent-Length: 4\r\n\r\nevil"
			switch {
			case r.Method == http.MethodHead:
			case r.URL.Path == "/204" || r.URL.Path == "/304":
				answer = "HTTP/1.1 " + r.URL.Path[1:] + " X\r\n\r\n"
			case r.URL.Path == "/excess":
				answer = "HTTP/1.1 200 OK\r\nContent-Length: 10000\r\n\r\n" + strings.Repeat("good", 2500) // more than is read at once
			default:
				answer, more = answer+"good", ""
			}
			if pause > 0 {
				_, _ = io.WriteString(c, answer) // the test sees it
				begun := time.Now()
				time.Sleep(pause)
				answer = ""
				if time.Since(begun) > restTime/2 { // what comes after a rest nobody can know, and this machine is busy
					more = ""
				}
			}
			_, _ = io.WriteString(c, answer+more) // the test sees it
		}
	}
}

// TestAnswersThatBelongToNobody asks for an answer after one that was longer than it may be.
func TestAnswersThatBelongToNobody(t *testing.T) {
	ours(t)
	const tries = 60
	for _, pause := range []time.Duration{0, time.Millisecond} {
		for _, how := range []string{"HEAD /", "GET /204", "GET /304", "GET /excess"} {
			for _, next := range []string{http.MethodGet, http.MethodPut, http.MethodPost} {
				t.Run(fmt.Sprintf("%s and %s after %v", how, next, pause), func(t *testing.T) {
					t.Parallel()
					d := launch(t, before(t, rawUpstream(t, overflowing(pause)).address)...).serving()
					method, path, _ := strings.Cut(how, " ")
					poisoned := 0
					for range tries {
						d.do(method, path, "")
						if d.do(next, "/", "").body != "good" {
							poisoned++
						}
					}
					most := 0
					if path == "/excess" && pause > 0 {
						most = 2 // a request that was on its way; nobody can know
					}
					if poisoned > most {
						t.Errorf("%d of %d clients got an answer that was meant for nobody, want at most %d", poisoned, tries, most)
					}
					if path == "/excess" && !d.logged("more than its answers") {
						t.Error("the log does not tell of it")
					}
				})
			}
		}
	}
}

// TestConnectionsAreUsedAgain counts the connections to a function that sends what it has to and no more.
func TestConnectionsAreUsedAgain(t *testing.T) {
	ours(t)
	var conns atomic.Int64
	answer := overflowing(0)
	up := rawUpstream(t, func(c net.Conn) {
		conns.Add(1)
		answer(c)
	})
	d := launch(t, before(t, up.address)...).serving()
	conns.Store(0)
	for range 20 {
		d.get("/")
		d.do(http.MethodPut, "/", "")
	}
	// A client may have its answer a moment before the connection can be taken again.
	if n := conns.Load(); n < 1 || n > 5 {
		t.Errorf("40 requests needed %d connections, want one or a few", n)
	}
}

// TestAnswersThatBelongToNobodyOverTLS is the same where the socket does not tell what TLS has read already.
func TestAnswersThatBelongToNobodyOverTLS(t *testing.T) {
	ours(t)
	server, certificate := tlsFunction(t)
	l, err := tls.Listen("tcp", "127.0.0.1:0", server.TLS)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // it is open
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go overflowing(0)(c)
		}
	}()
	d := launch(t, idleProcess(t, "upstream_url=https://"+l.Addr().String(), "SSL_CERT_FILE="+certificate)...).serving()
	for range 20 {
		d.get("/excess")
		if got := d.get("/").body; got != "good" {
			t.Errorf("the next client got %q", got)
		}
	}
}

func TestParseUpstream(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"http://127.0.0.1:3000": "tcp 127.0.0.1:3000 ", "http://h": "tcp h:80 ", "http://h/a/b/": "tcp h:80 /a/b", "https://h": "tcp h:443 ",
		"http://[::1]:80": "tcp [::1]:80 ", "unix:/run/f.sock": "unix /run/f.sock ", "unix:///run/f.sock": "unix /run/f.sock ",
	} {
		u, err := parseUpstream(address)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		up, err := newUpstream(u)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		if got := strings.Join([]string{up.network, up.address, up.route.Prefix}, " "); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
