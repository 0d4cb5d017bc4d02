package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// A front passes connections on to the watchdog that is current, as a cluster's service does: what is open stays where it is.
type front struct {
	net.Listener
	to    atomic.Pointer[dog]
	conns sync.WaitGroup
}

func newFront(t *testing.T, first *dog) *front {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{Listener: l}
	f.to.Store(first)
	f.conns.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			f.conns.Go(func() { join(in, f.to.Load().address) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // nobody comes any more
		f.conns.Wait()
	})
	return f
}

// join carries a connection to address until either side ends.
func join(in net.Conn, address string) {
	defer in.Close() //nolint:errcheck // what was to be told was told
	out, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer out.Close() //nolint:errcheck // as above
	go func() {
		_, _ = io.Copy(out, in) // the other direction says how it ended
		closeWrite(out)
	}()
	_, _ = io.Copy(in, out) // the client notices what is missing
}

// A keeper is a client that keeps its connection and never sends a request twice, as one has to that is no GET.
type keeper struct {
	kind    string // of its requests
	address string
	answers atomic.Int64
	told    atomic.Int64 // answers that ended their connection
}

// run asks until stop, and returns the first request that was lost.
func (k *keeper) run(stop <-chan struct{}) error {
	var conn net.Conn
	var in *bufio.Reader
	defer func() {
		if conn != nil {
			_ = conn.Close() // it was only read
		}
	}()
	for n := 0; ; n++ {
		select {
		case <-stop:
			return nil
		default:
		}
		if conn == nil {
			var err error
			if conn, err = net.Dial("tcp", k.address); err != nil {
				return err
			}
			in = bufio.NewReader(conn)
		}
		last, err := k.ask(conn, in)
		if err != nil {
			return fmt.Errorf("request %d, %s: %w", n, k.kind, err)
		}
		k.answers.Add(1)
		if last {
			k.told.Add(1)
			_ = conn.Close() // as it was told to
			conn = nil
		}
	}
}

func (k *keeper) ask(conn net.Conn, in *bufio.Reader) (last bool, err error) {
	text := "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
	switch k.kind {
	case "chunked": // net/http reads it
		text = "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"
	case "refused":
		text = "POST /status/500 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
	case "own":
		text = "GET /_/ready HTTP/1.1\r\nHost: h\r\n\r\n"
	case "slow": // its answer has begun, or not, when the drain does
		text = "POST /slow/40 HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nhi"
	}
	if _, err := io.WriteString(conn, text); err != nil {
		return false, err
	}
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return false, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.Close, err
}

// TestDrainLosesNothing replaces a watchdog by another one, while clients keep their connections and send what may not be
// sent twice.
func TestDrainLosesNothing(t *testing.T) {
	ours(t)
	old := launch(t, fn(t, "server", "healthcheck_interval=1h")...).serving()
	service := newFront(t, old)
	stop := make(chan struct{})
	var clients sync.WaitGroup
	var keepers []*keeper
	for _, kind := range []string{"plain", "plain", "plain", "chunked", "refused", "own", "slow"} {
		k := &keeper{kind: kind, address: service.Addr().String()}
		keepers = append(keepers, k)
		clients.Go(func() {
			if err := k.run(stop); err != nil {
				t.Error(err)
			}
		})
	}
	each := func(what string, ok func(k *keeper) bool) {
		t.Helper()
		for _, k := range keepers {
			if !eventually(20*time.Second, func() bool { return t.Failed() || ok(k) }) {
				t.Errorf("%s: %s after %d answers", k.kind, what, k.answers.Load())
			}
		}
	}
	each("it is not answered", func(k *keeper) bool { return k.answers.Load() > 5 })
	service.to.Store(launch(t, fn(t, "server")...).serving())
	old.signal(syscall.SIGTERM)
	each("its connection is not ended", func(k *keeper) bool { return k.told.Load() == 1 })
	old.signal(syscall.SIGTERM) // the pause is over
	if code := old.exit(); code != 0 {
		t.Errorf("exit %d, want 0", code)
	}
	for _, k := range keepers {
		k.answers.Store(0)
	}
	each("it is not answered after the change", func(k *keeper) bool { return k.answers.Load() > 5 })
	close(stop)
	clients.Wait()
	for _, k := range keepers {
		if n := k.told.Load(); n != 1 {
			t.Errorf("%s: %d connections were ended, want one", k.kind, n)
		}
	}
}

// A drain leaves an upgraded connection's answer as it is.
func TestDrainUpgrades(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server", "healthcheck_interval=1h")...).serving()
	d.signal(syscall.SIGTERM)
	if !d.logged("draining") {
		t.Fatal("it does not drain")
	}
	got := d.raw("GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	if !strings.Contains(got, "101 Switching") || strings.Contains(strings.ToLower(got), "connection: close") {
		t.Errorf("the answer is %q", got)
	}
	d.signal(syscall.SIGTERM)
}
