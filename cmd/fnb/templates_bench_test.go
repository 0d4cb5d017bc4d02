package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"fnb/internal/servers"
	"fnb/schema/words"
)

const (
	templateRounds  = 3
	templateSeconds = 2
)

// A contestant is a server in the container of a template's image: the template's
// own, or another one in its place.
type contestant struct {
	template, name string
	root           string
	img            v1.Image
	env, cmd       []string // in place of the image's; nil is the image's

	rps, p99, start, memory []float64
}

// BenchmarkTemplates measures the starter of each official template behind the watchdog,
// the language's own server without one, and servers as OpenFaaS's templates have them
// behind fnb's watchdog, all in turns. With -update it writes docs/benchmarks.md.
func BenchmarkTemplates(b *testing.B) {
	r, err := shared()
	servers.Require(b, "buildkit", err)
	_, err = exec.LookPath("wrk")
	servers.Require(b, "wrk", err)
	u := newBenchUser(b, r)
	script := filepath.Join(b.TempDir(), "post.lua")
	if err := os.WriteFile(script, []byte("wrk.method = \"POST\"\nwrk.body = \"hello, world\"\nwrk.headers[\"Content-Type\"] = \"text/plain\"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	var all []*contestant
	sizes, changes := map[string]float64{}, map[string]float64{}
	for _, name := range benchNames(b) {
		img, err := u.image(r, name)
		if err != nil {
			b.Errorf("%s: %v", name, err)
			continue
		}
		sizes[name] = aboveBase(b, r, img)
		root := filepath.Join(b.TempDir(), name)
		if err := servers.Unpack(b.Context(), img, root); err != nil {
			b.Fatal(err)
		}
		all = append(all, &contestant{template: name, name: "fnb", root: root, img: img})
		all = append(all, rivals(b, name, root, img)...)
		changes[name] = u.oneLine(name)
	}
	for b.Loop() {
		for round := range templateRounds {
			for _, c := range all {
				if err := c.turn(b.Context(), script); err != nil {
					b.Logf("%s, %s: %v", c.template, c.name, err)
				}
			}
			table := templateTable(all, sizes, changes)
			b.Log("\n" + table)
			if *update { // after each round, so that a run that is ended has something to show
				writeBenchmarks(b, "templates", fmt.Sprintf(", medians of %d turns", round+1), table)
			}
		}
	}
}

func benchNames(b *testing.B) []string {
	b.Helper()
	only := os.Getenv("FNB_BENCH_TEMPLATES")
	var names []string
	for _, name := range officialNames(b) {
		if name != "command" && name != "dockerfile" && (only == "" || slices.Contains(strings.Split(only, ","), name)) {
			names = append(names, name)
		}
	}
	return names
}

// turn runs the server once: from its start to its first answer, then at rest, then
// under load.
func (c *contestant) turn(ctx context.Context, script string) error {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	defer cancel()
	began := time.Now()
	box, err := servers.Run(ctx, c.img, servers.ContainerOptions{Root: c.root, Env: append(c.env, "healthcheck_interval=1ms"), Cmd: c.cmd})
	if err != nil {
		return err
	}
	defer func() { _ = box.Close() }()
	if err := answered200(ctx, box); err != nil {
		return fmt.Errorf("%w\n%s", err, box.Log())
	}
	start := time.Since(began)
	time.Sleep(time.Second)
	memory := residentOf(box)
	if _, _, err := load(ctx, box, script, 1); err != nil { // to be warm
		return err
	}
	rps, p99, err := load(ctx, box, script, templateSeconds)
	if err != nil {
		return fmt.Errorf("%w\n%s", err, box.Log())
	}
	c.rps, c.p99 = append(c.rps, rps), append(c.p99, p99)
	c.start, c.memory = append(c.start, start.Seconds()*1e3), append(c.memory, memory)
	return nil
}

func answered200(ctx context.Context, box *servers.Container) error {
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, box.URL+"/", strings.NewReader("hello, world"))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "text/plain")
		res, err := box.Client().Do(req)
		if err == nil {
			body, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			if res.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("hello, world")) {
				return fmt.Errorf("the answer is %s %q", res.Status, body)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-box.Done():
			return fmt.Errorf("it ended: %w", err)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// process is the first process of a container, by its number outside.
func process(box *servers.Container) string { return strings.Split(box.Root(), "/")[2] }

var wrkSays = regexp.MustCompile(`(?sm)^\s+99%\s+(\S+)$.*Requests/sec:\s+([\d.]+)`)

// load has wrk post 12 bytes on 16 connections, in the container's network.
func load(ctx context.Context, box *servers.Container, script string, seconds int) (rps, p99 float64, err error) {
	out, err := exec.CommandContext(ctx, "nsenter", "--net=/proc/"+process(box)+"/ns/net",
		"wrk", "-t1", "-c16", "-d"+strconv.Itoa(seconds)+"s", "--latency", "-s", script, "http://127.0.0.1:8080/").CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("wrk: %w: %s", err, out)
	}
	found := wrkSays.FindSubmatch(out)
	if found == nil || bytes.Contains(out, []byte("Non-2xx")) || bytes.Contains(out, []byte("Socket errors")) {
		return 0, 0, fmt.Errorf("wrk says %s", out)
	}
	late, err := time.ParseDuration(string(found[1]))
	if err != nil {
		return 0, 0, err
	}
	rps, err = strconv.ParseFloat(string(found[2]), 64)
	return rps, late.Seconds() * 1e3, err
}

// residentOf is the memory of all processes of a container in MB, where what several
// share counts once.
func residentOf(box *servers.Container) float64 {
	own, err := os.Readlink("/proc/" + process(box) + "/ns/pid")
	if err != nil {
		return 0
	}
	all, _ := filepath.Glob("/proc/[0-9]*/ns/pid")
	var sum float64
	for _, link := range all {
		if ns, err := os.Readlink(link); err != nil || ns != own {
			continue // it may have ended
		}
		raw, _ := os.ReadFile(strings.TrimSuffix(link, "ns/pid") + "smaps_rollup")
		for line := range strings.Lines(string(raw)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "Pss:" {
				kb, _ := strconv.ParseFloat(f[1], 64)
				sum += kb / 1024
			}
		}
	}
	return sum
}

// aboveBase is what the image's layers have above those of its base, in MB, compressed.
func aboveBase(b *testing.B, r *rig, img v1.Image) float64 {
	b.Helper()
	config, err := img.ConfigFile()
	if err != nil {
		b.Fatal(err)
	}
	name, digest := config.Config.Labels[words.LabelBaseName], config.Config.Labels[words.LabelBaseDigest]
	below := map[v1.Hash]bool{}
	if host, rest, ok := strings.Cut(name, "/"); ok && digest != "" {
		repository, _, _ := strings.Cut(rest, ":")
		if mirror := r.mirrors[host]; mirror != "" {
			host = mirror
		}
		base, err := pullImage(host+"/"+repository+"@"+digest, "linux/"+runtime.GOARCH)
		if err != nil {
			b.Fatal(err)
		}
		layers, err := base.Manifest()
		if err != nil {
			b.Fatal(err)
		}
		for _, l := range layers.Layers {
			below[l.Digest] = true
		}
	}
	m, err := img.Manifest()
	if err != nil {
		b.Fatal(err)
	}
	var sum float64
	for _, l := range m.Layers {
		if !below[l.Digest] {
			sum += float64(l.Size) / (1 << 20)
		}
	}
	return sum
}
