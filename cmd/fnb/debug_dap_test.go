package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"testing"
	"time"

	"fnb/internal/fixture"
)

// A dapClient speaks the Debug Adapter Protocol, as an editor does.
type dapClient struct {
	conn net.Conn
	in   *bufio.Reader
	seq  int
}

// A dapMessage is a response or an event.
type dapMessage struct {
	Type    string          `json:"type"`
	Event   string          `json:"event"`
	Command string          `json:"command"`
	Success bool            `json:"success"`
	Message string          `json:"message"`
	Body    json.RawMessage `json:"body"`
}

func (c *dapClient) send(command string, arguments any) error {
	c.seq++
	raw, err := json.Marshal(map[string]any{"seq": c.seq, "type": "request", "command": command, "arguments": arguments})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.conn, "Content-Length: %d\r\n\r\n%s", len(raw), raw)
	return err
}

func (c *dapClient) read() (m dapMessage, err error) {
	head, err := textproto.NewReader(c.in).ReadMIMEHeader()
	if err != nil {
		return m, err
	}
	n, err := strconv.Atoi(head.Get("Content-Length"))
	if err != nil {
		return m, err
	}
	raw := make([]byte, n)
	if _, err := io.ReadFull(c.in, raw); err != nil {
		return m, err
	}
	return m, json.Unmarshal(raw, &m)
}

// await reads until a response to a command, or an event, comes.
func (c *dapClient) await(name string) (json.RawMessage, error) {
	for {
		m, err := c.read()
		switch {
		case err != nil:
			return nil, fmt.Errorf("waiting for %s: %w", name, err)
		case m.Type == "response" && !m.Success:
			return nil, fmt.Errorf("%s: %s %s", m.Command, m.Message, m.Body)
		case m.Type == "event" && m.Event == name, m.Type == "response" && m.Command == name:
			return m.Body, nil
		}
	}
}

// dapSession attaches to a debugger of an adapter that speaks the protocol.
func dapSession(t *testing.T, d debugged) session {
	t.Helper()
	var c *dapClient
	fixture.Eventually(t, time.Minute, "debugpy has seen that the client before has gone", func() bool {
		var err error
		if c, err = attachDAP(t, d); err != nil && !strings.Contains(err.Error(), "is already being debugged") {
			t.Fatalf("%s: %v", d.Function, err)
		}
		return err == nil
	})
	return c
}

func attachDAP(t *testing.T, d debugged) (*dapClient, error) {
	t.Helper()
	c := &dapClient{conn: dialDebugger(t, d.Debugger.Address)}
	c.in = bufio.NewReader(c.conn)
	steps := []func() error{
		func() error {
			return c.send("initialize", map[string]any{"adapterID": d.Debugger.Adapter, "linesStartAt1": true, "columnsStartAt1": true, "pathFormat": "path"})
		},
		func() error { _, err := c.await("initialize"); return err },
		func() error { return c.send("attach", map[string]any{"mode": "remote", "request": "attach"}) },
		func() error { _, err := c.await("initialized"); return err },
		func() error {
			return c.send("setBreakpoints", map[string]any{
				"source":      map[string]any{"path": d.Debugger.Folder + "/" + d.file},
				"breakpoints": []any{map[string]any{"line": d.line}},
			})
		},
		func() error {
			body, err := c.await("setBreakpoints")
			var got struct{ Breakpoints []struct{ Verified bool } }
			if err == nil {
				err = json.Unmarshal(body, &got)
			}
			if err == nil && (len(got.Breakpoints) != 1 || !got.Breakpoints[0].Verified) {
				err = fmt.Errorf("the breakpoint: %s", body)
			}
			return err
		},
		func() error { return c.send("configurationDone", map[string]any{}) },
		func() error { _, err := c.await("configurationDone"); return err },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			_ = c.conn.Close() // it is of no use
			return nil, fmt.Errorf("step %d: %w", i, err)
		}
	}
	return c, nil
}

// stopped waits until the function stands, and returns the line where it does.
func (c *dapClient) stopped() (int, error) {
	body, err := c.await("stopped")
	if err != nil {
		return 0, err
	}
	var at struct {
		Thread int `json:"threadId"`
	}
	if err := json.Unmarshal(body, &at); err != nil {
		return 0, err
	}
	if err := c.send("stackTrace", map[string]any{"threadId": at.Thread, "levels": 1}); err != nil {
		return 0, err
	}
	if body, err = c.await("stackTrace"); err != nil {
		return 0, err
	}
	var stack struct {
		Frames []struct{ Line int } `json:"stackFrames"`
	}
	if err := json.Unmarshal(body, &stack); err != nil || len(stack.Frames) == 0 {
		return 0, fmt.Errorf("%s: %w", body, err)
	}
	return stack.Frames[0].Line, nil
}

// leave goes away without a word, as an editor that is killed does.
func (c *dapClient) leave() error { return c.conn.Close() }

// ended waits until the other side ends the connection.
func (c *dapClient) ended() error {
	for {
		if _, err := c.read(); err != nil {
			return err
		}
	}
}

// dialDebugger connects to a debugger's local port. What is asked there is answered in time.
func dialDebugger(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}
