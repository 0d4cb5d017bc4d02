package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// An inspectorClient speaks the protocol of Node's inspector.
type inspectorClient struct {
	ws   *websocket.Conn
	id   int
	maps map[string]string // source map of a script, by its URL
}

// A inspectorMessage is an answer or an event.
type inspectorMessage struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

func (c *inspectorClient) send(method string, params any) error {
	c.id++
	return websocket.JSON.Send(c.ws, map[string]any{"id": c.id, "method": method, "params": params})
}

// await reads until an answer to the last request, or an event, comes.
func (c *inspectorClient) await(event string) (json.RawMessage, error) {
	for {
		var m inspectorMessage
		if err := websocket.JSON.Receive(c.ws, &m); err != nil {
			return nil, fmt.Errorf("waiting for %s: %w", event, err)
		}
		if m.Method == "Debugger.scriptParsed" {
			var script struct {
				URL string `json:"url"`
				Map string `json:"sourceMapURL"`
			}
			if err := json.Unmarshal(m.Params, &script); err != nil {
				return nil, err
			}
			c.maps[script.URL] = script.Map
		}
		switch {
		case m.Error != nil:
			return nil, fmt.Errorf("%s", m.Error)
		case event != "" && m.Method == event:
			return m.Params, nil
		case event == "" && m.ID == c.id:
			return m.Result, nil
		}
	}
}

func (c *inspectorClient) call(method string, params any) (json.RawMessage, error) {
	if err := c.send(method, params); err != nil {
		return nil, err
	}
	return c.await("")
}

// inspectorSession attaches to Node's inspector. Where the handler's file was compiled, the
// breakpoint is set where its source map says.
func inspectorSession(t *testing.T, d debugged) session {
	t.Helper()
	c := &inspectorClient{ws: openInspector(t, d.Debugger.Address, ""), maps: map[string]string{}}
	if _, err := c.call("Debugger.enable", map[string]any{}); err != nil {
		t.Fatal(err)
	}
	url, line := "file://"+d.Debugger.Folder+"/"+d.file, d.line-1
	if strings.HasSuffix(d.file, ".ts") {
		url = "file://" + d.Debugger.Folder + "/index.mjs"
		line = generatedLine(t, c.maps[url], d.file, d.line-1)
	}
	set, err := c.call("Debugger.setBreakpointByUrl", map[string]any{"lineNumber": line, "url": url})
	if err != nil || !strings.Contains(string(set), `"locations":[{`) {
		t.Fatalf("%s: %s %v; scripts %v", d.Function, set, err, c.maps)
	}
	return &inspected{c, line, d.line}
}

// An inspected is a session, whose lines may be those of a compiled file.
type inspected struct {
	*inspectorClient
	line, want int
}

func (c *inspected) stopped() (int, error) {
	body, err := c.await("Debugger.paused")
	if err != nil {
		return 0, err
	}
	var paused struct {
		Frames []struct {
			Location struct{ LineNumber int }
		} `json:"callFrames"`
	}
	if err := json.Unmarshal(body, &paused); err != nil || len(paused.Frames) == 0 {
		return 0, fmt.Errorf("%s: %w", body, err)
	}
	return paused.Frames[0].Location.LineNumber - c.line + c.want, nil
}

func (c *inspected) leave() error { return c.ws.Close() }

func (c *inspected) ended() error {
	_, err := c.await("never")
	return err
}

func getDebugger(t *testing.T, url string) []byte {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: (&net.Dialer{}).DialContext}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// generatedLine is the first line of a compiled file that a source map leads to a line of a
// source. Both count from 0.
func generatedLine(t *testing.T, url, source string, want int) int {
	t.Helper()
	_, data, ok := strings.Cut(url, ";base64,")
	raw, err := base64.StdEncoding.DecodeString(data)
	var m struct {
		Sources  []string `json:"sources"`
		Contents []string `json:"sourcesContent"`
		Mappings string   `json:"mappings"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &m)
	}
	index := slices.Index(m.Sources, source)
	if !ok || err != nil || index < 0 || len(m.Contents) != len(m.Sources) {
		t.Fatalf("source map %.80s of %v: %v", url, m.Sources, err)
	}
	var src, line int
	for i, row := range strings.Split(m.Mappings, ";") {
		for _, segment := range strings.Split(row, ",") {
			fields := vlq(segment)
			if len(fields) < 4 {
				continue
			}
			src, line = src+fields[1], line+fields[2]
			if src == index && line == want {
				return i
			}
		}
	}
	t.Fatalf("no line is of %s:%d", source, want+1)
	return 0
}

// vlq decodes the numbers of a source map's segment.
func vlq(segment string) []int {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	var out []int
	value, shift := 0, 0
	for _, r := range segment {
		d := strings.IndexRune(digits, r)
		value |= d & 31 << shift
		if shift += 5; d&32 == 0 {
			if value&1 == 1 {
				value = -value
			}
			out = append(out, value/2)
			value, shift = 0, 0
		}
	}
	return out
}
