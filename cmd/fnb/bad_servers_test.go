package main

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/servers"
)

// cmdSSHServer: sshserver VAR starts an OpenSSH server, which has a key in the
// script's ssh-agent and is in its known_hosts, and sets VAR to the address to put
// before a folder.
func cmdSSHServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sshserver VAR")
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := servers.StartSSH(ctx)
	if err != nil {
		cancel()
		ts.Fatalf("%v", err)
	}
	ts.Defer(func() {
		cancel()
		_ = s.Close() // what is left of it harms nobody
	})
	socket, err := s.Agent(ctx, s.Key)
	ts.Check(err)
	dir := filepath.Join(ts.Getenv("HOME"), ".ssh")
	ts.Check(os.MkdirAll(dir, 0o700))
	ts.Check(os.WriteFile(filepath.Join(dir, "known_hosts"), []byte(s.KnownHosts(s.HostKeys...)), 0o600))
	ts.Setenv("SSH_AUTH_SOCK", socket)
	ts.Setenv(args[0], s.URL(""))
}

// cmdBadServer: badserver VAR starts a web server that fails as the first folder of
// each request says, and sets VAR to its address.
func cmdBadServer(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: badserver VAR")
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch how, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/"); how {
		case "file":
			http.Redirect(w, r, "file:///etc/passwd", http.StatusFound)
		case "page":
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, "<html><head><title>Welcome to nginx!</title>")
		case "cut":
			panic(http.ErrAbortHandler)
		default:
			http.Error(w, "\x1b[2Joops", http.StatusInternalServerError)
		}
	}))
	ts.Defer(server.Close)
	ts.Setenv(args[0], server.URL)
}
