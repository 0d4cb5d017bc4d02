package debugger

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"time"
)

// adapterDelve is the one debugger that leaves a function stopped when its client goes away:
// the others end what that has set.
const adapterDelve = "delve"

const (
	releasePatience = 5 * time.Second
	lastPatience    = time.Second
	maxAnswer       = 1 << 20 // of Delve, which is the template's
)

// release removes the breakpoints that a client has left in Delve, and lets the function go
// on: by Delve's own protocol, JSON-RPC 1.0 as net/rpc has it.
func (v *visit) release(ctx context.Context) error {
	conn, err := v.Container.DialPort(ctx, v.Port)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // nothing is asked of it any more
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	d := &delve{conn: conn, answers: json.NewDecoder(io.LimitReader(conn, maxAnswer))}
	if err := d.call("SetApiVersion", map[string]any{"APIVersion": 2}, nil); err != nil {
		return err
	}
	var now struct {
		State struct {
			Running bool `json:"Running"`
			Exited  bool `json:"exited"`
		}
	}
	if err := d.call("State", map[string]any{"NonBlocking": true}, &now); err != nil || now.State.Exited {
		return err
	}
	if now.State.Running { // breakpoints are only known while it stands
		if err := d.call("Command", map[string]any{"name": "halt"}, nil); err != nil {
			return err
		}
	}
	var set struct {
		Breakpoints []struct {
			ID int `json:"id"`
		}
	}
	if err := d.call("ListBreakpoints", map[string]any{"All": false}, &set); err != nil {
		return err
	}
	for _, b := range set.Breakpoints {
		if b.ID <= 0 { // Delve's own, as for a panic, which would stop it too
			continue
		}
		if err := d.call("ClearBreakpoint", map[string]any{"Id": b.ID}, nil); err != nil {
			return err
		}
	}
	// Its answer is the next stop.
	if err := d.send("Command", map[string]any{"name": "continue"}); err != nil {
		return err
	}
	// An answer to what comes behind it says that it was read.
	return d.call("State", map[string]any{"NonBlocking": true}, nil)
}

// A delve is a connection to Delve.
type delve struct {
	conn    net.Conn
	answers *json.Decoder
	id      int
}

func (d *delve) send(method string, param any) error {
	d.id++
	raw, err := json.Marshal(map[string]any{"method": "RPCServer." + method, "params": []any{param}, "id": d.id})
	if err != nil {
		return err
	}
	_, err = d.conn.Write(raw)
	return err
}

// call sends a request and waits for its answer; others that come are left aside.
func (d *delve) call(method string, param, result any) error {
	if err := d.send(method, param); err != nil {
		return err
	}
	for {
		var answer struct {
			ID     int             `json:"id"`
			Result json.RawMessage `json:"result"`
			Error  any             `json:"error"`
		}
		if err := d.answers.Decode(&answer); err != nil {
			return err
		}
		switch {
		case answer.ID != d.id:
			continue
		case answer.Error != nil:
			return fmt.Errorf("delve refuses %s: %v", method, answer.Error)
		case result == nil:
			return nil
		}
		return json.Unmarshal(answer.Result, result)
	}
}
