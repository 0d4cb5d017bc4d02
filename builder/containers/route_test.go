package containers_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"fnb/builder"
	"fnb/builder/buildertest"
	"fnb/builder/containers"
	"fnb/builder/watchdog"
	"fnb/internal/fixture"
	"fnb/internal/servers"
	"fnb/internal/streams"
	"fnb/schema"
)

// serving is a server on this machine that does something with each connection, and the way to it.
func serving(t *testing.T, name string, port int, do func(conn *net.TCPConn)) containers.Route {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer func() { _ = conn.Close() }() // the other end sees it
				do(conn.(*net.TCPConn))
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close() // nobody connects any more
		all.Wait()
	})
	return containers.Route{Name: name, Port: port, Open: func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", l.Addr().String())
	}}
}

// answering reads everything, and answers with how much it was.
func answering(conn *net.TCPConn) {
	n, err := io.Copy(io.Discard, conn)
	_, _ = fmt.Fprintf(conn, "%d %v", n, err) // the test compares it
}

// within runs a program of the tests in a container, with routes, until it ends, and returns its output.
func within(t *testing.T, c *builder.Client, req containers.Request, routes ...containers.Route) string {
	t.Helper()
	var out fixture.Buffer
	req.Routes, req.Stdout, req.Stderr = routes, &out, &out
	r := running(t, c, req)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := r.Wait(ctx); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	}
	return out.String()
}

// peer is an image with the program of testdata/peer, and a shell script.
func peer(t *testing.T, script string) containers.Request {
	t.Helper()
	path := filepath.Join(t.TempDir(), "peer")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, "./testdata/peer")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	req := shell(t, script)
	files := fstest.MapFS{
		"Dockerfile": {Data: []byte(buildertest.SmallBase(t) + "COPY peer f.sh /\nRUN mkdir -m 1777 /tmp\nUSER 1000\nCMD [\"sh\", \"/f.sh\"]\n"), Mode: 0o644},
		"f.sh":       {Data: []byte(script), Mode: 0o644},
		"peer":       {Data: []byte(fixture.Read(t, path)), Mode: 0o755},
	}
	req.Build.Context = files
	return req
}

func TestRouteOut(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	refused := containers.Route{Name: "nobody", Port: 80, Open: func(context.Context) (net.Conn, error) { return nil, streams.Refused }}
	var mu sync.Mutex
	var unreached []string
	req := peer(t, `
cat /etc/hosts /etc/resolv.conf
id -u; echo $$; echo $PATH
/peer ask db:5432 question
/peer ask DB:22 question
/peer ask api.example.com:443 question
/peer ask nobody:80 question
/peer ask resets:1 question
/peer ask db:1234 question
/peer look other.example.com
/peer look other.example.com
/peer look db
echo nameserver 127.0.0.1 2>/dev/null >/etc/resolv.conf || echo "it stays"
`)
	req.Unreached = func(u containers.Unreached) {
		mu.Lock()
		defer mu.Unlock()
		unreached = append(unreached, fmt.Sprint(u.Name, u.Port, u.Err))
	}
	got := within(t, c, req, serving(t, "db", 5432, answering), serving(t, "db", 22, answering), serving(t, "api.example.com", 443, answering), refused,
		serving(t, "resets", 1, func(conn *net.TCPConn) { _, _ = conn.Read(make([]byte, 1)); _ = conn.SetLinger(0) }))
	for _, want := range []string{
		"127.102.1.1\tdb\n", "127.102.1.2\tapi.example.com\n", "127.102.1.3\tnobody\n", "nameserver 127.102.0.53\n1000\n1\n/",
		"8 <nil>\n8 <nil>\n8 <nil>\nreset\nreset\nrefused\n[] true\n[] true\n[127.102.1.1] false\nit stays\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("%q is missing in\n%s", want, got)
		}
	}
	if !slices.Equal(slices.Compact(unreached), []string{"nobody80 connection refused", "other.example.com0 <nil>"}) {
		t.Errorf("unreached: %q", unreached)
	}
	if strings.HasPrefix(got, "\x00") {
		t.Error("the sign of life is in the log")
	}
}

