package containers_test

import (
	"fmt"
	"io"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"fnb/builder/buildertest"
	"fnb/builder/containers"
	"fnb/internal/fixture"
)

// drain takes everything, and says when it has so much.
type drain struct {
	want int64
	done chan struct{}
}

func (d *drain) Write(p []byte) (int, error) {
	if d.want -= int64(len(p)); d.want <= 0 && d.done != nil {
		close(d.done)
		d.done = nil
	}
	return len(p), nil
}

func (d *drain) Close() error { return nil }

// TestTunnelSpeed measures, in one run and in turn, a byte there and back and many bytes
// each way: through a route, and through the input and output of a bare process, which is the
// builder's own limit. It holds nothing to a time but what is a ratio: "go test -run TunnelSpeed -v" shows the figures.
func TestTunnelSpeed(t *testing.T) {
	c := buildertest.Stock(t)
	const size = 16 << 20
	mbs := func(began time.Time) float64 { return size / 1e6 / time.Since(began).Seconds() }
	echo := serving(t, "echo", 1, func(conn *net.TCPConn) { _, _ = io.Copy(conn, conn) })
	var in, out []float64
	push := serving(t, "push", 2, func(conn *net.TCPConn) {
		began := time.Now()
		_, _ = io.CopyN(io.Discard, conn, size)
		out = append(out, mbs(began))
	})
	pull := serving(t, "pull", 3, func(conn *net.TCPConn) {
		began := time.Now()
		_, _ = conn.Write(make([]byte, size))
		_ = conn.CloseWrite()
		_, _ = conn.Read(make([]byte, 1)) // its end
		in = append(in, mbs(began))
	})
	var log fixture.Buffer
	req := peer(t, "/peer ping echo:1 400\n/peer flood push:2 "+strconv.Itoa(size)+"\n/peer pull pull:3\n/peer flood push:2 "+strconv.Itoa(size)+"\n/peer pull pull:3\necho done\nexec sleep 600\n")
	req.Routes, req.Stdout, req.Stderr = []containers.Route{echo, push, pull}, &log, &log
	r := running(t, c, req)
	fixture.Eventually(t, 3*time.Minute, "it is done", func() bool { return strings.HasSuffix(log.String(), "done\n") })
	ns, _, _ := strings.Cut(log.String(), "\n")
	began := time.Now()
	d := &drain{want: size, done: make(chan struct{})}
	if err := r.Process(nil, d, "/peer", "zeros", strconv.Itoa(size)); err != nil {
		t.Error(err)
	}
	rawOut := mbs(began)
	pr, pw := io.Pipe()
	go func() {
		_, _ = pw.Write(make([]byte, size)) // the time shows it
		_ = pw.Close()
	}()
	began = time.Now()
	if err := r.Process(pr, nil, "/peer", "sink"); err != nil {
		t.Error(err)
	}
	rawIn := mbs(began)
	pr, pw = io.Pipe()
	back := make(chan struct{}, 1)
	var times []time.Duration
	go func() {
		for range 400 {
			began := time.Now()
			_, _ = pw.Write([]byte{1})
			<-back
			times = append(times, time.Since(began))
		}
		_ = pw.Close()
	}()
	if err := r.Process(pr, answers(func() { back <- struct{}{} }), "cat"); err != nil {
		t.Error(err)
	}
	slices.Sort(times)
	rtt, err := strconv.ParseFloat(ns, 64)
	if err != nil {
		t.Fatal(log.String())
	}
	t.Logf("a byte there and back: %.2f ms by a route, %.2f ms by a bare process", rtt/1e6, times[200].Seconds()*1e3)
	t.Logf("MB/s out of the container: %.0f by a route, %.0f by a bare process", slices.Max(out), rawOut)
	t.Logf("MB/s into the container: %.0f by a route, %.0f by a bare process", slices.Max(in), rawIn)
	if slices.Max(out) < rawOut/8 || slices.Max(in) < rawIn/8 {
		t.Error("a route is far slower than the builder")
	}
}

type answers func()

func (a answers) Write(p []byte) (int, error) { a(); return len(p), nil }
func (a answers) Close() error                { return nil }

// Thousands of connections leave nothing behind, in memory or in goroutines.
func TestTunnelKeepsNothing(t *testing.T) {
	c := buildertest.Stock(t)
	r := running(t, c, peer(t, "exec /peer listen 7000\n"))
	some := func(n int) (heap uint64, goroutines int) {
		for range n {
			conn := dialing(t, r, 7000)
			_, _ = fmt.Fprint(conn, "hi\n") // the answer shows it
			if got := make([]byte, 7); true {
				if _, err := io.ReadFull(conn, got); string(got) != "got hi\n" || err != nil {
					t.Fatalf("%q %v", got, err)
				}
			}
			_ = conn.Close() // it has what it wanted
		}
		fixture.Eventually(t, 20*time.Second, "all have ended", func() bool { return r.Tunnels() == 0 })
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc, runtime.NumGoroutine()
	}
	heap, goroutines := some(500)
	after, then := some(3_000)
	t.Logf("%d KB and %d goroutines after 500 connections, %d KB and %d after 3,000 more", heap>>10, goroutines, after>>10, then)
	if after > heap+heap/4+1<<20 || then > goroutines+8 {
		t.Error("something is kept")
	}
}
