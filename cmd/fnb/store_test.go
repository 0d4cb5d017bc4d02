package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"fnb/internal/servers"
)

// cmdServeDir: servedir VAR DIR serves the files of a folder over HTTP, until the
// script ends. VAR becomes the URL of the folder, without a slash at its end, and
// VAR_HOST the address alone.
func cmdServeDir(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: servedir VAR DIR")
	}
	s := httptest.NewServer(http.FileServer(http.Dir(ts.MkAbs(args[1]))))
	ts.Defer(s.Close)
	ts.Setenv(args[0], s.URL)
	ts.Setenv(args[0]+"_HOST", strings.TrimPrefix(s.URL, "http://"))
}

// cmdStoreFile: storefile VAR REPO TEMPLATES TAG… starts a git server with a store
// of acme/shout, a version for each tag of the repository TEMPLATES.
func cmdStoreFile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: storefile VAR REPO TEMPLATES TAG…")
	}
	ctx := context.Background()
	var b strings.Builder
	b.WriteString("-- store.json --\n{\"v\": 1}\n-- templates/acme/shout/package.json --\n{\"v\": 1, \"description\": \"makes text loud\", \"tags\": [\"caps\"]}\n")
	for _, tag := range args[3:] {
		var shown struct {
			Pin struct{ Checksum, Commit string } `json:"pin"`
		}
		cmd := exec.CommandContext(ctx, "fnb", "template", "show", "--json", args[2]+"//template/shout#"+tag)
		cmd.Env = append(os.Environ(), "HOME="+ts.Getenv("HOME"), "PATH="+ts.Getenv("PATH"))
		cmd.Path = filepath.Join(strings.Split(ts.Getenv("PATH"), string(os.PathListSeparator))[0], "fnb")
		cmd.Err = nil
		out, err := cmd.Output()
		ts.Check(err)
		ts.Check(json.Unmarshal(out, &shown))
		version := strings.TrimPrefix(tag, "v")
		fmt.Fprintf(&b, `-- templates/acme/shout/v/%s.json --
{"v": 1, "kind": "template", "name": "acme/shout", "vers": %q, "cksum": %q,
 "source": {"git": {"url": %q, "ref": "refs/tags/%s", "commit": %q, "path": "template/shout"}}, "parts": {"entrypoint": {}, "handler": {"dir": "function"}}}
`, version, version, shown.Pin.Checksum, args[2], tag, shown.Pin.Commit)
	}
	g, err := servers.StartGit(ctx, servers.GitOptions{})
	ts.Check(err)
	ts.Defer(func() { g.Close() })
	_, err = g.Commit(ctx, args[1], servers.Commit{Files: b.String()})
	ts.Check(err)
	ts.Setenv(args[0], g.RepoURL(args[1]))
}
