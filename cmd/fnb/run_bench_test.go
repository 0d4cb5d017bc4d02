package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"fnb/internal/servers"
)

// A bench is a stack in a folder of its own, with the tests' builder.
type bench struct {
	*testing.B
	dir string
	fnb string
	env []string
}

func newBench(b *testing.B, lang string) *bench {
	b.Helper()
	r, err := shared()
	servers.Require(b, "buildkit", err)
	x := &bench{B: b, dir: b.TempDir(), fnb: filepath.Join(r.bin, "fnb")}
	x.env = append(os.Environ(), "HOME="+b.TempDir(), "FNB_CONFIG="+r.config, "FNB_BUILDER_ROOT="+r.builder, "FNB_PROGRESS=quiet")
	x.run("new", "hello", "--lang", lang, "--quiet")
	x.run("invoke", "hello", "-d", "hi")
	return x
}

func (x *bench) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(x.Context(), x.fnb, args...)
	cmd.Dir, cmd.Env = x.dir, x.env
	return cmd
}

func (x *bench) run(args ...string) {
	x.Helper()
	if out, err := x.command(args...).CombinedOutput(); err != nil {
		x.Fatalf("fnb %v: %v\n%s", args, err, out)
	}
}

func (x *bench) write(files map[string]string) {
	x.Helper()
	for name, text := range files {
		if err := os.MkdirAll(filepath.Join(x.dir, filepath.Dir(name)), 0o755); err != nil {
			x.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(x.dir, name), []byte(text), 0o600); err != nil {
			x.Fatal(err)
		}
	}
}

// serve starts fnb run and returns the first URL that it prints.
func (x *bench) serve(args ...string) string {
	x.Helper()
	out := serving(x.B, x.command(append([]string{"run", "--port", "0"}, args...)...))
	var name, url string
	if _, err := fmt.Fscanln(out, &name, &url); err != nil {
		x.Fatal(err)
	}
	return url
}

func (x *bench) post(url string) string {
	x.Helper()
	res, err := http.Post(url, "text/plain", strings.NewReader("hi"))
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return err.Error()
	}
	if res.StatusCode != http.StatusOK {
		return res.Status + " " + string(body)
	}
	return string(body)
}

// median measures do and reports the middle of it in milliseconds.
func (x *bench) median(do func()) {
	var times []float64
	for x.Loop() {
		began := time.Now()
		do()
		times = append(times, float64(time.Since(began).Microseconds())/1000)
	}
	slices.Sort(times)
	x.ReportMetric(times[len(times)/2], "median-ms")
	x.ReportMetric(times[len(times)*95/100], "p95-ms")
}

// BenchmarkInvoke is the whole of fnb invoke of a function that was built.
func BenchmarkInvoke(b *testing.B) {
	for _, lang := range []string{"command", "python3", "node", "go"} {
		b.Run(lang, func(b *testing.B) {
			x := newBench(b, lang)
			x.median(func() { x.run("invoke", "hello", "-d", "hi") })
		})
	}
}

// BenchmarkRunRequest is a request to fnb run.
func BenchmarkRunRequest(b *testing.B) {
	x := newBench(b, "go")
	url := x.serve("hello")
	x.post(url)
	x.median(func() { x.post(url) })
}

// BenchmarkRunGateway is a request through gateway and tunnel, in turn with one to a server
// of this process on the loopback interface: how much more the first takes is above-ms.
func BenchmarkRunGateway(b *testing.B) {
	x := newBench(b, "go")
	url := x.serve("hello", "--gateway=0") + "/function/hello"
	direct := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // a part is an answer too
		_, _ = w.Write(body)          // the same
	}))
	defer direct.Close()
	if got := x.post(url); !strings.HasPrefix(got, "Body: hi") {
		b.Fatal(url, got)
	}
	var through, beside []float64
	for x.Loop() {
		for range 20 {
			began := time.Now()
			x.post(direct.URL)
			between := time.Now()
			x.post(url)
			beside = append(beside, float64(between.Sub(began).Microseconds())/1000)
			through = append(through, float64(time.Since(between).Microseconds())/1000)
		}
	}
	slices.Sort(beside)
	slices.Sort(through)
	x.ReportMetric(through[len(through)/2], "median-ms")
	x.ReportMetric(beside[len(beside)/2], "direct-ms")
	x.ReportMetric(through[len(through)/2]-beside[len(beside)/2], "above-ms")
}

