package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
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
