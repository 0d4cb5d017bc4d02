package main

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/servers"
)

// cmdFleet: fleet NAME PLATFORM… starts a builder for each platform, on TCP with
// mutual TLS, and sets NAME to the list of their addresses, NAME1, NAME2 … to
// each, and TLSDIR to the client's certificates. fleet cut NAMEn cuts one off.
func (r *rig) cmdFleet(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: fleet NAME PLATFORM…, or fleet cut ADDRESS")
	}
	if args[0] == "cut" {
		p, ok := r.proxies.Load(strings.TrimPrefix(args[1], "tcp://"))
		if !ok {
			ts.Fatalf("there is no builder at %s", args[1])
		}
		p.(*servers.TCPProxy).Cut()
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
		r.proxies.Store(p.Addr, p)
		list = append(list, "tcp://"+p.Addr)
		ts.Setenv(args[0]+strconv.Itoa(i+1), list[i])
	}
	ts.Setenv(args[0], strings.Join(list, ","))
	ts.Setenv("TLSDIR", dir)
}
