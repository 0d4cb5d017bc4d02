package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	large  = 1 << 20
	fwPort = "9203"

	// The places of what startAll starts.
	upstreamAt, standardAt, oursAt, tunnelAt, otherAt = 0, 1, 2, 3, 4
)

func answers(ctx context.Context, address string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return false
	}
	_ = answer.Body.Close() // only the status is wanted
	return answer.StatusCode == http.StatusOK
}

// startWatchdog starts the watchdog before address, or in a forking mode where that is "".
func startWatchdog(ctx context.Context, o options, address string, more ...string) (*server, error) {
	environ := append([]string{"port=" + fwPort, "metrics_port=9204"}, more...)
	return startOne(ctx, o.watchdog, fwPort, address, environ)
}

func startOne(ctx context.Context, binary, port, address string, environ []string) (*server, error) {
	environ = append([]string{"suppress_lock=true", "healthcheck_interval=0", "exec_timeout=60s", "read_timeout=60s", "write_timeout=60s"}, environ...)
	if address != "" {
		environ = append(environ, "mode=http", "fprocess=sleep 600", "upstream_url="+address)
	}
	return start(ctx, "http://127.0.0.1:"+port, environ, binary)
}

// startAll starts the upstream, the standard proxy, the watchdog, the tunnel, and the other watchdog if there is one.
func startAll(ctx context.Context, o options) (all []*server, stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	stop = func() {
		for _, s := range all {
			s.stop()
		}
	}
	begins := []func() (*server, error){
		func() (*server, error) {
			return start(ctx, "http://127.0.0.1:9201", nil, self, "serve", "upstream", "127.0.0.1:9201")
		},
		func() (*server, error) {
			return start(ctx, "http://127.0.0.1:9202", nil, self, "serve", "proxy", "127.0.0.1:9202")
		},
		func() (*server, error) { return startWatchdog(ctx, o, "http://127.0.0.1:9201") },
		func() (*server, error) {
			return start(ctx, "http://127.0.0.1:9206", nil, self, "serve", "tunnel", "127.0.0.1:9206")
		},
	}
	if o.against != "" {
		begins = append(begins, func() (*server, error) {
			return startOne(ctx, o.against, "9207", "http://127.0.0.1:9201", []string{"port=9207", "metrics_port=9208"})
		})
	}
	for _, begin := range begins {
		s, err := begin()
		if err != nil {
			stop()
			return nil, nil, err
		}
		all = append(all, s)
	}
	return all, stop, nil
}

// load is one measurement by wrk, and the processors' seconds that the server took for each request.
type load struct{ rps, p99, cost float64 }

// measureHTTP measures small requests and bodies of 1 MiB.
func measureHTTP(ctx context.Context, o options, dir string) error {
	all, stop, err := startAll(ctx, o)
	if err != nil {
		return err
	}
	defer stop()
	upload := filepath.Join(dir, "up.lua")
	script := fmt.Sprintf("wrk.method = \"POST\"\nwrk.body = string.rep(\"x\", %d)\n", large)
	if err := os.WriteFile(upload, []byte(script), 0o600); err != nil {
		return err
	}
	// A request that is not plain: what the watchdog's own reading of requests gains is the difference.
	odd := filepath.Join(dir, "odd.lua")
	if err := os.WriteFile(odd, []byte("wrk.headers[\"TE\"] = \"trailers\"\n"), 0o600); err != nil {
		return err
	}
	for _, c := range []struct{ name, path, script string }{
		{"GET, 12 bytes", "/", ""}, {"GET, 12 bytes, read by net/http", "/", odd}, {"GET, 1 MiB down", "/down", ""}, {"POST, 1 MiB up", "/up", upload}, {"POST, 1 MiB both ways", "/both", upload},
	} {
		if err := compare(ctx, o, c.name, c.path, c.script, all); err != nil {
			return err
		}
		if c.path == "/" && c.script == "" {
			fmt.Printf("  memory under that load: %s\n", residents(all[oursAt]))
		}
	}
	return nil
}

// compare measures all in turns and prints the medians of their ratios.
func compare(ctx context.Context, o options, name, path, script string, all []*server) error {
	var direct, std, ours, rel, p99, against, cost, tunnel, other, otherCost []float64
	for range o.rounds {
		var round [otherAt + 1]load
		for i, s := range all {
			var err error
			round[i], err = measure(ctx, o, s, path, script)
			// ReverseProxy now and then cuts a connection off whose body goes both ways.
			for try := 0; err != nil && i == standardAt && try < 3; try++ {
				fmt.Printf("  once more, since ReverseProxy: %v\n", err)
				round[i], err = measure(ctx, o, s, path, script)
			}
			if err != nil {
				return err
			}
		}
		up, standard, dog := round[upstreamAt], round[standardAt], round[oursAt]
		direct = append(direct, up.rps)
		std = append(std, standard.rps/up.rps)
		ours = append(ours, dog.rps/up.rps)
		rel = append(rel, dog.rps/standard.rps)
		p99 = append(p99, dog.p99/up.p99)
		against = append(against, dog.p99/standard.p99)
		cost = append(cost, dog.cost/standard.cost)
		tunnel = append(tunnel, round[tunnelAt].rps/standard.rps)
		other = append(other, dog.rps/round[otherAt].rps)
		otherCost = append(otherCost, dog.cost/round[otherAt].cost)
	}
	fmt.Printf("%s: upstream %.0f/s; of that, ReverseProxy %.3f, fwatchdog %.3f; fwatchdog/ReverseProxy %.2f; p99: %.2f of the upstream's, %.2f of ReverseProxy's\n",
		name, median(direct), median(std), median(ours), median(rel), median(p99), median(against))
	fmt.Printf("  processors' time of fwatchdog %.2f of ReverseProxy's; rate of a tunnel without HTTP %.2f of ReverseProxy's\n", median(cost), median(tunnel))
	if o.against != "" {
		fmt.Printf("  of the other watchdog's: rate %.3f, processors' time for a request %.3f\n", median(other), median(otherCost))
	}
	return nil
}

