package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// perProcessor is how many processes run at a time for each processor: enough that none waits for work, for then the
// rate tells what the work costs and not how long each wake-up takes.
const perProcessor = 2

// pace is how often a second something was done, and what it cost: the processors' seconds of whoever started the
// processes and of these, without the client's.
type pace struct{ rate, cost float64 }

// measureFork compares requests to the forking modes with running the same program alone: fork, exec, its
// input, its output and its end. That is the least that anybody does who runs a program for a request, in the way of
// Go's standard library; a log of its own for each process, a time limit and HTTP come on top.
func measureFork(ctx context.Context, o options, _ string) error {
	path, err := exec.LookPath("cat")
	if err != nil {
		return err
	}
	var alone, cost []float64
	rates, costs := map[string][]float64{}, map[string][]float64{}
	for range o.rounds {
		bare, err := measureRuns(ctx, o, os.Getpid(), func(int) error { return runAlone(path) })
		if err != nil {
			return err
		}
		alone, cost = append(alone, bare.rate), append(cost, bare.cost)
		for _, mode := range []string{"streaming", "serializing"} {
			r, err := rateThrough(ctx, o, mode)
			if err != nil {
				return err
			}
			rates[mode] = append(rates[mode], r.rate/bare.rate)
			costs[mode] = append(costs[mode], r.cost/bare.cost)
		}
	}
	fmt.Printf("fork+exec of cat alone, %d at a time: %.0f/s; of that, streaming %.3f, serializing %.3f\n",
		forkers(), median(alone), median(rates["streaming"]), median(rates["serializing"]))
	fmt.Printf("  processors' time for each %.3f ms; of that, streaming %.3f, serializing %.3f\n",
		1000*median(cost), median(costs["streaming"]), median(costs["serializing"]))
	return nil
}

func forkers() int { return perProcessor * runtime.NumCPU() }

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

// measureRuns has work done by forkers goroutines, at the cost of process pid.
func measureRuns(ctx context.Context, o options, pid int, work func(worker int) error) (pace, error) {
	var done atomic.Int64
	var failed atomic.Pointer[error]
	var workers sync.WaitGroup
	before, err := processorTime(pid)
	if err != nil {
		return pace{}, err
	}
	begun := time.Now()
	end := begun.Add(time.Duration(o.seconds) * time.Second)
	for worker := range forkers() {
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
		return pace{}, *err
	}
	took := time.Since(begun).Seconds()
	after, err := processorTime(pid)
	if err != nil {
		return pace{}, err
	}
	n := float64(done.Load())
	return pace{rate: n / took, cost: (after - before) / n}, ctx.Err()
}

// processorTime is how many seconds a process and those of its children that have ended were running.
func processorTime(pid int) (float64, error) {
	const ticks, first = 100, 11 // a second; utime, of the fields after the command's name
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	sum := 0
	for _, field := range fields[first : first+4] { // utime, stime, cutime, cstime
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return float64(sum) / ticks, nil
}

func rateThrough(ctx context.Context, o options, mode string) (pace, error) {
	s, err := startWatchdog(ctx, o, "", "mode="+mode, "fprocess=cat")
	if err != nil {
		return pace{}, err
	}
	defer s.stop()
	conns := make([]blocking, forkers())
	for i := range conns {
		if conns[i], err = dialBlocking(ctx); err != nil {
			return pace{}, err
		}
		defer conns[i].close()
	}
	request := []byte("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody")
	rooms := make([][4 << 10]byte, forkers())
	return measureRuns(ctx, o, s.cmd.Process.Pid, func(worker int) error {
		if _, err := syscall.Write(int(conns[worker]), request); err != nil {
			return err
		}
		return readBody(conns[worker], rooms[worker][:])
	})
}

// blocking is a connection that is read and written as a program in C would: its thread waits in the system call.
// The client must do as little as it can, for it takes time from the processors that running the program alone has
// for itself.
type blocking int

func dialBlocking(ctx context.Context) (blocking, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", "127.0.0.1:"+fwPort)
	if err != nil {
		return 0, err
	}
	defer conn.Close() //nolint:errcheck // the copy stays
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return 0, fmt.Errorf("a %T is no TCP connection", conn)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return 0, err
	}
	fd := 0
	var failed error
	if err := raw.Control(func(of uintptr) { fd, failed = syscall.Dup(int(of)) }); err != nil || failed != nil {
		return 0, errors.Join(err, failed)
	}
	return blocking(fd), syscall.SetNonblock(fd, false)
}

func (b blocking) Read(p []byte) (int, error) {
	n, err := syscall.Read(int(b), p)
	if n == 0 && err == nil {
		err = io.ErrUnexpectedEOF
	}
	return max(n, 0), err
}

func (b blocking) close() { _ = syscall.Close(int(b)) }

// readBody reads an answer with the body "body", in one piece or in chunks.
func readBody(from io.Reader, room []byte) error {
	for n := 0; n < len(room); {
		more, err := from.Read(room[n:])
		if err != nil {
			return err
		}
		n += more
		got := room[:n]
		if bytes.HasSuffix(got, []byte("\r\n\r\nbody")) || bytes.HasSuffix(got, []byte("\r\n4\r\nbody\r\n0\r\n\r\n")) {
			if !bytes.HasPrefix(got, []byte("HTTP/1.1 200 ")) {
				return fmt.Errorf("the watchdog answered %q", got)
			}
			return nil
		}
	}
	return fmt.Errorf("the watchdog answered %q", room)
}
