package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/servers"
	"fnb/internal/servers/vm"
	"fnb/packaging"
	"fnb/schema"
)

// machineKit is what virtual machines of tests and benchmarks are started with, made by the first that asks for it.
var machineKit = sync.OnceValues(func() (*vm.Kit, error) { //nolint:gochecknoglobals // as shared
	init, err := packaging.Init(schema.Platform{OS: "linux", Architecture: "amd64"})
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "fnb-machines-*")
	if err != nil {
		return nil, err
	}
	stops = append(stops, func() { _ = os.RemoveAll(dir) })
	return vm.Prepare(context.Background(), dir, init)
})

// hasMachines is the condition "vm". Machines that are required and cannot be had are an error.
func hasMachines() (bool, error) {
	_, err := machineKit()
	if err != nil && servers.Required("vm") {
		return false, err
	}
	return err == nil, nil
}

const machinePatience = 4 * time.Minute // with a machine that is emulated while others keep the processors busy

// cmdMachine has a script start virtual machines, of what fnb generate writes.
//
//	machine start NAME FILE      starts the machine of QEMU's command, or of Firecracker's JSON, in a file
//	machine answers NAME PATH    asks it until it answers, and prints the answer
//	machine off NAME             presses its power button
//	machine console NAME         waits until it is off, and prints what its console has shown
func (r *rig) cmdMachine(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: machine COMMAND NAME …")
	}
	ctx, cancel := context.WithTimeout(context.Background(), machinePatience)
	defer cancel()
	key := filepath.Join(ts.Getenv("WORK"), args[1])
	started, _ := r.machines.Load(key)
	m, _ := started.(*vm.Machine)
	switch command := args[0]; {
	case command == "start" && len(args) == 3 && m == nil:
		m, err := startMachine(ctx, ts.MkAbs("."), ts.ReadFile(args[2]))
		ts.Check(err)
		r.machines.Store(key, m)
		ts.Defer(func() { ts.Check(m.Close()) })
	case command == "answers" && len(args) == 3 && m != nil:
		text, err := m.Answer(ctx, args[2])
		ts.Check(err)
		_, err = fmt.Fprintln(ts.Stdout(), text)
		ts.Check(err)
	case command == "off" && len(args) == 2 && m != nil:
		ts.Check(m.Press(ctx, "power"))
	case command == "console" && len(args) == 2 && m != nil:
		ts.Check(m.AwaitEnd(machinePatience))
		_, err := fmt.Fprintln(ts.Stdout(), strings.ReplaceAll(m.Console(), "\r", ""))
		ts.Check(err)
	default:
		ts.Fatalf("machine %s: no such command, or no such machine", command)
	}
}

// startMachine starts a machine of a command or of JSON.
func startMachine(ctx context.Context, dir, text string) (*vm.Machine, error) {
	kit, err := machineKit()
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(text, "{") {
		return kit.StartFirecracker(ctx, dir, text)
	}
	return kit.Start(ctx, dir, text)
}
