package stepnet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"fnb/internal/servers"
)

// ownAddresses are those of this machine.
func ownAddresses(t testing.TB) []netip.Addr {
	t.Helper()
	all, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	var out []netip.Addr
	for _, a := range all {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			out = append(out, p.Addr())
		}
	}
	return out
}

// within runs do on a thread that is in the namespace.
func within(t testing.TB, n *namespace, do func()) {
	t.Helper()
	if err := onThread(func() error {
		fd, err := unix.Open(n.path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		if err := errors.Join(unix.Setns(fd, unix.CLONE_NEWNET), unix.Close(fd)); err != nil {
			return err
		}
		do()
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// dialWithin connects from the namespace, whose thread makes the socket.
func dialWithin(t testing.TB, n *namespace, network, address string) (c net.Conn, err error) {
	t.Helper()
	within(t, n, func() {
		c, err = (&net.Dialer{Timeout: 5 * time.Second, FallbackDelay: -1}).Dial(network, address) //nolint:noctx // it has a timeout
	})
	return c, err
}

func needsRoot(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		servers.Require(t, "buildkit", errors.New("a network namespace needs root here"))
	}
}

func fresh(t testing.TB, except ...string) *namespace {
	t.Helper()
	needsRoot(t)
	r, err := ParseReach(except)
	if err != nil {
		t.Fatal(err)
	}
	n, err := newNamespace(r, nameservers)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// echo serves on an address of this machine, and returns it.
func echo(t testing.TB, address string) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(struct{ io.Writer }{c}, c) // without the pipes that Go keeps
				_ = c.Close()
			}()
		}
	}()
	return l.Addr().String()
}

// Nothing that listens on this machine is reached, at whatever address; what is named
// is.
func TestMachineRefused(t *testing.T) {
	t.Parallel()
	four, all := echo(t, "127.0.0.1:0"), echo(t, "[::]:0")
	named := echo(t, "127.0.0.1:0")
	n := fresh(t, named)
	_, port, _ := net.SplitHostPort(all)
	targets := []string{four, "0.0.0.0:" + port, "[::1]:" + port, "127.0.0.2:" + port}
	for _, a := range ownAddresses(t) {
		if !a.IsLinkLocalUnicast() {
			targets = append(targets, netip.AddrPortFrom(a, netip.MustParseAddrPort("[::]:"+port).Port()).String())
		}
	}
	for _, to := range targets {
		if c, err := dialWithin(t, n, "tcp", to); !errors.Is(err, syscall.ECONNREFUSED) {
			if c != nil {
				_ = c.Close()
			}
			t.Errorf("%s: %v", to, err)
		}
	}
	c, err := dialWithin(t, n, "tcp", named)
	if err != nil {
		t.Fatal(err)
	}
	said(t, c, "hello")
}

// said sends a text to an echo, and wants it back with the end that follows.
func said(t *testing.T, c net.Conn, text string) {
	t.Helper()
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	go func() {
		_, _ = io.Copy(c, strings.NewReader(text))
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || string(got) != text {
		t.Errorf("%d of %d bytes, %v", len(got), len(text), err)
	}
}

// A step asks the machine's own nameservers, wherever those are, and has the answers
// that the machine has.
func TestNames(t *testing.T) {
	t.Parallel()
	n := fresh(t)
	for _, network := range []string{"udp", "tcp"} {
		lookup := func(dial func(address string) (net.Conn, error), address string) error {
			r := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return dial(address) }}
			_, err := r.LookupHost(t.Context(), "example.com")
			return err
		}
		there := lookup(func(a string) (net.Conn, error) { return net.Dial(network, a) }, nameservers()[0]) //nolint:noctx // the resolver waits for it
		here := lookup(func(a string) (net.Conn, error) { return dialWithin(t, n, network, a) }, net.JoinHostPort(Nameserver, "53"))
		if (there == nil) != (here == nil) {
			t.Errorf("%s: %v, on the machine %v", network, here, there)
		}
	}
}