// BenchmarkReachQuery is a query of a function to a PostgreSQL elsewhere, in turn with the same query to one on
// its own loopback interface: how much more the first takes is above-ms. Elsewhere is this machine, by a
// reach, or a service, which is behind a tunnel of its own.
func BenchmarkReachQuery(b *testing.B) {
	b.Run("reach", func(b *testing.B) {
		x := newBench(b, "command")
		port := x.postgres()
		x.query(fmt.Sprintf("reach: [db=127.0.0.1:%d]", port), port)
	})
	b.Run("service", func(b *testing.B) { newBench(b, "command").query("services: [db]", 5432) })
}

// query measures queries of a function that finds a PostgreSQL as db.
func (x *bench) query(way string, port int) {
	x.write(map[string]string{
		"stack.yaml": `version: 1.0
functions:
  query: {lang: dockerfile, handler: ./query, image: query, fprocess: sh /query.sh, run: {` + way + `}}
services:
  db: {image: postgres:17, port: 5432, environment: {POSTGRES_PASSWORD: test}, timeout: 5m}
`,
		"query/Dockerfile": "FROM postgres:17\nCOPY query.sh /\nUSER 1000\nENTRYPOINT []\n",
		"query/query.sh": `export PGPASSWORD=test PGDATA=/tmp/data PATH=$PATH:/usr/lib/postgresql/17/bin
if ! [ -d $PGDATA ]; then
	initdb --username=postgres --auth=trust --no-sync >/dev/null
	pg_ctl start --wait --log=/tmp/log --options="-p 6543 -k /tmp" >/dev/null
fi
echo 'SELECT 1;' >/tmp/query
for at in "localhost -p 6543" "db -p ` + strconv.Itoa(port) + `"; do
	pgbench -n -U postgres -h $at -f /tmp/query -t 500 postgres | sed -n 's/^latency average = \(.*\) ms$/\1/p'
done
`,
	})
	url := x.serve("query")
	x.post(url)
	var direct, above []float64
	for x.Loop() {
		var near, far float64
		answer := x.post(url)
		if _, err := fmt.Sscan(answer, &near, &far); err != nil {
			x.Fatal(answer)
		}
		direct, above = append(direct, near), append(above, far-near)
	}
	slices.Sort(direct)
	slices.Sort(above)
	x.ReportMetric(direct[len(direct)/2], "direct-ms")
	x.ReportMetric(above[len(above)/2], "above-ms")
}

// postgres starts a PostgreSQL on this machine, of the image's files, and returns its port. It needs root.
func (x *bench) postgres() (port int) {
	x.write(map[string]string{
		"stack.yaml":    "version: 1.0\nfunctions:\n  pg: {lang: dockerfile, handler: ./pg, image: pg, watchdog: none}\n",
		"pg/Dockerfile": "FROM postgres:17\nRUN mkdir -m 0777 /pg\n",
	})
	x.run("build", "pg", "--output", "local=root")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		x.Fatal(err)
	}
	at, _ := l.Addr().(*net.TCPAddr) // it is one of TCP
	_ = l.Close()                    // the server takes its place
	start := fmt.Sprintf("PATH=$PATH:/usr/lib/postgresql/17/bin; initdb --username=postgres --auth=trust --no-sync /pg/data >/pg/log && exec postgres -D /pg/data -h 127.0.0.1 -p %d -k /pg", at.Port)
	cmd := exec.CommandContext(x.Context(), "unshare", "--mount", "sh", "-euc",
		`mount --rbind /dev "$1/dev" && exec chroot --userspec=1000:1000 "$1" /bin/sh -c "$2"`, "sh", filepath.Join(x.dir, "root"), start)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	if err := cmd.Start(); err != nil {
		x.Fatal(err)
	}
	x.Cleanup(func() { _ = cmd.Wait() }) // it was interrupted
	for end := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if conn, err := net.Dial("tcp", at.String()); err == nil {
			_ = conn.Close() // it was only tried
			return at.Port
		}
		if time.Now().After(end) {
			x.Fatal("PostgreSQL does not listen")
		}
	}
}

// BenchmarkLocalLife is from the save of a handler to the answer that it gives at the gateway,
// while two more functions and a database run.
func BenchmarkLocalLife(b *testing.B) {
	for _, lang := range []string{"python3", "node", "typescript", "go"} {
		b.Run(lang, func(b *testing.B) {
			x := newBench(b, lang)
			x.threeAndDatabase(lang)
			x.saveToServing(lang, x.serve("hello", "one", "two", "--watch", "--gateway=0")+"/function/hello")
		})
	}
}

// threeAndDatabase is a stack of the function hello, two more and a database.
func (x *bench) threeAndDatabase(lang string) {
	x.write(map[string]string{
		"stack.yaml": `version: 1.0
functions:
  hello: {lang: ` + lang + `, handler: ./hello, image: hello, run: {services: [db]}}
  one: {lang: dockerfile, handler: ./one, image: one, fprocess: cat, run: {services: [db]}}
  two: {lang: dockerfile, handler: ./one, image: two, fprocess: cat}
services:
  db: {image: postgres:17, port: 5432, environment: {POSTGRES_PASSWORD: test}, timeout: 5m}
`,
		"one/Dockerfile": "FROM debian:bookworm-slim\nUSER 1000\n",
	})
}

