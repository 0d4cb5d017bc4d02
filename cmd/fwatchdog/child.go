package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"fnb/cmd/fwatchdog/internal/rawio"
)

// pipeHolds is what every pipe holds, however short of memory the system is.
const pipeHolds = 4 << 10

// soon is how long a process may take that is waited for on a thread.
const soon = 5 * time.Millisecond

// noFD stands for a descriptor that is not open.
const noFD = -1

// child is one process and its pipes. The pipes are bare descriptors at first: most of what an os.File costs is to be
// waited for, and a process that ends soon is not waited for that way.
type child struct {
	pid    int
	pidfd  int // noFD: the system has none
	feedFD int // noFD: nothing is left to be fed
	outFD  int
	errsFD int
	status syscall.WaitStatus // valid once it has been waited for

	in, out, errs *os.File      // once polled
	pumped        chan struct{} // closed at the end of the log

	mu      sync.Mutex
	ended   bool
	expired bool
}

// abort kills the process and all that it started.
func (p *child) abort() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ended {
		_ = syscall.Kill(-p.pid, syscall.SIGKILL) // it may have exited already
	}
}

// expire is abort at the time limit.
func (p *child) expire() {
	p.mu.Lock()
	p.expired = true
	p.mu.Unlock()
	p.abort()
}

func (p *child) isExpired() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.expired
}

// start starts a process for r with its pipes. With ahead its whole input is body, which is short.
func (f *forker) start(r *http.Request, body []byte, ahead bool) (*child, error) {
	p := &child{pidfd: noFD, feedFD: noFD, outFD: noFD, errsFD: noFD}
	stdin, stdout, stderr := noFD, noFD, noFD
	err := rawio.Pipe(&p.outFD, &stdout)
	if err == nil {
		err = rawio.Pipe(&p.errsFD, &stderr)
	}
	switch {
	case err != nil:
	case ahead && len(body) == 0:
		stdin, err = syscall.Open(os.DevNull, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	default:
		err = rawio.Pipe(&stdin, &p.feedFD)
	}
	if err == nil && len(body) > 0 {
		_, err = syscall.Write(p.feedFD, body)
		closeFD(&p.feedFD) // that is its end
	}
	if err == nil {
		p.pid, err = f.children.fork(f.path, f.argv, &syscall.ProcAttr{
			Env:   requestEnvironment(f.environ, r),
			Files: []uintptr{uintptr(stdin), uintptr(stdout), uintptr(stderr)},
			Sys:   childAttributes(&p.pidfd),
		})
	}
	closeFD(&stdin) // the process has its own copies
	closeFD(&stdout)
	closeFD(&stderr)
	if err != nil {
		p.close()
		return nil, fmt.Errorf("starting the function's process: %w", explainStart(f.path, err))
	}
	return p, nil
}

// explainStart says which file could not be started. The kernel says of an interpreter that
// is not there what it says of a script that is not.
func explainStart(path string, err error) error {
	if _, serr := os.Stat(path); serr == nil && errors.Is(err, syscall.ENOENT) {
		return fmt.Errorf("%s: the interpreter that its first line names is not there (does the line end in a carriage return?): %w", path, err)
	}
	return fmt.Errorf("%s: %w", path, err)
}

func closeFD(fd *int) {
	if *fd != noFD {
		_ = syscall.Close(*fd) // nothing is lost with it
		*fd = noFD
	}
}

// endsSoon reports whether the process ends within a moment and leaves no other that writes its output. It waits on
// the goroutine's own thread: one wake for input, output and end, where the runtime's poller has at least three.
func (p *child) endsSoon(places chan struct{}, deadline time.Time) bool {
	defer closeFD(&p.pidfd)
	if p.pidfd == noFD || p.feedFD != noFD || !deadline.IsZero() && time.Until(deadline) < 2*soon {
		return false
	}
	select {
	case places <- struct{}{}:
	default:
		return false
	}
	defer func() { <-places }()
	return rawio.WaitReadable(p.pidfd, soon) && rawio.HasNoWriter(p.outFD)
}

// poll makes files of the pipes, which a goroutine can wait for without a thread.
func (p *child) poll() {
	for _, end := range [...]struct {
		fd   *int
		file **os.File
	}{{&p.feedFD, &p.in}, {&p.outFD, &p.out}, {&p.errsFD, &p.errs}} {
		if *end.fd == noFD {
			continue
		}
		_ = syscall.SetNonblock(*end.fd, true) // it is a pipe; the file would block a thread otherwise
		*end.file = os.NewFile(uintptr(*end.fd), "pipe")
		*end.fd = noFD
	}
}

// wait waits for the process.
func (p *child) wait(kids *children) {
	p.status = kids.waitFor(p.pid)
	p.mu.Lock()
	p.ended = true
	p.mu.Unlock()
}

// close closes the pipes.
func (p *child) close() {
	closeFD(&p.feedFD)
	closeFD(&p.outFD)
	closeFD(&p.errsFD)
	closeAll([]*os.File{p.out, p.errs})
}

func (p *child) succeeded() bool { return p.status.Exited() && p.status.ExitStatus() == 0 }

// endText says how the process ended, as os.ProcessState does.
func (p *child) endText() string {
	switch s := p.status; {
	case s.Exited():
		return fmt.Sprintf("exit status %d", s.ExitStatus())
	case s.CoreDump():
		return fmt.Sprintf("signal: %v (core dumped)", s.Signal())
	default:
		return fmt.Sprintf("signal: %v", s.Signal())
	}
}
