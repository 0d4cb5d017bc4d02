package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"fnb/internal/streams"
)

func TestTunnel(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	out, names := "127.0.0.1:"+freePort(t), "127.0.0.1:"+freePort(t)
	cmd := exec.Command(tested.path, "tunnel", "--names", names, "db="+out)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 8)
	mux := streams.New(streams.Options{
		First: true, Out: in, Most: 8, Said: func(text string) { said <- text },
		Opened: func(s *streams.Stream, where string) {
			s.Accept()
			b, _ := io.ReadAll(s) // the answer is compared
			_, _ = fmt.Fprintf(s, "way %s: %s", where, b)
			_ = s.Close()
		},
	})
	cmd.Stdout = mux
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer mux.End(nil)
	if got := <-said; got != "ready" {
		t.Fatal(got)
	}
	conn, err := mux.Open(t.Context(), d.address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, "GET /slow/100 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if answer, err := io.ReadAll(conn); !strings.HasPrefix(string(answer), "HTTP/1.1 200") || err != nil {
		t.Errorf("%q %v", answer, err)
	}
	_ = conn.Close()
	if _, err := mux.Open(t.Context(), "127.0.0.1:"+freePort(t)); !errors.Is(err, streams.Refused) {
		t.Error(err)
	}
	client, err := net.Dial("tcp", out)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.WriteString(client, "hello") // the answer says whether it came
	_ = client.(*net.TCPConn).CloseWrite() // the same
	if answer, err := io.ReadAll(client); string(answer) != "way 0: hello" || err != nil {
		t.Errorf("%q %v", answer, err)
	}
	_ = client.Close()
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, names)
	}}
	if got, err := resolver.LookupHost(t.Context(), "db."); !slices.Equal(got, []string{"127.0.0.1"}) || err != nil {
		t.Errorf("%q %v", got, err)
	}
	var none *net.DNSError
	if _, err := resolver.LookupHost(t.Context(), "api.example.com."); !errors.As(err, &none) || !none.IsNotFound {
		t.Error(err)
	}
	if got := <-said; got != "asked api.example.com" {
		t.Error(got)
	}
	if err := in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	// What fails is said, and is no failure of the process.
	for _, args := range [][]string{{"nonsense"}, {"x=nonsense"}, {"x=" + d.address}, {"--names", d.address}} {
		cmd := exec.Command(tested.path, append([]string{"tunnel"}, args...)...)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		said := make(chan string, 1)
		mux := streams.New(streams.Options{First: true, Out: in, Said: func(text string) { said <- text }})
		cmd.Stdout = mux
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		if got := <-said; !strings.HasPrefix(got, "failed ") {
			t.Errorf("%q: %q", args, got)
		}
		_ = in.Close() // which ends it
		if err := cmd.Wait(); err != nil {
			t.Errorf("%q: %v", args, err)
		}
		mux.End(nil)
	}
}

func TestHold(t *testing.T) {
	ours(t)
	address := "127.0.0.1:" + freePort(t)
	cmd := exec.Command(tested.path, "hold", address, "sh", "-c", "echo $0 $GREETING", "it")
	cmd.Env = append(cmd.Environ(), "GREETING=hello")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := io.ReadFull(stdout, first); first[0] != 0 || err != nil {
		t.Errorf("%q %v", first, err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if rest, err := io.ReadAll(stdout); string(rest) != "it hello\n" || err != nil {
		t.Errorf("%q %v", rest, err)
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	for _, args := range [][]string{{"hold"}, {"hold", address}, {"hold", address, "/no/such"}} {
		if code, _, errs := once(t, args, nil); code != 1 || !strings.Contains(errs, "fwatchdog: ") {
			t.Errorf("%q: exit %d, %q", args, code, errs)
		}
	}
}

func TestExec(t *testing.T) {
	ours(t)
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"sh", "-c", "echo one; echo two >&2; exit 3"}, "one\ntwo\n\n3\n"},
		{[]string{"true"}, "\n0\n"},
		{[]string{"sh", "-c", "kill -KILL $$"}, "\n137\n"},
		{[]string{"/no/such"}, "exec: \"/no/such\": stat /no/such: no such file or directory\n\n127\n"},
	} {
		if code, out, errs := once(t, append([]string{"exec"}, tt.args...), nil); code != 0 || out != tt.want || errs != "" {
			t.Errorf("%q: exit %d, %q, %q", tt.args, code, out, errs)
		}
	}
	if code, _, errs := once(t, []string{"exec"}, nil); code != 1 || !strings.Contains(errs, "exec: takes a command") {
		t.Errorf("exit %d, %q", code, errs)
	}
}

func TestLongLine(t *testing.T) {
	ours(t)
	if code, out, errs := once(t, []string{"longline", "70000", "echo", "hi"}, nil); code != 0 || out != "hi\n" || len(errs) != 70000 {
		t.Errorf("exit %d, %q, %d bytes", code, out, len(errs))
	}
	for _, args := range [][]string{{"longline"}, {"longline", "5"}, {"longline", "x", "echo"}, {"longline", "0", "echo"}, {"longline", "5", "/no/such"}} {
		if code, _, _ := once(t, args, nil); code != 1 {
			t.Errorf("%q: exit %d", args, code)
		}
	}
}

// A tunnel that takes what is not a frame says so to fnb, whose requests would wait for it.
func TestTunnelBreaks(t *testing.T) {
	ours(t)
	cmd := exec.Command(tested.path, "tunnel")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan string, 8)
	mux := streams.New(streams.Options{First: true, Out: io.Discard, Said: func(text string) { ready <- text }})
	cmd.Stdout = mux
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-ready
	if _, err := in.Write(streams.NoFrame()); err != nil {
		t.Fatal(err)
	}
	<-mux.Done()
	if err := mux.Err(); err == nil || !strings.Contains(err.Error(), "not a frame") {
		t.Error(err)
	}
	_ = in.Close() // which ends it
	_ = cmd.Wait() // what it wrote last was refused
}