// BenchmarkRunEnds is from Ctrl-C to the end of fnb run, with three functions, a gateway and a database.
func BenchmarkRunEnds(b *testing.B) {
	x := newBench(b, "python3")
	x.threeAndDatabase("python3")
	var times []float64
	for x.Loop() {
		cmd := x.command("run", "hello", "one", "two", "--port", "0", "--gateway=0")
		out := serving(b, cmd)
		var name, url string
		if _, err := fmt.Fscanln(out, &name, &url); err != nil {
			b.Fatal(err)
		}
		if got := x.post(url + "/function/hello"); !strings.Contains(got, "hi") {
			b.Fatal(url, got)
		}
		began := time.Now()
		if err := cmd.Process.Signal(os.Interrupt); err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, out) // to its end
		_ = cmd.Wait()                  // 130
		times = append(times, float64(time.Since(began).Microseconds())/1000)
	}
	slices.Sort(times)
	b.ReportMetric(times[len(times)/2], "median-ms")
	b.ReportMetric(times[len(times)-1], "most-ms")
}

// BenchmarkRunMemory is how much memory fnb run has after 10,000 requests at 200 connections beside what it
// has after the first 2,000 of them, of which it has as many at once.
func BenchmarkRunMemory(b *testing.B) {
	x := newBench(b, "go")
	cmd := x.command("run", "hello", "--port", "0", "--gateway=0")
	out := serving(b, cmd)
	var name, url string
	if _, err := fmt.Fscanln(out, &name, &url); err != nil {
		b.Fatal(err)
	}
	url += "/function/hello"
	const connections = 200
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections, MaxConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	send := func(n int) {
		var all sync.WaitGroup
		for range connections {
			all.Go(func() {
				for range n / connections {
					res, err := client.Post(url, "text/plain", strings.NewReader("hi"))
					if err != nil {
						b.Error(err)
						return
					}
					_, _ = io.Copy(io.Discard, res.Body) // its status counts
					if res.Body.Close(); res.StatusCode != http.StatusOK {
						b.Error(res.Status)
					}
				}
			})
		}
		all.Wait()
	}
	for x.Loop() {
		send(2_000)
		before := resident(b, cmd.Process.Pid)
		send(10_000)
		after := resident(b, cmd.Process.Pid)
		b.ReportMetric(before, "before-MB")
		b.ReportMetric(after, "after-MB")
		b.ReportMetric(after/before, "ratio")
	}
}

// resident is how much memory a process has, in megabytes.
func resident(b *testing.B, pid int) float64 {
	b.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Fatal(err)
	}
	var kilobytes float64
	_, rest, _ := strings.Cut(string(data), "VmRSS:")
	if _, err := fmt.Sscan(rest, &kilobytes); err != nil {
		b.Fatal(err)
	}
	return kilobytes / 1000
}

// BenchmarkSaveToServing is from the save of a handler to the answer that it
// gives.
func BenchmarkSaveToServing(b *testing.B) {
	for _, lang := range []string{"python3", "node", "go"} {
		b.Run(lang, func(b *testing.B) {
			x := newBench(b, lang)
			x.saveToServing(lang, x.serve("hello", "--watch"))
		})
	}
}

// saveToServing measures from the save of hello's handler to what url answers then.
func (x *bench) saveToServing(lang, url string) {
	handler := map[string][2]string{
		"python3":    {"handler.py", "def handle(event, context):\n    return {\"statusCode\": 200, \"body\": \"%s\"}\n"},
		"node":       {"handler.js", "module.exports = async (event, context) => context.status(200).succeed(\"%s\")\n"},
		"typescript": {"handler.ts", "export default (request: Request) => new Response(\"%s\")\n"},
		"go":         {"handler.go", "package function\n\nimport (\n\t\"fmt\"\n\t\"net/http\"\n)\n\nfunc Handle(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, \"Body: hi, %s\") }\n"},
	}[lang]
	n := 0
	x.median(func() {
		n++
		token := fmt.Sprintf("token-%d-%d", time.Now().UnixNano(), n)
		x.write(map[string]string{"hello/" + handler[0]: fmt.Sprintf(handler[1], token)})
		for end := time.Now().Add(time.Minute); !strings.Contains(x.post(url), token); {
			if time.Now().After(end) {
				x.Fatal("the new handler does not serve")
			}
			time.Sleep(5 * time.Millisecond)
		}
	})
}
