package debugger

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// A house is a container whose debugger is a server of this machine, which says its name and
// then what it hears.
type house struct {
	server net.Listener
	gone   chan struct{}
}

func (h *house) DialPort(ctx context.Context, port int) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", port))
}

func (h *house) Gone() <-chan struct{} { return h.gone }

func newHouse(t *testing.T, name string) Target {
	t.Helper()
	l := listen(t)
	t.Cleanup(func() { _ = l.Close() })
	h := &house{server: l, gone: make(chan struct{})}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				fmt.Fprintln(conn, name)
				_, _ = io.Copy(conn, conn) // until one side ends
			}()
		}
	}()
	return Target{Container: h, Port: l.Addr().(*net.TCPAddr).Port}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A guest is a client, which does not wait for ever.
type guest struct {
	net.Conn
	in *bufio.Reader
}

func visitor(t *testing.T, p *Port) *guest {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", p.Address().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return &guest{conn, bufio.NewReader(conn)}
}

func (g *guest) hears(t *testing.T, want string) {
	t.Helper()
	if line, err := g.in.ReadString('\n'); err != nil || line != want+"\n" {
		t.Fatalf("%q %v, want %q", line, err, want)
	}
}

func (g *guest) isSentAway(t *testing.T) {
	t.Helper()
	if rest, err := io.ReadAll(g.in); len(rest) > 0 || isTimeout(err) {
		t.Fatalf("%q %v", rest, err)
	}
}

func isTimeout(err error) bool {
	e, ok := err.(net.Error) //nolint:errorlint // it is the connection's own
	return ok && e.Timeout()
}

// TestLead: a client that comes early waits, and is sent away when the port leads elsewhere.
func TestLead(t *testing.T) {
	t.Parallel()
	p := Open(listen(t))
	defer p.Close()
	early := visitor(t, p)
	p.Lead(newHouse(t, "first"))
	early.hears(t, "first")
	if _, err := io.WriteString(early, "hello\n"); err != nil {
		t.Fatal(err)
	}
	early.hears(t, "hello")
	p.Lead(newHouse(t, "second"))
	early.isSentAway(t)
	late := visitor(t, p)
	late.hears(t, "second")
	p.Close()
	late.isSentAway(t)
}

// TestNobodyThere: a debugger that does not listen is waited for, until its container ends or
// another takes its place.
func TestNobodyThere(t *testing.T) {
	t.Parallel()
	p := Open(listen(t))
	defer p.Close()
	empty := newHouse(t, "nobody")
	h := empty.Container.(*house)
	_ = h.server.Close() // it is only a port that nobody has
	p.Lead(empty)
	waits := visitor(t, p)
	p.Lead(newHouse(t, "somebody"))
	waits.hears(t, "somebody")
	p.Lead(empty)
	last := visitor(t, p)
	close(h.gone)
	last.isSentAway(t)
}

// TestEnded: a debugger that listens no more after a client has left is said once, and sends
// away who comes then; one that listens again is reached.
func TestEnded(t *testing.T) {
	t.Parallel()
	p := Open(listen(t))
	defer p.Close()
	said := make(chan struct{}, 2)
	target := newHouse(t, "mortal")
	target.Ended = func() { said <- struct{}{} }
	h := target.Container.(*house)
	p.Lead(target)
	first := visitor(t, p)
	first.hears(t, "mortal")
	_ = h.server.Close()
	_ = first.Close()
	second := visitor(t, p)
	second.isSentAway(t)
	<-said
	visitor(t, p).isSentAway(t)
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", h.server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if conn, err := l.Accept(); err == nil {
			fmt.Fprintln(conn, "risen")
			_ = conn.Close()
		}
	}()
	visitor(t, p).hears(t, "risen")
	if len(said) > 0 {
		t.Error("it is said twice")
	}
}

// TestEndedBefore: a debugger that has ended before anybody came is not waited for, once its
// function runs.
func TestEndedBefore(t *testing.T) {
	t.Parallel()
	p := Open(listen(t))
	defer p.Close()
	said := make(chan struct{}, 1)
	target := newHouse(t, "nobody")
	target.Ended = func() { said <- struct{}{} }
	_ = target.Container.(*house).server.Close() // it is only a port that nobody has
	p.Lead(target)
	waits := visitor(t, p) // whether it comes before or after
	p.Listens()
	waits.isSentAway(t)
	<-said // which patience alone would not say
	visitor(t, p).isSentAway(t)
}

// TestManyVisitors: however many come, those that are let in are served, and all end with the
// port.
func TestManyVisitors(t *testing.T) {
	t.Parallel()
	p := Open(listen(t))
	p.Lead(newHouse(t, "host"))
	var all []*guest
	for range maxConns + 8 {
		all = append(all, visitor(t, p))
	}
	for _, g := range all[:maxConns] {
		g.hears(t, "host")
	}
	_ = all[0].Close() // makes room
	all[maxConns].hears(t, "host")
	p.Close()
	for _, g := range all[1:maxConns] {
		g.isSentAway(t)
	}
}
