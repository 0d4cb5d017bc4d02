package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/spf13/pflag"

	"fnb/internal/plain"
	"fnb/pipeline/gateway"
	"fnb/pipeline/reach"
	"fnb/pipeline/serve"
	"fnb/schema"
)

// gatewayFlag is whether functions have a gateway, and at which port.
type gatewayFlag struct {
	given bool
	port  int
}

func (o *gatewayFlag) addFlag(f *pflag.FlagSet) {
	f.Var(o, "gateway", "serve OpenFaaS's routes at the local `PORT`, and have functions reach it as gateway:8080")
	f.Lookup("gateway").NoOptDefVal = "8080"
}

// Set implements [pflag.Value].
func (o *gatewayFlag) Set(v string) error {
	n, err := strconv.ParseUint(v, 10, 16)
	if err != nil {
		return fmt.Errorf("it must be a port, 0 to 65535")
	}
	o.given, o.port = true, int(n)
	return nil
}

// String implements [pflag.Value].
func (o *gatewayFlag) String() string { return "" }

// Type implements [pflag.Value].
func (o *gatewayFlag) Type() string { return "port" }

// options are the gateway's for the functions of a stack file; nil is none.
func (o *gatewayFlag) options(ctx context.Context, stack *schema.Stack) (*serve.GatewayOptions, error) {
	if !o.given {
		return nil, nil
	}
	socket, err := functionSocket(stack.File, gatewaySocket)
	if err != nil {
		return nil, err
	}
	dir, err := dataDir()
	if err != nil {
		return nil, err
	}
	key, err := gateway.OpenKey(ctx, filepath.Join(dir, "calls.key"))
	if err != nil {
		return nil, fmt.Errorf("opening the key of calls: %w", err)
	}
	return &serve.GatewayOptions{Port: o.port, Socket: socket, Version: fnbVersion(), Key: key}, nil
}

// keys are those of functions that a gateway goes by.
func (o *gatewayFlag) keys() []string {
	if !o.given {
		return nil
	}
	return []string{"annotations", "namespace"}
}

// gatewaySocket is in the place of a function's name, which it cannot be.
const gatewaySocket = ".gateway"

// functionPort is the first function's port: without --port it is behind the gateway's.
func (o *runOptions) functionPort(portGiven bool) int {
	switch {
	case portGiven || !o.gateway.given:
		return o.port
	case o.gateway.port == 0:
		return 0
	}
	return o.gateway.port + 1
}

// gatewayServes says where the gateway is.
func (r *runner) gatewayServes(url string) error {
	r.out.Lock()
	defer r.out.Unlock()
	if r.g.json {
		return r.g.printJSON(struct {
			Gateway string `json:"gateway"`
		}{url})
	}
	_, err := fmt.Fprintln(r.g.out, "gateway", url)
	return err
}

// Refused implements [serve.Observer]: it says so once of each place.
func (r *runner) Refused(function, host string, port int) {
	place := net.JoinHostPort(host, strconv.Itoa(port))
	if !r.refused.first(function + "\x00" + place) {
		return
	}
	text := fmt.Sprintf("it does not reach %s, so its callbacks do not either", place)
	if slices.Contains(gateway.Names(), host) {
		text += fmt.Sprintf("; the gateway is at port %d", gateway.Port)
	} else if hint := allowing(r.p, host, port); hint != "" {
		text += "; " + hint
	} else if flag := reach.Hint("callback=" + place); flag != "" { // an address, or this machine
		text += fmt.Sprintf("; allow it with %s, and call back http://callback:%d", flag, port)
	}
	r.g.say(&r.out, function, "%s", text)
}

// Kept implements [serve.Observer].
func (r *runner) Kept(c gateway.Call) {
	r.g.say(&r.out, c.Function, "gave the call %s up after %s: %s; see fnb invoke --dead-letters", c.ID, plain.Count(c.Tries, "try", "tries"), c.Why)
}

// Unfinished implements [serve.Observer].
func (r *runner) Unfinished(calls int) {
	r.g.say(&r.out, "gateway", "kept %s not done; see fnb invoke --dead-letters", plain.Count(calls, "call that was", "calls that were"))
}

// gatewayHints say what helps where a gateway cannot be started, or its dead letters not sent.
func gatewayHints(err error) []string {
	if d, ok := errors.AsType[*gateway.DamagedLetterError](err); ok {
		return []string{"correct its first line, or give it up with: rm " + plain.ShellWord(relative(d.File))}
	}
	if n, ok := errors.AsType[*NoGatewayError](err); ok {
		command := "fnb run --gateway"
		if base := filepath.Base(n.Stack); base != "stack.yaml" && base != "stack.yml" { // those are found without
			command += " -f " + plain.ShellWord(n.Stack)
		}
		return []string{"start it in another terminal with: " + command}
	}
	switch {
	case is[*serve.GatewayError](err) && is[*serve.PortError](err):
		return []string{"take another with: --gateway=PORT, or any free one with --gateway=0"}
	case is[*gateway.UnknownLetterError](err):
		return []string{"see which there are with: fnb invoke --dead-letters"}
	}
	return nil
}
