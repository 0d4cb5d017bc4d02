package main

import (
	"bytes"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// slowLog takes its first line slowly, as on a busy machine: meanwhile all that comes waits in the pipe.
type slowLog struct {
	syncBuffer
	begun chan struct{}
	pause time.Duration
}

func newSlowLog(pause time.Duration) *slowLog {
	return &slowLog{begun: make(chan struct{}), pause: pause}
}

func (s *slowLog) Write(p []byte) (int, error) {
	select {
	case <-s.begun:
	default:
		close(s.begun)
		time.Sleep(s.pause)
	}
	return s.syncBuffer.Write(p)
}

func textLogs(out, errs io.Writer) *logs {
	return newLogs(&config{logConfig: logConfig{logFormat: "text"}}, out, errs)
}

// TestLastWords: what is in a pipe is read although the deadline has passed before the first read, and somebody still
// could write. Whoever goes on writing does not hold the log.
func TestLastWords(t *testing.T) {
	t.Parallel()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	var out bytes.Buffer
	if _, err := io.WriteString(w, "one\ntwo"); err != nil {
		t.Fatal(err)
	}
	giveMoment(r, -time.Second)
	textLogs(&out, io.Discard).pump("stdout", &lastWords{File: r})
	if out.String() != "one\ntwo\n" {
		t.Errorf("%q", out.String())
	}
	go func() {
		for line, err := []byte(strings.Repeat("x", 4<<10)), error(nil); err == nil; {
			_, err = w.Write(line)
		}
	}()
	done := make(chan struct{})
	go func() {
		textLogs(io.Discard, io.Discard).pump("stdout", &lastWords{File: r})
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("a process that goes on writing holds the log")
	}
}

// TestForkLastLine: a function ends while its log is still being written, and leaves a process that has its log open.
func TestForkLastLine(t *testing.T) {
	ours(t)
	for _, mode := range []string{modeStreaming, modeSerializing} {
		pairs := []string{`fprocess=sh -c "echo one >&2; sleep 0.1; echo two >&2; sleep 5 >&- &"`, "mode=" + mode, "suppress_lock=true"}
		c, err := readConfig(pairs)
		if err != nil {
			t.Fatal(err)
		}
		log := newSlowLog(500 * time.Millisecond)
		f, err := newForker(c, newLogs(c, io.Discard, log), &children{}, os.Environ())
		if err != nil {
			t.Fatal(err)
		}
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
		f.serve(begin(w, r), r)
		if !strings.Contains(log.String(), "two") {
			t.Errorf("%s: the log is %q", mode, log.String())
		}
	}
}

// TestForkEndlessLog: a process that is left running writes to the log for ever, and has no part of the answer.
func TestForkEndlessLog(t *testing.T) {
	ours(t)
	d := launch(t, `fprocess=sh -c "(while :; do echo x; done) >&2 & exec echo done"`, "mode=streaming").serving()
	for range 5 {
		if r := d.get("/"); r.body != "done\n" {
			t.Errorf("body %q", r.body)
		}
	}
}

// TestProcessLastLine: the function of mode http ends while its log is still being written.
func TestProcessLastLine(t *testing.T) {
	t.Parallel()
	log := newSlowLog(1500 * time.Millisecond)
	p := &functionProcess{}
	w, err := p.pipe(textLogs(log, io.Discard), "stdout")
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close() // a process that was left running
	for _, line := range []string{"one\n", "two\n"} {
		if _, err := io.WriteString(w, line); err != nil {
			t.Fatal(err)
		}
		<-log.begun
	}
	p.drainLogs()
	if log.String() != "one\ntwo\n" {
		t.Errorf("the log is %q", log.String())
	}
}
