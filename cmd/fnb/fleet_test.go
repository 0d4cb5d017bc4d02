package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/servers"
	"fnb/schema"
)

// cmdFleet: fleet NAME PLATFORM… starts a builder for each platform, on TCP with
// mutual TLS, and sets NAME to the list of their addresses, NAME1, NAME2 … to
// each, and TLSDIR to the client's certificates. fleet cut cuts one off, fleet kill
// kills it, fleet stop has it do nothing any more: $NAMEn, or the one that a build
// report's first function was made by.
func (r *rig) cmdFleet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fleet NAME PLATFORM…, or fleet cut|kill|stop ADDRESS|REPORT")
	}
	if slices.Contains([]string{"cut", "kill", "stop"}, args[0]) {
		address := args[1]
		if strings.HasSuffix(address, ".json") {
			var report schema.Report
			ts.Check(json.Unmarshal([]byte(ts.ReadFile(address)), &report))
			address = report.Functions[0].Builders[0]
		}
		found, ok := r.fleet.Load(strings.TrimPrefix(address, "tcp://"))
		if !ok {
			ts.Fatalf("there is no builder at %s", address)
		}
		m := found.(member)
		switch args[0] {
		case "cut":
			m.proxy.Cut()
		case "kill":
			ts.Check(syscall.Kill(m.daemon.Pid(), syscall.SIGKILL))
		case "stop":
			ts.Check(syscall.Kill(m.daemon.Pid(), syscall.SIGSTOP))
			ts.Defer(func() { _ = syscall.Kill(m.daemon.Pid(), syscall.SIGCONT) })
		}
		return
	}
	ctx := context.Background()
	dir := ts.MkAbs(".tls-" + args[0])
	ts.Check(os.MkdirAll(dir, 0o700))
	certs, err := servers.MakeCerts(dir)
	ts.Check(err)
	ts.Check(os.Symlink(certs.ClientCert, filepath.Join(dir, "cert.pem")))
	ts.Check(os.Symlink(certs.ClientKey, filepath.Join(dir, "key.pem")))
	var list []string
	for i, platform := range args[1:] {
		opts := servers.BuildkitdOptions{TCP: true, TLS: certs, Mirrors: r.mirrors}
		if platform != "own" {
			opts.Platforms = []string{platform}
		}
		d, err := servers.StartBuildkitd(ctx, opts)
		ts.Check(err)
		ts.Defer(func() { d.Close() })
		p, err := servers.StartTCPProxy(ctx, strings.TrimPrefix(d.Address, "tcp://"))
		ts.Check(err)
		ts.Defer(func() { p.Close() })
		r.fleet.Store(p.Addr, member{d, p})
		list = append(list, "tcp://"+p.Addr)
		ts.Setenv(args[0]+strconv.Itoa(i+1), list[i])
	}
	ts.Setenv(args[0], strings.Join(list, ","))
	ts.Setenv("TLSDIR", dir)
}

// A member is a builder of a fleet, and the way to it.
type member struct {
	daemon *servers.Buildkitd
	proxy  *servers.TCPProxy
}
