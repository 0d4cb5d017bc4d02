package main

import (
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestTunnel(t *testing.T) {
	ours(t)
	d := launch(t, fn(t, "server")...).serving()
	cmd := exec.Command(tested.path, "tunnel", d.address)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("GET /slow/100 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	// The answer comes after 100 ms and ends the connection, but not the tunnel while more is written.
	for range 40 {
		if _, err := in.Write([]byte("more")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := cmd.Wait(); err != nil || !strings.HasPrefix(out.String(), "\x00HTTP/1.1 200") || !strings.Contains(out.String(), "slow") {
		t.Errorf("%v, %q", err, out.String())
	}
	// What fails is said, and is no failure of the process.
	for _, args := range [][]string{{"tunnel", freePort(t)}, {"tunnel"}, {"tunnel", "nonsense"}} {
		if code, _, errs := once(t, args, nil); code != 0 || !strings.Contains(errs, "fwatchdog: tunnel: ") {
			t.Errorf("%q: exit %d, %q", args, code, errs)
		}
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
