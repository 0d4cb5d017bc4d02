package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"fnb/internal/fixture"
	"fnb/internal/servers"
)

// TestDebuggersThatWait has functions of bun and deno, which do not listen before a debugger is
// attached, stand at the statement for that by their debuggers' own protocols: WebKit's and V8's.
func TestDebuggersThatWait(t *testing.T) {
	t.Parallel()
	r, err := shared()
	servers.Require(t, "buildkit", err)
	for _, w := range []struct {
		lang, path string // of the socket; "" has the debugger say it
		begin      []string
	}{
		{"deno", "", []string{"Runtime.enable", "Debugger.enable", "Runtime.runIfWaitingForDebugger"}},
		{"bun", "/debug", []string{"Inspector.enable", "Debugger.enable", "Debugger.setPauseOnDebuggerStatements", "Debugger.setBreakpointsActive", "Inspector.initialized"}},
	} {
		t.Run(w.lang, func(t *testing.T) {
			t.Parallel()
			u := newUser(t, r)
			u.run("new", w.lang, "--lang", w.lang, "--quiet")
			u.write(w.lang+"/handler.ts", "export default (request: Request): Response => {\n  debugger\n  return new Response('one')\n}\n")
			port, err := servers.FreePorts(1)
			if err != nil {
				t.Fatal(err)
			}
			d := debugged{line: 2}
			d.Debugger.Address = "127.0.0.1:" + port
			out, _ := startDebugged(t, u, port)
			fixture.Eventually(t, 2*time.Minute, "the editor is told where the debugger is", func() bool {
				_, err := os.Stat(filepath.Join(u.dir, ".vscode", "launch.json"))
				return err == nil
			})
			c := &inspectorClient{ws: openInspector(t, d.Debugger.Address, w.path), maps: map[string]string{}}
			for _, method := range w.begin {
				if _, err := c.call(method, map[string]any{"enabled": true, "active": true}); err != nil {
					t.Fatalf("%s: %v", method, err)
				}
			}
			if err := json.NewDecoder(out).Decode(&d); err != nil {
				t.Fatal(err)
			}
			s := &waited{c, d.line}
			hit(t, d, s, "one", s.leave)
			if said := ask(t, d.URL); said != "one" {
				t.Errorf("when nobody is attached it answers %q", said)
			}
		})
	}
}

// A waited is a session of a function that waited for it.
type waited struct {
	*inspectorClient
	line int
}

func (s *waited) stopped() (int, error) {
	_, err := s.await("Debugger.paused")
	return s.line, err
}

func (s *waited) leave() error { return s.ws.Close() }

func (s *waited) ended() error {
	_, err := s.await("never")
	return err
}

// openInspector connects to an inspector, at a path or where it says.
func openInspector(t *testing.T, address, path string) *websocket.Conn {
	t.Helper()
	url := "ws://" + address + path
	if path == "" {
		var targets []struct {
			URL string `json:"webSocketDebuggerUrl"`
		}
		// It listens before it has anything to debug.
		fixture.Eventually(t, time.Minute, "the debugger has a target", func() bool {
			list := getDebugger(t, "http://"+address+"/json/list")
			if err := json.Unmarshal(list, &targets); err != nil {
				t.Fatalf("%s: %v", list, err)
			}
			return len(targets) == 1
		})
		url = targets[0].URL
	}
	config, err := websocket.NewConfig(url, "http://localhost")
	if err != nil {
		t.Fatal(err)
	}
	ws, err := websocket.NewClient(config, dialDebugger(t, address))
	if err != nil {
		t.Fatal(err)
	}
	return ws
}
