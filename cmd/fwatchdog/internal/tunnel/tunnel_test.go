package tunnel

import (
	"bytes"
	"io"
	"net"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		ask := make([]byte, 3)
		_, _ = io.ReadFull(c, ask) // what it is, the test sees
		heard <- string(ask)
		_, _ = io.WriteString(c, "answer") // the test sees it
		_ = c.Close()                      // which ends the tunnel
	}()
	in, ask := io.Pipe()
	go func() { _, _ = io.WriteString(ask, "ask") }() // the test sees it
	var out, errs bytes.Buffer
	if code := Run(t.Context(), []string{l.Addr().String()}, in, &out, &errs); code != 0 {
		t.Errorf("exit %d", code)
	}
	if got := <-heard; got != "ask" || out.String() != "\x00answer" || errs.Len() > 0 {
		t.Errorf("the other end heard %q and answered %q; errors: %q", got, out.String(), errs.String())
	}
}

func TestRunSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{nil, {"nonsense"}, {"a", "b"}} {
		var errs bytes.Buffer
		code := Run(t.Context(), args, strings.NewReader(""), io.Discard, &errs)
		if code != 0 || !strings.HasPrefix(errs.String(), "fwatchdog: tunnel: ") {
			t.Errorf("%q: exit %d, %q", args, code, errs.String())
		}
	}
}