func measure(ctx context.Context, o options, s *server, path, script string) (load, error) {
	before, err := processorTime(s.cmd.Process.Pid)
	if err != nil {
		return load{}, err
	}
	l, err := wrk(ctx, o.seconds, s.url+path, script)
	if err != nil {
		return load{}, err
	}
	after, err := processorTime(s.cmd.Process.Pid)
	l.cost = (after - before) / (l.rps * float64(o.seconds))
	return l, err
}

// wrk puts 16 connections on address.
func wrk(ctx context.Context, seconds int, address, script string) (load, error) {
	args := []string{"-t1", "-c16", "-d" + strconv.Itoa(seconds) + "s", "--latency"}
	if script != "" {
		args = append(args, "-s", script)
	}
	out, err := exec.CommandContext(ctx, "wrk", append(args, address)...).CombinedOutput()
	if err != nil {
		return load{}, fmt.Errorf("wrk: %w: %s", err, out)
	}
	if bytes.Contains(out, []byte("Non-2xx")) || bytes.Contains(out, []byte("Socket errors")) {
		return load{}, fmt.Errorf("wrk %s: requests failed: %s", address, out)
	}
	found := regexp.MustCompile(`(?sm)^\s+99%\s+(\S+)$.*Requests/sec:\s+([\d.]+)`).FindSubmatch(out)
	if found == nil {
		return load{}, fmt.Errorf("wrk says %s", out)
	}
	p99, err := time.ParseDuration(string(found[1]))
	if err != nil {
		return load{}, err
	}
	rps, err := strconv.ParseFloat(string(found[2]), 64)
	return load{rps: rps, p99: p99.Seconds()}, err
}

// residents is the resident memory of a process, now and at most.
func residents(s *server) string {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(s.cmd.Process.Pid) + "/status")
	if err != nil {
		return err.Error()
	}
	var said []string
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "VmHWM") {
			said = append(said, strings.Join(strings.Fields(line), " "))
		}
	}
	return strings.Join(said, ", ")
}

// measureReady measures how long after the upstream listens the watchdog is healthy.
func measureReady(ctx context.Context, o options, _ string) error {
	var took []float64
	for range 2*o.rounds + 1 {
		d, err := readyOnce(ctx, o)
		if err != nil {
			return err
		}
		took = append(took, d.Seconds()*1000)
	}
	fmt.Printf("ready %.1f ms after the upstream listens (median; at most %.1f ms)\n", median(took), took[len(took)-1])
	return nil
}

func readyOnce(ctx context.Context, o options) (time.Duration, error) {
	const upstream = "127.0.0.1:9205"
	cmd := exec.CommandContext(ctx, o.watchdog)
	cmd.Env = append(os.Environ(), "port="+fwPort, "metrics_port=0", "suppress_lock=true", "mode=http", "fprocess=sleep 600", "healthcheck_interval=0", "upstream_url=http://"+upstream)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer watch(cmd, "").stop()
	health := "http://127.0.0.1:" + fwPort + "/_/health"
	time.Sleep(300 * time.Millisecond)
	if answers(ctx, health) {
		return 0, fmt.Errorf("healthy before the upstream listens")
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", upstream)
	if err != nil {
		return 0, err
	}
	defer l.Close() //nolint:errcheck // it is over
	for begun := time.Now(); time.Since(begun) < time.Second; {
		if answers(ctx, health) {
			return time.Since(begun), nil
		}
	}
	return 0, fmt.Errorf("not healthy a second after the upstream listens")
}

// measureMemory streams 1 GiB each way.
func measureMemory(ctx context.Context, o options, _ string) error {
	all, stop, err := startAll(ctx, o)
	if err != nil {
		return err
	}
	defer stop()
	fmt.Printf("memory at rest: %s\n", residents(all[2]))
	for _, c := range []struct {
		name, method, path string
		body               io.Reader
	}{
		{"1 GiB down in chunks", http.MethodGet, "/gib", nil}, {"1 GiB up", http.MethodPost, "/up", io.LimitReader(zeros{}, 1<<30)},
	} {
		r, err := http.NewRequestWithContext(ctx, c.method, all[2].url+c.path, c.body)
		if err != nil {
			return err
		}
		begun := time.Now()
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return err
		}
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err
		}
		if err := answer.Body.Close(); err != nil {
			return err
		}
		fmt.Printf("%s in %.1f s: %s\n", c.name, time.Since(begun).Seconds(), residents(all[2]))
	}
	return nil
}

// zeros is an endless body.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