// A nameserver on the machine's loopback is asked, as many names as a step needs, after
// one that does not answer; nothing else there is.
func TestManyNames(t *testing.T) {
	t.Parallel()
	needsRoot(t)
	server, err := new(net.ListenConfig).ListenPacket(t.Context(), "udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	go func() {
		buf := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = server.WriteTo(append([]byte("??wrong")[:2:2], "!"...), from) // not what was asked for
			_, _ = server.WriteTo(append(buf[:n:n], " answered"...), from)
		}
	}()
	n, err := newNamespace(Reach{}, func() []string { return []string{"127.0.0.1:1", server.LocalAddr().String()} })
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	again := 0
	for i := range 2 * maxFlows {
		for {
			c, err := dialWithin(t, n, "udp", net.JoinHostPort(Nameserver, "53"))
			if err != nil {
				t.Fatal(err)
			}
			got, err := exchanged(t, c, "question")
			if err == nil && got == "question answered" {
				break
			}
			// A resolver asks again: a datagram may be lost, and an answer comes late on a machine with much to do.
			if again++; !errors.Is(err, os.ErrDeadlineExceeded) || again > 5 {
				t.Fatalf("question %d: %q %v; %d were put again", i, got, err, again)
			}
		}
	}
	c, err := dialWithin(t, n, "udp", server.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	if got := exchange(t, c, "question"); got != "" {
		t.Errorf("the machine's loopback says %q", got)
	}
}

// exchange sends a datagram and returns the next; "" where there is nobody.
func exchange(t *testing.T, c net.Conn, text string) string {
	t.Helper()
	got, err := exchanged(t, c, text)
	if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
		t.Fatal(err)
	}
	return got
}

// exchanged is exchange, with why nothing came.
func exchanged(t *testing.T, c net.Conn, text string) (string, error) {
	t.Helper()
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 512)
	n, err := c.Read(buf)
	return string(buf[:n]), err
}

// Networks do not see one another, and what is closed leaves nothing behind.
func TestNamespacesEnd(t *testing.T) {
	n := fresh(t)
	var l net.Listener
	var err error
	within(t, n, func() { l, err = new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0") })
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := dialWithin(t, fresh(t), "tcp", l.Addr().String()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("another namespace: %v", err)
	}
	before, files := runtime.NumGoroutine(), openFiles(t)
	to := echo(t, net.JoinHostPort(outward(t), "0"))
	before++ // the echo
	files += 3
	for range 20 {
		more := fresh(t, "localhost:1", to)
		within(t, more, func() { // what is under way ends with it
			for range 20 {
				if fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0); err == nil {
					at := netip.MustParseAddrPort(to)
					_ = unix.Connect(fd, &unix.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())})
					_ = unix.Close(fd)
				}
			}
		})
		if err := more.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end) && runtime.NumGoroutine() > before; {
		time.Sleep(10 * time.Millisecond)
	}
	if after, now := runtime.NumGoroutine(), openFiles(t); after > before || now > files {
		buf := make([]byte, 1<<16)
		t.Errorf("goroutines: %d, then %d; files: %d, then %d\n%s", before, after, files, now, buf[:runtime.Stack(buf, true)])
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(d)
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		n, err := newNamespace(Reach{}, nameservers)
		if err != nil {
			b.Fatal(err)
		}
		if err := n.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// What goes through a step's network, against what goes to the same place without it.
func BenchmarkBytes(b *testing.B) {
	own := outward(b)
	to := echo(b, net.JoinHostPort(own, "0"))
	n := fresh(b, to)
	for name, dial := range map[string]func() (net.Conn, error){
		"step":    func() (net.Conn, error) { return dialWithin(b, n, "tcp", to) },
		"machine": func() (net.Conn, error) { return net.Dial("tcp", to) }, //nolint:noctx // it is there
	} {
		b.Run(name, func(b *testing.B) {
			c, err := dial()
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			const size = 64 << 20
			b.SetBytes(size)
			for b.Loop() {
				go func() { _, _ = io.CopyN(c, zeros{}, size) }()
				if n, err := io.CopyN(io.Discard, c, size); err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// outward is the address of this machine that others know.
func outward(t testing.TB) string {
	t.Helper()
	for _, a := range ownAddresses(t) {
		if a.Is4() && !a.IsLoopback() {
			return a.String()
		}
	}
	t.Fatal("this machine has no address but its loopback's")
	return ""
}