// A function whose port leads out too listens at another one.
func TestRouteAtTheFunctionsPort(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	req := peer(t, `/peer ask gateway:8080 "$(cat)"; id -u`)
	w := buildertest.BuiltWatchdog(t)
	req.Build.Watchdog = w
	req.Build.Config = schema.ImageConfig{Entrypoint: []string{watchdog.Path}, Env: map[string]string{"fprocess": "sh /f.sh", "mode": "streaming"}}
	req.Routes = []containers.Route{serving(t, "gateway", 8080, answering), serving(t, "other", 8081, answering)}
	r := running(t, c, req)
	if err := r.Ready(t.Context(), 20*time.Second); err != nil {
		t.Fatalf("%v\n%s", err, strings.Join(r.Tail(), "\n"))
	}
	if r.Port() != 8082 { // and its metrics at 8083
		t.Errorf("it listens at %d", r.Port())
	}
	if got, err := ask(t.Context(), r, "question"); got != "8 <nil>\n1000\n" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	if code, err := r.Stop(t.Context(), 20*time.Second); code != 0 && code != containers.UnknownExitCode || err != nil {
		t.Errorf("stopped: %d %v", code, err)
	}
}

// dialing connects to a port of a container once something listens there.
func dialing(t *testing.T, r *containers.Container, port int) (conn net.Conn) {
	t.Helper()
	fixture.Eventually(t, 20*time.Second, "it listens", func() bool {
		var err error
		conn, err = r.DialPort(t.Context(), port)
		return err == nil
	})
	return conn
}

// What leads in reaches any port, and ends as it does.
func TestDialPort(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	r := running(t, c, peer(t, "exec /peer listen 7000\n"))
	conn := dialing(t, r, 7000)
	if _, err := io.WriteString(conn, "one\ntwo\n"); err != nil {
		t.Fatal(err)
	}
	if err := conn.(interface{ CloseWrite() error }).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != "got one\ntwo\n" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	_ = conn.Close()
	conn = dialing(t, r, 7000)
	if _, err := io.WriteString(conn, "reset\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("%q %v", got, err)
	}
	_ = conn.Close()
	if _, err := r.DialPort(t.Context(), 7001); !errors.Is(err, streams.Refused) {
		t.Errorf("a port where nobody listens: %v", err)
	}
	if n := r.Tunnels(); n > 0 {
		t.Errorf("%d connections are left", n)
	}
}

// 200 connections are open at once, each way, and one that nobody reads holds up none of them.
func TestManyConnections(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	stalled, release := make(chan struct{}), make(chan struct{})
	var held sync.WaitGroup
	held.Add(200)
	var out fixture.Buffer
	req := peer(t, "/peer listen 7000 &\n/peer flood stalled:1 4000000 &\n/peer many many:2 200\nwait %2\necho done\nwait\n")
	req.Routes = []containers.Route{
		serving(t, "stalled", 1, func(conn *net.TCPConn) { <-stalled; answering(conn) }),
		serving(t, "many", 2, func(conn *net.TCPConn) { held.Done(); <-release; answering(conn) }),
	}
	req.Stdout, req.Stderr = &out, &out
	r := running(t, c, req)
	held.Wait()
	var conns []net.Conn
	for range 200 {
		conn, err := r.DialPort(t.Context(), 7000)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }() // it is closed below
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		if _, err := io.WriteString(conn, "hi\n"); err != nil {
			t.Fatal(err)
		}
		if got, err := bufio.NewReader(conn).ReadString('\n'); got != "got hi\n" || err != nil {
			t.Errorf("%q %v", got, err)
		}
		_ = conn.Close()
	}
	close(release)
	fixture.Eventually(t, time.Minute, "all were answered", func() bool { return strings.Contains(out.String(), "200 1 <nil>\n") })
	close(stalled)
	fixture.Eventually(t, time.Minute, "the last one was answered", func() bool { return strings.Contains(out.String(), "4000000 <nil>\ndone\n") })
}

