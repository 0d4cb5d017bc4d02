package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// functionProcess is the function's process in http mode: it runs as long as the watchdog does.
type functionProcess struct {
	process *os.Process
	exited  chan struct{}
	status  *os.ProcessState // valid once exited
	pipes   []*os.File       // that it writes its log to
	pumps   sync.WaitGroup
}

// startProcess starts the function's process. It gets a process group of its own, so that a Ctrl-C at a
// terminal reaches the watchdog alone, which tells the process when the requests are done.
func startProcess(c *config, l *logs, kids *children, pairs []string) (*functionProcess, error) {
	path, err := exec.LookPath(c.process[0])
	if err != nil {
		return nil, fmt.Errorf("fprocess: %w", err)
	}
	p := &functionProcess{exited: make(chan struct{})}
	var ends [3]*os.File
	if ends[0], err = os.Open(os.DevNull); err != nil {
		return nil, err
	}
	defer closeAll(ends[:])
	if ends[1], err = p.pipe(l, "stdout"); err != nil {
		return nil, err
	}
	if ends[2], err = p.pipe(l, "stderr"); err != nil {
		return nil, err
	}
	p.process, err = kids.start(path, c.process, &os.ProcAttr{
		Env:   serverEnvironment(c, pairs),
		Files: ends[:],
		Sys:   &syscall.SysProcAttr{Setpgid: true},
	})
	if err != nil {
		return nil, fmt.Errorf("fprocess: %w", err)
	}
	go func() {
		defer close(p.exited)
		p.status, _ = kids.wait(p.process) // it is our child and waited for only here
	}()
	return p, nil
}

// pipe returns the end that the process writes to; what it writes goes to the log.
func (p *functionProcess) pipe(l *logs, stream string) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p.pipes = append(p.pipes, r)
	p.pumps.Go(func() {
		l.pump(stream, &lastWords{File: r})
		_ = r.Close() // nothing is left to read
	})
	return w, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		if f != nil {
			_ = f.Close() // the process has its own copies
		}
	}
}

// serverEnvironment is the watchdog's own, but for two names. PORT is the watchdog's where it listens
// there, so the function finds its own port in it; and the drain's pause is over before the function is
// told to stop, so it needs none of its own.
func serverEnvironment(c *config, pairs []string) []string {
	own := slices.DeleteFunc(slices.Clone(pairs), func(pair string) bool {
		return strings.HasPrefix(pair, "healthcheck_interval=") || c.ownsPort && strings.HasPrefix(pair, "PORT=")
	})
	own = append(own, "healthcheck_interval=1ms") // of-watchdog and OpenFaaS's Go templates wait for ever for 0
	if c.ownsPort && c.upstream.Port() != "" {
		own = append(own, "PORT="+c.upstream.Port())
	}
	return own
}

// stop asks the process to end and waits, at most for the given time; then it kills the whole group.
func (p *functionProcess) stop(wait time.Duration) {
	_ = p.process.Signal(syscall.SIGTERM) // it may have exited already
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
	}
	_ = syscall.Kill(-p.process.Pid, syscall.SIGKILL) // nothing may be left of the group
	<-p.exited
	p.drainLogs()
}

// logPatience is how long the watchdog's own log may take no line before the watchdog ends without it.
const logPatience = 10 * time.Second

// drainLogs waits for the last lines of the process, which has ended, but not for what a stray descendant might write,
// nor for ever for a reader of the watchdog's own log.
func (p *functionProcess) drainLogs() {
	for _, pipe := range p.pipes {
		giveMoment(pipe, time.Second)
	}
	done := make(chan struct{})
	go func() {
		p.pumps.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(logPatience):
	}
}

// errProcessExited is why the watchdog stops when the function's process has ended.
var errProcessExited = errors.New("the function's process has exited")

// exitError says how the process ended.
func (p *functionProcess) exitError() error {
	return fmt.Errorf("%w: %s", errProcessExited, exitText(p.status))
}

func exitText(status *os.ProcessState) string {
	if status == nil {
		return "unknown"
	}
	return status.String()
}

// children starts processes and waits for them. While it starts one it keeps the reaper away, which
// must not take the exit status of a child that somebody waits for.
type children struct {
	mu    sync.RWMutex
	known sync.Map // pid to struct{}
}

func (k *children) start(path string, argv []string, attr *os.ProcAttr) (*os.Process, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	p, err := os.StartProcess(path, argv, attr)
	if err == nil {
		k.known.Store(p.Pid, struct{}{})
	}
	return p, err
}

func (k *children) wait(p *os.Process) (*os.ProcessState, error) {
	status, err := p.Wait()
	k.known.Delete(p.Pid)
	return status, err
}

// fork starts a process that waitFor waits for.
func (k *children) fork(path string, argv []string, attr *syscall.ProcAttr) (int, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	pid, err := syscall.ForkExec(path, argv, attr)
	if err != nil && withoutPidfd(attr.Sys, err) {
		pid, err = syscall.ForkExec(path, argv, attr)
	}
	if err == nil {
		k.known.Store(pid, struct{}{})
	}
	return pid, err
}

func (k *children) waitFor(pid int) syscall.WaitStatus {
	var status syscall.WaitStatus
	for {
		if _, err := syscall.Wait4(pid, &status, 0, nil); err != syscall.EINTR {
			break // it is our child and waited for only here
		}
	}
	k.known.Delete(pid)
	return status
}

func (k *children) knows(pid int) bool {
	_, ok := k.known.Load(pid)
	return ok
}
