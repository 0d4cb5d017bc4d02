package engines

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// A daemon is a program of an engine that runs until it is stopped.
type daemon struct {
	cmd   *exec.Cmd
	log   string
	ended chan struct{}
}

func startDaemon(cmd *exec.Cmd, log string) (*daemon, error) {
	f, err := os.Create(log)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // the program has its own
	cmd.Stdout, cmd.Stderr = f, f
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &daemon{cmd: cmd, log: log, ended: make(chan struct{})}
	go func() {
		defer close(d.ended)
		_ = cmd.Wait() // its log says more
	}()
	return d, nil
}

// await returns when the daemon is ready, or has ended, or has had two minutes.
func (d *daemon) await(ready func() error) error {
	for end := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		err := ready()
		if err == nil {
			return nil
		}
		if d.gone() || time.Now().After(end) {
			said, _ := os.ReadFile(d.log) // it is shown as far as it can be read
			return fmt.Errorf("starting %s: %w\n%s", d.cmd.Path, err, said)
		}
	}
}

func (d *daemon) gone() bool {
	select {
	case <-d.ended:
		return true
	default:
		return false
	}
}

func (d *daemon) kill() error {
	if err := d.cmd.Process.Kill(); err != nil {
		return err
	}
	<-d.ended
	return nil
}

func (d *daemon) stop() {
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // one that has ended needs none
	select {
	case <-d.ended:
	case <-time.After(time.Minute):
		_ = d.kill() // the same
	}
}
