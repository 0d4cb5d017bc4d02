package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestConnect(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	for _, args := range [][]string{{"connect", d.address}, {"connect", strings.TrimPrefix(d.address, "127.0.0.1:")}, {"connect"}} {
		cmd := exec.Command(tested.path, args...)
		cmd.Env = d.cmd.Env
		cmd.Stdin = strings.NewReader("GET /slow/100 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
		out, err := cmd.Output()
		if err != nil || !strings.HasPrefix(string(out), "HTTP/1.1 200 OK\r\n") || !strings.HasSuffix(string(out), "slow") {
			t.Errorf("%q: %v, %q", args, err, out)
		}
	}
}

func TestConnectCarriesManyRequests(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	cmd := exec.Command(tested.path, "connect", d.address)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{
		MaxConnsPerHost: 1,
		DialContext:     func(context.Context, string, string) (net.Conn, error) { return pipeConn{out, in}, nil },
	}}
	body := bytes.Repeat([]byte("z"), 4<<20)
	for range 5 {
		answer, err := client.Post("http://fn/echo", "text/plain", bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close() // it was read
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
	}
	_ = in.Close() // ends it
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

// pipeConn is a connection over the pipes of a process.
type pipeConn struct {
	io.Reader
	io.WriteCloser
}

func (pipeConn) LocalAddr() net.Addr              { return &net.IPAddr{} }
func (pipeConn) RemoteAddr() net.Addr             { return &net.IPAddr{} }
func (pipeConn) SetDeadline(time.Time) error      { return nil }
func (pipeConn) SetReadDeadline(time.Time) error  { return nil }
func (pipeConn) SetWriteDeadline(time.Time) error { return nil }

func TestConnectFails(t *testing.T) {
	ours(t)
	if code, _, errs := once(t, []string{"connect", freePort(t)}, nil); code != 1 || !strings.Contains(errs, "refused") {
		t.Errorf("exit %d, stderr %q", code, errs)
	}
	if code, _, _ := once(t, []string{"connect", "a", "b"}, nil); code != 1 {
		t.Errorf("two addresses: exit %d", code)
	}
	if code, _, errs := once(t, []string{"--unknown"}, nil); code != 2 || !strings.Contains(errs, "usage") {
		t.Errorf("an unknown flag: exit %d, %q", code, errs)
	}
}