// Ways lead out of a plain buildkitd too, which is reached over TCP with certificates.
func TestRouteOutOfBuildkitd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certs, err := servers.MakeCerts(dir)
	if err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{certs.CA: "ca.pem", certs.ClientCert: "cert.pem", certs.ClientKey: "key.pem"} {
		if err := os.WriteFile(filepath.Join(dir, to), []byte(fixture.Read(t, from)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := servers.BuildkitdFor(t, servers.BuildkitdOptions{TCP: true, TLS: certs})
	c := buildertest.Connect(t, builder.Options{Address: d.Address, TLSDir: dir})
	got := within(t, c, peer(t, "/peer ask db:5432 question\n"), serving(t, "db", 5432, answering))
	if got != "8 <nil>\n" {
		t.Errorf("%q", got)
	}
}

// More connections than may lead out are refused, which is said once.
func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	said := make(chan containers.Unreached, 10)
	release := make(chan struct{})
	var out fixture.Buffer
	req := peer(t, fmt.Sprintf("ulimit -Hn\n/peer many many:2 %d &\n/peer many many:2 200\nwait\n", containers.MostOut-100))
	req.Routes = []containers.Route{serving(t, "many", 2, func(conn *net.TCPConn) { <-release; answering(conn) })}
	req.Stdout, req.Stderr, req.Unreached = &out, &out, func(what containers.Unreached) { said <- what }
	running(t, c, req)
	select {
	case what := <-said:
		if what.Name != "many" || what.Port != 2 || what.Err.Error() != "1024 connections lead out of the container already" {
			t.Errorf("%+v", what)
		}
	case <-time.After(2 * time.Minute):
		t.Errorf("nothing is said\n%s", out.String())
	}
	close(release)
	if len(said) > 0 {
		t.Errorf("it is said again: %+v", <-said)
	}
}

// A container whose tunnel breaks cannot be reached any more: it ends, and says why.
func TestTunnelBreaks(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	const each = `for p in /proc/[0-9]*; do read -r line <$p/cmdline; case "$line" in /.fnb/*tunnel*) %s;; esac; done; true`
	for name, do := range map[string]string{
		"ended":     "kill -TERM ${p#/proc/}",
		"disturbed": "echo what is no frame >$p/fd/1",
	} {
		r := running(t, c, shell(t, "exec sleep 600\n"))
		if _, err := r.DialPort(t.Context(), 1); !errors.Is(err, streams.Refused) {
			t.Fatalf("%s: %v", name, err)
		}
		if err := r.Process(nil, nil, "sh", "-c", fmt.Sprintf(each, do)); err != nil {
			t.Logf("%s: %v", name, err) // it may have ended with the container
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		_, err := r.Wait(ctx)
		cancel()
		if !errors.As(err, new(*containers.TunnelError)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRoutesRefused(t *testing.T) {
	t.Parallel()
	for _, routes := range [][]containers.Route{
		{{Name: "", Port: 1}},
		{{Name: "a b", Port: 1}},
		{{Name: "127.0.0.1", Port: 1}},
		{{Name: "LocalHost", Port: 1}},
		{{Name: "a", Port: 0}},
		{{Name: "a", Port: 65536}},
		{{Name: "a", Port: 1}, {Name: "A", Port: 1}},
		make([]containers.Route, 251),
	} {
		req := containers.Request{Image: "x@sha256:" + strings.Repeat("0", 64), Routes: routes}
		if _, err := containers.Run(t.Context(), &builder.Client{}, req); err == nil || !strings.Contains(err.Error(), "out") {
			t.Errorf("%+v: %v", routes, err)
		}
	}
}

// The end of a container brings its exit code, though the tunnel ends with it.
func TestRouteKeepsExitCode(t *testing.T) {
	t.Parallel()
	c := buildertest.Stock(t)
	for range 3 {
		req := shell(t, "exit 7\n")
		req.Routes = []containers.Route{serving(t, "db", 5432, answering)}
		r := running(t, c, req)
		if code, err := r.Wait(t.Context()); code != 7 && code != containers.UnknownExitCode || err != nil {
			t.Errorf("%d %v", code, err)
		}
	}
}
