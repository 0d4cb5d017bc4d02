// Command bench measures the watchdog against what it stands in front of, on the loopback of one machine.
//
// Every number is a ratio within one run: the upstream alone, the standard library's reverse proxy before
// it, and the watchdog before it take turns, and the medians of all rounds are compared.
//
//	go run ./cmd/fwatchdog/bench [-rounds 5] [-seconds 3] [-watchdog PATH] [-against PATH]
package main

import (
	"compress/gzip"
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// options are the command line.
type options struct {
	watchdog string
	against  string // another watchdog that takes its turns as well; "": none
	rounds   int
	seconds  int
	only     string
}

func main() {
	if len(os.Args) == 4 && os.Args[1] == "serve" {
		fail(serveUpstream(os.Args[2], os.Args[3]))
		return
	}
	var o options
	flag.StringVar(&o.watchdog, "watchdog", "", "measure this `binary`; it is built when none is named")
	flag.StringVar(&o.against, "against", "", "compare with the watchdog that is this `binary`, of an older version say")
	flag.IntVar(&o.rounds, "rounds", 5, "`number` of rounds")
	flag.IntVar(&o.seconds, "seconds", 3, "`seconds` of load for each measurement")
	flag.StringVar(&o.only, "only", "", "measure only `what`: http, fork, ready or memory")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	fail(run(ctx, o))
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return fmt.Errorf("%w: install it with: apt-get install wrk", err)
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a temporary folder
	if o.watchdog == "" {
		o.watchdog = filepath.Join(dir, "fwatchdog")
		if err := build(ctx, o.watchdog); err != nil {
			return err
		}
	}
	if err := printSize(o.watchdog); err != nil {
		return err
	}
	for _, m := range []struct {
		name    string
		measure func(context.Context, options, string) error
	}{{"http", measureHTTP}, {"fork", measureFork}, {"ready", measureReady}, {"memory", measureMemory}} {
		if o.only != "" && o.only != m.name {
			continue
		}
		if err := m.measure(ctx, o, dir); err != nil {
			return err
		}
	}
	return nil
}

// build makes the watchdog as it goes into images.
func build(ctx context.Context, path string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-tags", "nethttpomithttp2", "-ldflags", "-s -w -X main.version=bench", "-o", path, "fnb/cmd/fwatchdog")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	cmd.Stderr = os.Stderr
	return cmd.Run()
}

// printSize prints the size of the binary, and compressed as it is in a layer.
func printSize(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var packed counter
	w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
	if err != nil {
		return err
	}
	if _, err := w.Write(text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	fmt.Printf("binary %.2f MB, compressed %.2f MB\n", float64(len(text))/1e6, float64(packed)/1e6)
	return nil
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// median sorts values.
func median(values []float64) float64 {
	slices.Sort(values)
	if n := len(values); n%2 == 1 {
		return values[n/2]
	} else if n > 0 {
		return (values[n/2-1] + values[n/2]) / 2
	}
	return 0
}

// server is a process that is measured.
type server struct {
	cmd   *exec.Cmd
	url   string
	ended chan struct{}
}

// start starts a server and waits until it answers.
func start(ctx context.Context, url string, environ []string, name string, args ...string) (*server, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), environ...)
	cmd.Stdout, cmd.Stderr = io.Discard, nil
	log, err := os.OpenFile(filepath.Join(os.TempDir(), "bench-access.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	cmd.Stderr = log
	defer log.Close() //nolint:errcheck // the server has it
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := watch(cmd, url)
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		select {
		case <-s.ended:
			return nil, fmt.Errorf("%s ended at once: see %s", name, log.Name())
		default:
		}
		if answers(ctx, url+"/") {
			return s, nil
		}
	}
	s.stop()
	return nil, fmt.Errorf("%s does not answer at %s", name, url)
}

// watch waits for the end of a process that was started.
func watch(cmd *exec.Cmd, url string) *server {
	s := &server{cmd: cmd, url: url, ended: make(chan struct{})}
	go func() {
		defer close(s.ended)
		_ = cmd.Wait() // it is killed
	}()
	return s
}

// stop has the server end, and the watchdog end its process.
func (s *server) stop() {
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-s.ended:
	case <-time.After(3 * time.Second):
		_ = s.cmd.Process.Kill() // it may have ended
		<-s.ended
	}
}
