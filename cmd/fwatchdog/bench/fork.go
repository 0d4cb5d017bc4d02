package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"time"
)

// forkers is how many processes run at a time.
const forkers = 2

// measureFork compares requests to the forking modes with running the same program alone: fork, exec, its
// input, its output and its end.
func measureFork(ctx context.Context, o options, _ string) error {
	path, err := exec.LookPath("cat")
	if err != nil {
		return err
	}
	alone := make([]float64, 0, o.rounds)
	through := map[string][]float64{}
	for range o.rounds {
		bare, err := rate(ctx, o, func(int) error { return runAlone(path) })
		if err != nil {
			return err
		}
		alone = append(alone, bare)
		for _, mode := range []string{"streaming", "serializing"} {
			r, err := rateThrough(ctx, o, mode)
			if err != nil {
				return err
			}
			through[mode] = append(through[mode], r/bare)
		}
	}
	fmt.Printf("fork+exec of cat alone %.0f/s; of that, streaming %.3f, serializing %.3f\n", median(alone), median(through["streaming"]), median(through["serializing"]))
	return nil
}

// runAlone runs cat once, with the pipes that a request needs.
func runAlone(path string) error {
	in, feed, err := os.Pipe()
	if err != nil {
		return err
	}
	out, to, err := os.Pipe()
	if err != nil {
		return err
	}
	p, err := os.StartProcess(path, []string{"cat"}, &os.ProcAttr{Env: os.Environ(), Files: []*os.File{in, to, os.Stderr}})
	_ = in.Close() // the process has it
	_ = to.Close() // the process has it
	if err != nil {
		return err
	}
	if _, err := feed.Write([]byte("body")); err != nil {
		return err
	}
	_ = feed.Close() // that is its end
	got, err := io.ReadAll(out)
	if err != nil || string(got) != "body" {
		return fmt.Errorf("cat said %q: %w", got, err)
	}
	_ = out.Close() // read to the end
	_, err = p.Wait()
	return err
}

// rate runs work by forkers goroutines and returns how often a second it was done.
func rate(ctx context.Context, o options, work func(worker int) error) (float64, error) {
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	begun := time.Now()
	end := begun.Add(time.Duration(o.seconds) * time.Second)
	for worker := range forkers {
		workers.Go(func() {
			for time.Now().Before(end) && ctx.Err() == nil {
				if err := work(worker); err != nil {
					failed.Store(&err)
					return
				}
				done.Add(1)
			}
		})
	}
	workers.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(done.Load()) / time.Since(begun).Seconds(), ctx.Err()
}

func rateThrough(ctx context.Context, o options, mode string) (float64, error) {
	s, err := startWatchdog(ctx, o, "", "mode="+mode, "fprocess=cat")
	if err != nil {
		return 0, err
	}
	defer s.stop()
	var conns [forkers]*bufio.ReadWriter
	for i := range conns {
		conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+fwPort)
		if err != nil {
			return 0, err
		}
		defer conn.Close() //nolint:errcheck // it is over
		conns[i] = bufio.NewReadWriter(bufio.NewReader(conn), bufio.NewWriter(conn))
	}
	request := []byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody")
	return rate(ctx, o, func(worker int) error {
		c := conns[worker]
		if _, err := c.Write(request); err != nil {
			return err
		}
		if err := c.Flush(); err != nil {
			return err
		}
		answer, err := http.ReadResponse(c.Reader, nil)
		if err != nil {
			return err
		}
		body, err := io.ReadAll(answer.Body)
		if closing := answer.Body.Close(); err == nil {
			err = closing
		}
		if err == nil && !bytes.Equal(body, []byte("body")) {
			err = fmt.Errorf("the watchdog answered %s %q", answer.Status, body)
		}
		return err
	})
}
